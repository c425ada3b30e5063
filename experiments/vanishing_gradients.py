"""What a better D does to G's gradient.    python -m experiments.vanishing_gradients

Trains a GAN of digits a little, then holds G still and trains another D from scratch. As it gets
better, G's gradient vanishes under the minimax loss; under the non-saturating one it grows, and
with it its spread over batches. Before D is any good the gradient points elsewhere (Arjovsky &
Bottou 2017, theorems 2.4 and 2.6, figures 2 and 3).
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import optax

from experiments.harness import command, moments, options, phases, pictures
from experiments.harness.bounds import Count, Rate, Size
from gan_jax import data, games, losses, plots
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation, batch_shapes, first_batch
from gan_jax.typing import Batch

LOSSES = {"minimax": losses.minimax(), "non_saturating": losses.non_saturating()}
SHOWN = (1, 3, 10, 30, 100, 300)
"""The moves of D after which gradients are taken, beside the newest one."""
NUM_BATCHES = 32
NUM_SHOWN = 64


@dataclass(frozen=True, kw_only=True)
class Config(phases.PhaseOptions, pictures.PictureOptions):
    width: Size = 128
    """Units in each of the two hidden layers of all networks."""
    latent_dim: Size = 64
    """Size of the latents, from N(0, I)."""
    generator_steps: Count = 500
    """Steps of both players, after which G stays as it is."""
    batch_size: Size = 64
    """Real images, and as many fakes, in each move; fakes of which a gradient is taken."""
    learning_rate: Rate = 2e-4
    """Adam's, for both players; beta1 is 0.5."""
    steps: Count = 1_000
    steps_per_dispatch: Count = 50
    evaluate_every: Count = 500
    checkpoint_every: Count = 500


CONFIGS = {"digits": Config()}


def build(config: Config, batch: Batch) -> GAN:
    widths = (config.width,) * 2
    return GAN(
        generator=MLPGenerator(batch["image"].shape[1:], widths, output=nn.tanh),
        discriminator=MLPDiscriminator(
            widths, activation=partial(nn.leaky_relu, negative_slope=0.2)
        ),
        loss=LOSSES["non_saturating"],
        latents=networks.normal(config.latent_dim),
    )


def discriminator_of(state: games.GameState) -> games.Weights:
    return state.discriminator.weights


def evaluator(config: Config, system: GAN, batch: Batch) -> options.Evaluate:
    """Take G's gradient on the same latents under every D so far."""
    sample = jax.jit(system.sample, static_argnums=2)
    systems = {name: dataclasses.replace(system, loss=loss) for name, loss in LOSSES.items()}

    def evaluate(key, state) -> Evaluation:
        key_samples, key_gradients = jax.random.split(key)
        images = np.asarray(sample(key_samples, state.generator.weights, NUM_SHOWN))
        files = {"samples": plots.image_grid(images)}
        if state.memory is None:  # G is still learning
            return Evaluation(files)
        steps, past = moments.so_far(state, SHOWN)
        norms, spreads, cosines, metrics = {}, {}, {}, {}
        for name, played in systems.items():
            found = [*map(np.asarray, gradients(key_gradients, state, past, batch, played))]
            norms[f"{name}, norm"], spreads[f"{name}, spread over batches"], cosines[name] = found
            for what, values in zip(("norm", "spread", "cosine"), found, strict=True):
                at = {f"{name}/{step}/{what}": x for step, x in zip(steps, values, strict=True)}
                metrics |= {**at, f"{name}/{what}": values[-1]}
        drawn = partial(plots.curves, x=np.array(steps), x_label="moves of D from scratch")
        files["gradients"] = drawn(
            curves=norms | spreads, y_label="G's gradient", scales=("log", "log")
        )
        label = "its cosine to that under the newest D"
        files["cosines"] = drawn(curves=cosines, y_label=label, scales=("log", "linear"))
        return Evaluation(files, metrics)

    return evaluate


@partial(jax.jit, static_argnums=4)
def gradients(
    key, state: games.GameState, discriminators: games.Weights, batch: Batch, system: GAN
):
    """Of each D: norm and spread of G's gradient over batches, cosine to that under the last D."""

    def under(weights) -> games.GradientStatistics:
        at = state.replace(discriminator=state.discriminator.replace(weights=weights))
        told = {"game": system.game, "num_draws": NUM_BATCHES}
        return games.gradient_statistics("generator", key, at, batch, **told)

    norms, spreads, means = jax.lax.map(under, discriminators)
    return norms, spreads, optax.losses.cosine_similarity(means, means[-1:])


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train both players, then another D against the same G."""
    feed = config.picture_feed(config.images(), {"image": data.signed})
    system, batch = build(config, batch_shapes(feed)), first_batch(feed)
    adam = optax.adam(config.learning_rate, b1=0.5)
    optimizers = games.Optimizers(generator=adam, discriminator=adam)
    told = {"game": system.game, "optimizers": optimizers}
    init = jax.jit(partial(system.init, optimizers=optimizers))
    key_both, key_another = jax.random.split(config.key("init"))

    def another(state: games.GameState) -> games.GameState:
        """The same G, and a D that has learnt nothing."""
        anew = init(key_another, batch)
        return moments.start(anew.replace(generator=state.generator), SHOWN, discriminator_of)

    both = partial(games.alternating_step, **told)
    alone = games.counted(partial(games.discriminator_step, **told))
    remembered = moments.remembering(alone, SHOWN, discriminator_of)
    in_turn = [
        config.phase("both", lambda _: init(key_both, batch), both, feed, config.generator_steps),
        config.phase("discriminator", another, remembered, feed, config.steps),
    ]
    looking = evaluator(config, system, batch)
    result = config.train_phases(in_turn, looking, workdir=workdir, fresh=fresh)
    return result.says(
        "G's gradient from {minimax/1/norm:.3g} after one move of D to {minimax/norm:.3g} under "
        "minimax; under the non-saturating loss from {non_saturating/1/norm:.3g} to "
        "{non_saturating/norm:.3g}, its spread from {non_saturating/1/spread:.3g} to "
        "{non_saturating/spread:.3g}".format_map(result.metrics)
    )


if __name__ == "__main__":
    command.main("vanishing_gradients", run, CONFIGS, __doc__ or "")
