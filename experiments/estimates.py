"""Which loss follows quality? (WGAN, figures 3 and 4)    python -m experiments.estimates

Trains a GAN and a WGAN on a ring of Gaussians, and takes along the runs what the discriminators
estimate, JS ≥ log 2 - L_D/2 and W ≈ E f(x) - E f(G(z)), beside the Wasserstein distance of samples
to data: exact between 500 of each, where two sets of 500 real points are 0.08 ± 0.02 apart.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from scipy import stats

from experiments.harness import command, history, options, play
from experiments.harness.bounds import Count, Rate, Size, Weight
from gan_jax import data, games, losses, metrics, plots
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation
from gan_jax.typing import Batch

MIXTURE = data.ring()
NUM_SAMPLES = 500
"""Between which the distance is computed."""


@dataclass(frozen=True, kw_only=True)
class Config(play.MovesOptions):
    width: Size = 64
    """Units in each of the three hidden layers of all networks."""
    penalty_weight: Weight = 1.0
    """Of the WGAN's gradient penalty."""
    num_discriminator_steps: Count = 10
    batch_size: Size = 128
    learning_rate: Rate = 1e-4
    """Adam's, for both generators."""
    discriminator_learning_rate: Rate = 1e-3
    """Adam's, for both discriminators: theirs is higher, to be near the best ones."""
    steps: Count = 1_000
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 25
    checkpoint_every: Count = 500


CONFIGS = {"ring": Config()}


def build(config: Config, batch: Batch | None = None) -> dict[str, GAN]:
    widths = (config.width,) * 3
    game = partial(
        GAN,
        generator=MLPGenerator((2,), widths),
        discriminator=MLPDiscriminator(widths),
        latents=networks.normal(2),
        field="point",
    )

    def penalty(r):
        return config.penalty_weight * losses.gradient_penalty(r.critic, r.real, r.fake, r.key)

    return {
        "gan": game(loss=losses.non_saturating()),
        "wgan": game(loss=losses.wasserstein(), discriminator_terms={"penalty": penalty}),
    }


def critic_gap(real: jax.Array, fake: jax.Array) -> jax.Array:
    """E f(x) - E f(G(z)), from a critic's scores: W, if it is the best one of slope 1."""
    return jnp.mean(real) - jnp.mean(fake)


ESTIMATES = {"gan": losses.jensen_shannon_bound, "wgan": critic_gap}


def evaluator(config: Config, systems: dict[str, GAN], workdir: Path) -> options.Evaluate:
    """Take both estimates and both distances, and draw them so far."""

    @partial(jax.jit, static_argnums=0)
    def look(name, key, real, state: games.GameState):
        system = systems[name]
        fake = system.sample(key, state.generator.weights, NUM_SAMPLES)
        judge = partial(system.discriminate, state.discriminator.weights)
        return fake, ESTIMATES[name](judge(real), judge(fake))

    def evaluate(key, state) -> Evaluation:
        key_real, key_fake = jax.random.split(key)
        real = draw(key_real, NUM_SAMPLES)["point"]
        measured: dict[str, float] = {}
        for name in systems:
            fake, estimate = look(name, key_fake, real, state[name])
            measured[f"{name}/estimate"] = float(estimate)
            measured[f"{name}/distance"] = metrics.wasserstein(real, fake)
        past = history.up_to(workdir, {"step": int(state["gan"].step), **measured})
        files = {}
        for name, what in (("gan", "D's estimate of JS"), ("wgan", "the critic's estimate of W")):
            along = past[f"{name}/estimate"], past[f"{name}/distance"]
            if len(past["step"]) > 2:
                ranked: Any = stats.spearmanr(*along)
                measured[f"{name}/correlation"] = float(ranked.statistic)
            curves = dict(zip((what, "W of samples to data"), along, strict=True))
            files[name] = plots.curves(
                x=past["step"], curves=curves, x_label="step", y_label="", title=name.upper()
            )
        return Evaluation(files, measured)

    return evaluate


def draw(key, num: int) -> Batch:
    return {"point": data.mixtures.sample(key, MIXTURE, num)}


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train both on the same points, and follow the estimates."""
    systems = build(config)
    optimizers = games.Optimizers(
        generator=optax.adam(config.learning_rate, b1=0.5, b2=0.9),
        discriminator=optax.adam(config.discriminator_learning_rate, b1=0.5, b2=0.9),
    )
    blank = {"point": jnp.zeros((1, 2))}
    result = config.train(
        games.together({n: config.alternating(s, optimizers) for n, s in systems.items()}),
        {
            name: system.init(config.key("init"), blank, optimizers=optimizers)
            for name, system in systems.items()
        },
        data.drawn_feed(draw, batch_size=config.examples_per_step),
        evaluator(config, systems, workdir),
        workdir=workdir,
        fresh=fresh,
        shown=("gan/discriminator/loss", "wgan/discriminator/loss"),
        unit="points",
    )
    if "gan/correlation" not in result.metrics:
        return result.says(
            "fewer than three evaluations have no correlation: give more --steps, or a smaller "
            "--evaluate-every"
        )
    read = [f"{name} {result.metrics[f'{name}/correlation']:.2f}" for name in systems]
    return result.says(
        f"rank correlation of estimate and distance along the run: {', '.join(read)}"
    )


if __name__ == "__main__":
    command.main("estimates", run, CONFIGS, __doc__ or "")
