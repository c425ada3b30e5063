"""f-GAN fits a Gaussian to a mixture (Nowozin et al. 2016).    python -m experiments.fgan_gaussian

Each divergence draws the same Gaussian to another place: the mode, the mean, or between. Prints the
learned mean and deviation beside the optimum, and every divergence of every fit.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from experiments.harness import command, options, population, published, text
from experiments.harness.bounds import Count, Decay, Rate, Several, Size
from gan_jax import data, games, losses, plots
from gan_jax.metrics import (
    closest_normal,
    f_divergence,
    f_gan_bound,
    normal_on_grid,
    normals_on_grid,
    spread,
)
from gan_jax.nets import LocationScale, MLPDiscriminator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation
from gan_jax.typing import Batch

ROWS = {
    "kl": losses.fdivergence.kl(),
    "reverse_kl": losses.fdivergence.reverse_kl(),
    "jensen_shannon": losses.fdivergence.jensen_shannon(),
    "jeffrey": losses.fdivergence.jeffrey(),
    "pearson_chi2": losses.fdivergence.pearson_chi2(),
}
WEIGHTS, MEANS, VARIANCES = (0.33, 0.67), (-1.0, 2.0), (0.065, 2.0)
"""The mixture is not printed with the table; these numbers give it to within 0.0008."""
GRID = np.linspace(-14, 16, 6_001)
MIXTURE = np.array(WEIGHTS) @ normals_on_grid(GRID, MEANS, np.sqrt(VARIANCES))
"""The mixture's mass at each point of the grid."""


@dataclass(frozen=True, kw_only=True)
class Config(population.PopulationOptions):
    generator: Literal["minimax", "heuristic"] = "minimax"
    """What the generator does: minimise the bound, or maximise its first term on fakes."""
    num_seeds: Several = 5
    batch_size: Size = 1_024
    """Real points, and as many fakes, in each step of each run."""
    learning_rate: Rate = 3e-3
    """Adam's for the generator."""
    critic_learning_rate: Rate = 3e-3
    """Adam's for the critic."""
    width: Size = 64
    """Units in each of the critic's two hidden layers."""
    average_decay: Decay = 0.998
    """Decay of the moving average of mean and deviation, which are reported."""
    steps: Count = 3_000
    steps_per_dispatch: Count = 250
    evaluate_every: Count = 1_000
    checkpoint_every: Count = 1_000


CONFIGS = {"table": Config()}


def build(config: Config, batch: Batch | None = None) -> dict[str, GAN]:
    """A game for each divergence."""
    return {
        name: GAN(
            generator=LocationScale(),
            discriminator=MLPDiscriminator((config.width,) * 2, activation=nn.tanh),
            loss=losses.f_gan(row, generator=config.generator),
            latents=networks.normal(1),
            field="point",
        )
        for name, row in ROWS.items()
    }


def evaluator(config: Config, systems: dict[str, GAN]) -> options.Evaluate:
    """Read every fit off, and draw the densities."""

    def evaluate(key, state) -> Evaluation:
        fits = {name: measure(name, state[name], system) for name, system in systems.items()}
        metrics = {}
        for name, fit in fits.items():
            for what, values in fit.items():
                mean, std, _ = spread(values)
                metrics |= {f"{name}/{what}": mean, f"{name}/{what}/std": std}
        return Evaluation({"densities": densities(fits)}, metrics)

    return evaluate


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Fit by every divergence, from all seeds at once."""
    systems = build(config)
    optimizers = games.Optimizers(
        generator=optax.adam(config.learning_rate, b1=0.5),
        discriminator=optax.adam(config.critic_learning_rate, b1=0.5),
    )

    def init(system: GAN, key):
        blank = {"point": jnp.zeros((1, 1))}
        return games.exponential_average_memory(system.init(key, blank, optimizers=optimizers))

    def step_of(system: GAN):
        step = partial(games.simultaneous_step, game=system.game, optimizers=optimizers)
        return games.population(games.exponential_average(step, decay=config.average_decay))

    def draw(key, num_seeds: int):
        keys = jax.random.split(key, num_seeds)
        return {"point": jax.vmap(lambda key: mixture(key, config.batch_size))(keys)}

    result = config.train(
        games.together({name: step_of(system) for name, system in systems.items()}),
        {name: config.members(partial(init, system)) for name, system in systems.items()},
        data.drawn_feed(draw, batch_size=config.examples_per_step),
        evaluator(config, systems),
        workdir=workdir,
        fresh=fresh,
        unit="fits",
    )
    return result.says(table(result.metrics))


def mixture(key, num: int) -> Float[jax.Array, "num 1"]:
    key_which, key_noise = jax.random.split(key)
    which = jax.random.bernoulli(key_which, WEIGHTS[1], (num, 1)).astype(int)
    deviations = jnp.sqrt(jnp.array(VARIANCES))
    return jnp.array(MEANS)[which] + deviations[which] * jax.random.normal(key_noise, (num, 1))


def optimum(name: str) -> tuple[float, float, float]:
    """The least divergence of any Gaussian, with its mean and deviation."""
    return closest_normal(lambda p, q: float(f_divergence(ROWS[name], p, q)), MIXTURE, GRID)


def fit_of(weights: games.Weights) -> tuple[np.ndarray, np.ndarray]:
    """The means and the deviations of all seeds' generators."""
    params = jax.device_get(weights.params)
    return params["mean"].ravel(), np.exp(params["log_deviation"].ravel())


def measure(name: str, state: games.GameState, system: GAN) -> dict[str, np.ndarray]:
    """Read off the averaged generators, and take the critics' bounds at the current ones.

    Over seeds: `mean`, `deviation`, the `bound`, its expectations computed on a grid, and every
    divergence of the table between the mixture and the fit.
    """
    mean, deviation = fit_of(games.averaged(state).generator)
    fits = normals_on_grid(GRID, mean, deviation)
    grid = jnp.asarray(GRID, jnp.float32)[:, None]
    outputs = jax.vmap(system.discriminate, (0, None))(state.discriminator.weights, grid)
    now = normals_on_grid(GRID, *fit_of(state.generator.weights))
    bound = f_gan_bound(losses.f_gan(ROWS[name]), outputs, MIXTURE, now)
    divergences = {row: f_divergence(of, MIXTURE, fits) for row, of in ROWS.items()}
    return {"mean": mean, "deviation": deviation, "bound": bound, **divergences}


def table(metrics) -> str:
    """The paper's table 2 beside ours, and each fit by each divergence."""

    def learned(name: str, what: str) -> str:
        return text.plus_minus(metrics[f"{name}/{what}"], metrics[f"{name}/{what}/std"], 4)

    rows = [
        ["", "D_f at", "optimum", "bound", "mean", "", "", "deviation", "", ""],
        ["divergence", "ours", "paper", "learned", *("learned", "optimum", "paper") * 2],
    ]
    for name, reported in published.F_GAN.items():
        pairs = zip(optimum(name), reported, strict=True)
        least, mean, deviation = [[f"{ours:.4f}", f"{theirs:.4f}"] for ours, theirs in pairs]
        mean, deviation = [learned(name, "mean"), *mean], [learned(name, "deviation"), *deviation]
        rows.append([name, *least, learned(name, "bound"), *mean, *deviation])
    matrix = [[name, *(learned(name, column) for column in ROWS)] for name in ROWS]
    return f"{text.table(rows)}\n\n{text.table([['trained by', *ROWS], *matrix])}"


def densities(fits: dict[str, dict[str, np.ndarray]]) -> plots.Picture:
    shown, curves = np.abs(GRID) < 6, {"mixture": MIXTURE}
    for name, fit in fits.items():
        curves[name] = normal_on_grid(GRID, fit["mean"].mean(), fit["deviation"].mean())
    return plots.curves(
        x=GRID[shown],
        curves={name: mass[shown] / (GRID[1] - GRID[0]) for name, mass in curves.items()},
        x_label="x",
        y_label="density",
    )


if __name__ == "__main__":
    command.main("fgan_gaussian", run, CONFIGS, __doc__ or "")
