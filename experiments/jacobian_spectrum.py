"""The spectrum of a small GAN along its training.    python -m experiments.jacobian_spectrum

Trains the same GAN on a ring of Gaussians plainly, with R1, and by consensus optimisation, and
computes all eigenvalues of the Jacobian of the field that each descends, at the point where it is.
Eigenvalues left of the imaginary axis repel; those near it, far from the real axis, rotate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from experiments.harness import command, options, text
from experiments.harness.bounds import Count, Rate, Size, Weight
from gan_jax import data, games, losses, plots
from gan_jax.games.analysis import (
    eigenvalues,
    game_jacobian,
    rotation_share,
    spectrum_extent,
    step_jacobian,
)
from gan_jax.metrics import mode_coverage
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation
from gan_jax.typing import Batch, Step

MIXTURE = data.ring()
NUM_SAMPLES = 2_500
NUM_EXAMPLES = 512
"""In the one batch on which every spectrum is taken."""


@dataclass(frozen=True, kw_only=True)
class Config(options.RunOptions):
    width: Size = 12
    """Units in each of the two hidden layers of both networks."""
    r1_weight: Weight = 1.0
    """γ of R1's γ/2 ‖∇D‖²."""
    consensus_weight: Weight = 1.0
    """γ of consensus optimisation."""
    batch_size: Size = 256
    """Real points, and as many fakes, in each step."""
    learning_rate: Rate = 1e-3
    """Adam's, for both players, which move at once; beta1 is 0.5."""
    steps: Count = 6_000
    steps_per_dispatch: Count = 500
    evaluate_every: Count = 1_500
    checkpoint_every: Count = 1_500


CONFIGS = {"ring": Config()}


class Variant(NamedTuple):
    """A game and the step that plays it with given optimisers."""

    system: GAN
    step: Any

    def play(self, optimizer: optax.GradientTransformation) -> Step:
        optimizers = games.Optimizers(generator=optimizer, discriminator=optimizer)
        return partial(self.step, game=self.system.game, optimizers=optimizers)


def build(config: Config, batch: Batch | None = None) -> dict[str, Variant]:
    game = partial(
        GAN,
        generator=MLPGenerator((2,), (config.width,) * 2, activation=nn.tanh),
        discriminator=MLPDiscriminator((config.width,) * 2, activation=nn.tanh),
        loss=losses.non_saturating(),
        latents=networks.normal(2),
        field="point",
    )
    r1 = game(
        discriminator_terms={"r1": lambda r: config.r1_weight / 2 * losses.r1(r.critic, r.real)}
    )
    return {
        "plain": Variant(game(), games.simultaneous_step),
        "r1": Variant(r1, games.simultaneous_step),
        "consensus": Variant(game(), partial(games.consensus_step, weight=config.consensus_weight)),
    }


def evaluator(config: Config, variants: dict[str, Variant]) -> options.Evaluate:
    """Compute every spectrum on one batch of examples, and count the modes that are covered."""
    fields = {name: jacobians_of(variant) for name, variant in variants.items()}

    def evaluate(key, state) -> Evaluation:
        key_data, key_game, key_samples = jax.random.split(key, 3)
        points = draw(key_data, NUM_EXAMPLES)
        titles, metrics = {}, {}
        for name, variant in variants.items():
            of_step, of_game = fields[name](key_game, state[name], points)
            values = eigenvalues(jnp.eye(len(of_step)) - of_step)
            titles[f"{name}, step {int(state[name].step)}"] = values
            samples = variant.system.sample(key_samples, state[name].generator.weights, NUM_SAMPLES)
            extent = spectrum_extent(values)._asdict()
            metrics |= {f"{name}/{what}": x for what, x in extent.items()}
            metrics[f"{name}/rotation"] = rotation_share(of_game)
            metrics[f"{name}/modes"] = mode_coverage(samples, MIXTURE.means, MIXTURE.std).modes
        picture = plots.eigenvalues(titles, of_step=False, linear_below=0.1)
        return Evaluation({"spectra": picture}, metrics)

    return evaluate


def jacobians_of(variant: Variant) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Of a step of plain descent of rate 1, z - field(z), and of the game's own field."""
    descent = optax.sgd(1.0)
    step = variant.play(descent)

    @jax.jit
    def jacobians(key, state: games.GameState, batch: Batch) -> tuple[jax.Array, jax.Array]:
        start = games.init(
            generator=state.generator.weights,
            discriminator=state.discriminator.weights,
            optimizers=games.Optimizers(generator=descent, discriminator=descent),
        )
        of_step = step_jacobian(key, start, batch, step=step)
        return of_step, game_jacobian(key, start, batch, game=variant.system.game)

    return jacobians


def draw(key, num: int) -> Batch:
    return {"point": data.mixtures.sample(key, MIXTURE, num)}


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train the three from the same weights on the same points, and look at them on the way."""
    adam = optax.adam(config.learning_rate, b1=0.5)
    variants = build(config)
    optimizers = games.Optimizers(generator=adam, discriminator=adam)
    blank = {"point": jnp.zeros((1, 2))}
    result = config.train(
        games.together({name: variant.play(adam) for name, variant in variants.items()}),
        {
            name: variant.system.init(config.key("init"), blank, optimizers=optimizers)
            for name, variant in variants.items()
        },
        data.drawn_feed(draw, batch_size=config.batch_size),
        evaluator(config, variants),
        workdir=workdir,
        fresh=fresh,
        shown=("plain/discriminator/loss", "r1/discriminator/loss"),
        unit="points",
    )
    return result.says(text.columns(result.metrics, ".3g"))


if __name__ == "__main__":
    command.main("jacobian_spectrum", run, CONFIGS, __doc__ or "")
