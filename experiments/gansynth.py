"""GANSynth (Engel et al. 2019).    python -m experiments.gansynth

Learns to make notes of given pitches as spectrograms, by default of notes that are drawn in many
timbres. The pictures are spectrograms, loudness beside frequency, and a sound: one note of every
fifth pitch. Scored by how many notes have the pitch that was asked for, to a classifier that has
learned from real ones and to autocorrelation, and by distances of that classifier's features.
`growing` begins with few frames and bins, and doubles both in phases (progressive growing).
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness import command, notes, options, phases, play, runs
from experiments.harness.bounds import Count, CountOr0, Decay, Rate, Size, Weight
from experiments.harness.note_features import Listener
from gan_jax import data, games, nets, plots
from gan_jax.errors import Refusal
from gan_jax.games import GameState, Weights, averaged
from gan_jax.systems import GAN, gansynth, growing, networks
from gan_jax.training import Evaluation, Phase, batch_shapes, first_batch
from gan_jax.typing import Batch, Feed, KeyArray

NUM_EACH = 4
NUM_SHOWN = 8
STEP = 5  # pitches between notes that are to be heard
LARGEST_BASE = 512


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, phases.PhaseOptions, notes.NoteOptions):
    loss: Literal["wasserstein"] = "wasserstein"
    """The adversarial loss."""
    width: Size = 8
    """Channels at the spectrograms' own size, and twice as many at each halving; 32 in the
    paper."""
    max_width: Size = 64
    """Channels are at most these; 256 in the paper."""
    latent_dim: Size = 8
    """Size of the latents, which are normal; 256 in the paper. The pitch is one more number among
    them, and the more there are the less it counts."""
    pitch_weight: Weight = 10.0
    """Of the cross entropy of pitches, for both players."""
    penalty_weight: Weight = 10.0
    """Of the gradient penalty."""
    slopes: Literal["scaled", "own"] = "scaled"
    """Whether the critic's slope is 1 along spectrograms that are scaled to [-0.8, 0.8], or in
    their own units, as the authors have it: there loudness counts for more than frequency."""
    drift_weight: Weight = 1e-3
    """Of the squared score of real notes."""
    fade_steps: CountOr0 = 0
    """Steps in which each resolution after the lowest is faded in; as many hold each but the last,
    whose are --steps in all. 100,000 in the paper; with 0 there is one resolution."""
    steps: Count = 1_500
    batch_size: Size = 32
    learning_rate: Rate = 4e-3
    """Adam's, of beta1 0 and beta2 0.99; 8e-4 for both players in the paper."""
    discriminator_learning_rate: Rate | None = 2e-3
    """The discriminator's, where it is another."""
    average_decay: Decay = 0.99
    steps_per_dispatch: Count = 10
    evaluate_every: Count = 500
    checkpoint_every: Count = 500

    @property
    def network_units(self) -> dict[str, tuple[float, float]]:
        """By which scale and offset networks bring what they see to [-0.8, 0.8]."""
        return self.units if self.slopes == "own" else {"scale": (1.0, 1.0), "offset": (0.0, 0.0)}

    def fed(self, sounds: data.Dataset | None) -> Feed:
        """What networks see of notes, and their pitches."""

        def scaled(key: KeyArray, batch: Batch) -> Batch:
            return {**batch, "spectrogram": self.scaled(batch["spectrogram"])}

        feed = self.note_feed(sounds)
        return feed if self.slopes == "own" else data.map_feed(scaled, feed)

    def in_own_units(self, made: jax.Array) -> jax.Array:
        """What a network has made, in the units of spectrograms."""
        return made if self.slopes == "own" else self.unscaled(made)

    def optimizers(self) -> games.Optimizers:
        return self.each(partial(optax.adam, b1=0.0, b2=0.99))


MEL = Config()
FOLDER = replace(
    MEL,
    dataset="./notes",
    rate=16_000,
    frame_length=1_024,
    hop_length=512,
    lowest_pitch=24,
    highest_pitch=84,
)
PAPER = replace(
    FOLDER,
    frame_length=2_048,
    num_frames=128,
    slopes="own",
    batch_size=8,
    learning_rate=8e-4,
    discriminator_learning_rate=None,
    width=32,
    max_width=256,
    latent_dim=256,
    average_decay=0.999,
    steps=500_000,
    evaluate_every=10_000,
    checkpoint_every=10_000,
)
GROWING = replace(MEL, fade_steps=120, steps=660)
TABLE = replace(MEL, num_frames=16, steps=400, evaluate_every=400, checkpoint_every=400)
FOLDER_TABLE = replace(TABLE, dataset="./notes", lowest_pitch=24, highest_pitch=84)
FORMS = ("mel", "linear", "phase")
CONFIGS = {
    "mel": MEL,
    "linear": replace(MEL, spectrogram="linear"),
    "phase": replace(MEL, spectrogram="phase"),
    "high_resolution": replace(MEL, frame_length=512),
    "folder": FOLDER,
    "growing": GROWING,
    "paper": PAPER,
    "table": TABLE,
}
TABLES = {
    "spectrograms": {f"short_{name}": replace(TABLE, spectrogram=name) for name in FORMS},
    "folder_spectrograms": {
        f"folder_{name}": replace(FOLDER_TABLE, spectrogram=name) for name in FORMS
    },
    "slopes": {name: replace(TABLE, slopes=name) for name in ("scaled", "own")},
    "growing": {"fixed": TABLE, "short_growing": replace(TABLE, fade_steps=30, steps=250)},
}


def build(config: Config, batch: Batch) -> GAN:
    sides = batch["spectrogram"].shape[1:3]
    num = min((side & -side).bit_length() - 1 for side in sides)
    num = max(min(num, min(sides).bit_length() - 2), 0)
    base = (sides[0] >> num, sides[1] >> num)
    if base[0] * base[1] > LARGEST_BASE:
        raise Refusal(
            f"--num-frames is {sides[0]} and half of --frame-length {sides[1]}: both are halved "
            "until one is small; give what can be halved often, such as 32 and 1024."
        )
    told = {
        "widths": nets.gansynth_widths(
            num + 1, base=config.width << (num + 1), most=config.max_width
        ),
        "num_pitches": len(config.pitches),
        "base": base,
        "dtype": config.network_dtype,
        **config.network_units,
    }
    generator, discriminator = (
        (nets.GrowingGANSynthGenerator, nets.GrowingGANSynthDiscriminator)
        if config.fade_steps
        else (nets.GANSynthGenerator, nets.GANSynthDiscriminator)
    )
    return gansynth(
        generator=generator(**told),
        discriminator=discriminator(**told, last_width=config.max_width),
        latents=networks.normal(config.latent_dim),
        pitch_weight=config.pitch_weight,
        penalty_weight=config.penalty_weight,
        drift_weight=config.drift_weight,
    )


def growth(config: Config, system: GAN, feed: Feed) -> list[Phase]:
    """A phase for each resolution, in each of which optimisers (as the authors') and averages start
    anew."""
    base, num_levels = system.generator.base, len(system.generator.widths)

    def start(before: GameState | None) -> GameState:
        if before is None:
            state = config.start(system, first_batch(feed))
        else:
            state = games.init(
                generator=before.generator.weights,
                discriminator=before.discriminator.weights,
                optimizers=config.optimizers(),
            )
        return games.exponential_average_memory(state)

    def phase(level: int) -> Phase:
        part = replace(
            system,
            generator=system.generator.clone(num_levels=level + 1),
            discriminator=system.discriminator.clone(num_levels=level + 1),
        )
        step = growing(
            config.step(part),
            lambda step: jnp.clip(level - 1 + step / config.fade_steps, 0, level),
            num_levels=num_levels,
            field="spectrogram",
        )
        steps = config.steps if level == num_levels - 1 else config.fade_steps * min(level + 1, 2)
        name = "x".join(str(size << level) for size in base)
        return config.phase(name, start, step, feed, steps)

    return [phase(level) for level in range(num_levels)]


def evaluator(config: Config, system: GAN, sounds: data.Dataset | None) -> options.Evaluate:
    """Make four notes of each pitch that was learned, score them, let some be seen and heard."""
    listener, learned = Listener(config, sounds), config.learned(sounds)
    pitch = np.tile(learned, NUM_EACH)
    hear = jax.jit(config.spectrograms.audio)

    @jax.jit
    def make(key: KeyArray, weights: Weights) -> jax.Array:
        return config.in_own_units(system.sample(key, weights, len(pitch), jnp.asarray(pitch)))

    def evaluate(key, state) -> Evaluation:
        made = np.asarray(make(key, averaged(state).generator))
        heard = made[: len(learned) : STEP]
        files = {
            "spectrograms": plots.spectrogram_grid(heard[:NUM_SHOWN]),
            "notes": plots.in_a_row(np.asarray(hear(heard)), config.rate),
        }
        return Evaluation(files, {**listener.of_real, **listener.scores(made, pitch)})

    return evaluate


def instrument(config: Config, system: GAN) -> runs.Instrument:
    """Notes of pitches, by name."""

    def play(weights: Weights, timbres: jax.Array, pitch: jax.Array) -> jax.Array:
        made = config.in_own_units(system.generate(weights, timbres, pitch))
        return config.spectrograms.audio(made)

    timbres: Any = system.latents
    return runs.Instrument(config.rate, config.pitch_names, timbres, play)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and compare made notes with unseen ones."""
    sounds = config.sounds()
    config = config.with_loudness(sounds)
    feed = config.fed(sounds)
    system = build(config, batch_shapes(feed))
    evaluate = evaluator(config, system, sounds)
    told = {"workdir": workdir, "fresh": fresh, "label_names": config.pitch_names, "unit": "notes"}
    if config.fade_steps:
        result = config.train_phases(growth(config, system, feed), evaluate, **told)
    else:
        result = config.play(system, feed, evaluate, **told)
    return result.says(
        "{classifier:.1%} of the notes have the pitch that was asked for to a classifier, which "
        "names {real/classifier:.1%} of real ones, and {heard:.1%} to autocorrelation, which hears "
        "{real/heard:.1%}; FID {fid:.2f}, IS {is:.1f}, NDB {ndb:.0f} of 20".format_map(
            result.metrics
        )
    )


if __name__ == "__main__":
    command.main("gansynth", run, CONFIGS, __doc__ or "")
