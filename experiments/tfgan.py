"""TFGAN (Balaji et al. 2019).    python -m experiments.tfgan

Makes short clips of what sentences say, by critics that convolve clips, and their single frames,
with filters made of the sentence; with --num-filters 0 they read an embedding of it alone, the
paper's baseline. Of shapes that move an oracle reads what is in each clip, and how it goes. The
pictures are the frames of clips below their sentences, and the clips as they move. A run makes
yours: `python -m experiments.sample RUN --text "A large red circle is moving in a zigzag path
towards east"`.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import optax

from experiments.harness import clip_telling, command, options, pictures, play
from experiments.harness.bounds import Count, Size, SizeOr0, Weight
from gan_jax import games, nets
from gan_jax.systems import TFGAN, networks
from gan_jax.typing import Batch


@dataclass(frozen=True, kw_only=True)
class Config(clip_telling.ClipTellingOptions):
    num_filters: SizeOr0 = 4
    """Filters of each sentence for each critic, an even number; 0 concatenates an embedding."""
    width: Size = 8
    """Channels of the generator's last hidden layer."""
    critic_width: Size = 4
    """Channels of the critics' first layers."""
    dim: Size = 32
    """Numbers of an embedding, of content or of motion, and of the generator's states."""
    word_dim: Size = 32
    """Numbers of a word."""
    text_width: Size = 32
    """Channels of the convolutions over words."""
    gradient_penalty: Weight = 10.0
    """R1's weight, on real clips for both critics."""
    steps: Count = 1_250
    batch_size: Size = 8
    learning_rate: float = 1e-3
    """Adam's, for both players; beta1 is 0 and beta2 0.99, as in the paper, whose rate is 1e-4."""

    def optimizers(self) -> games.Optimizers:
        return self.each(partial(optax.adam, b1=0.0, b2=0.99))


SHAPES = Config()
TABLE = replace(SHAPES, image_size=16, steps=1_000, evaluate_every=1_000, checkpoint_every=1_000)
CONFIGS = {
    "shapes": SHAPES,
    "table": TABLE,
    "concatenation": replace(TABLE, num_filters=0),
    "paper": replace(
        SHAPES,
        num_frames=16,
        image_size=64,
        num_filters=32,
        width=32,
        critic_width=32,
        dim=256,
        word_dim=300,
        text_width=512,
        learning_rate=1e-4,
        average_decay=0.999,
        steps=100_000,
        halving_steps=100_000,
        evaluate_every=5_000,
        checkpoint_every=5_000,
    ),
}
TABLES = {"filters": {name: CONFIGS[name] for name in ("table", "concatenation")}}


def build(config: Config, batch: Batch) -> TFGAN:
    num_frames, size, _, channels = batch["video"].shape[1:]
    pictures.check_halved(size, size)
    dtype = config.network_dtype
    generator = nets.TFGANGenerator(num_frames, size, channels, config.width, config.dim, dtype)
    return TFGAN(
        generator=generator,
        latents=networks.normal(*generator.latent_shape),
        encoder=nets.TextEncoder(
            len(config.numbers),
            config.dim,
            config.text_width,
            config.word_dim,
            config.num_filters,
            dtype,
        ),
        image_critic=nets.FilterCritic(config.critic_width, by_frame=True, dtype=dtype),
        video_critic=nets.FilterCritic(config.critic_width, dtype=dtype),
        loss=play.LOSSES[config.loss](),
        gradient_penalty=config.gradient_penalty,
    )


def teller(config: Config, system: TFGAN) -> clip_telling.ClipTeller:
    def draw(key, players, tokens):
        told = system.embed(players.discriminator, tokens)
        return system.sample(key, players.generator, len(tokens), *told)

    return clip_telling.ClipTeller(config, draw)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and score what clips show of what is said."""
    return clip_telling.run(config, build, teller, workdir, fresh=fresh)


if __name__ == "__main__":
    command.main("tfgan", run, CONFIGS, __doc__ or "")
