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

from experiments.harness import command, options
from experiments.harness.bounds import Count, Decay, Rate, Several
from gan_jax import data, games, losses, plots
from gan_jax.metrics import closest_normal, normal_on_grid
from gan_jax.nets import LocationScale, MLPDiscriminator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation

ROWS = {
    "kl": losses.fdivergence.kl(),
    "reverse_kl": losses.fdivergence.reverse_kl(),
    "jensen_shannon": losses.fdivergence.jensen_shannon(),
    "jeffrey": losses.fdivergence.jeffrey(),
    "pearson_chi2": losses.fdivergence.pearson_chi2(),
}
PAPER = {  # table 2: the divergence at the optimum, its mean and its deviation
    "kl": (0.2831, 1.0100, 1.8308),
    "reverse_kl": (0.2480, 1.5782, 1.6319),
    "jensen_shannon": (0.1280, 1.3070, 1.7542),
    "jeffrey": (0.5705, 1.3218, 1.7034),
    "pearson_chi2": (0.6457, 0.5737, 1.9274),
}
WEIGHTS, MEANS, VARIANCES = (0.33, 0.67), (-1.0, 2.0), (0.065, 2.0)
"""The mixture is not printed with the table; these numbers give it to within 0.0008."""
GRID = np.linspace(-14, 16, 6_001)


@dataclass(frozen=True, kw_only=True)
class Config(options.RunOptions):
    generator: Literal["minimax", "heuristic"] = "minimax"
    """What the generator does: minimise the bound, or maximise its first term on fakes."""
    num_seeds: Several = 5
    """Runs of each divergence, all at once."""
    batch_size: Count = 1_024
    """Real points, and as many fakes, in each step of each run."""
    learning_rate: Rate = 3e-3
    """Adam's for the generator."""
    critic_learning_rate: Rate = 3e-3
    """Adam's for the critic."""
    width: Count = 64
    """Units in each of the critic's two hidden layers."""
    average_decay: Decay = 0.998
    """Decay of the moving average of mean and deviation, which are reported."""
    steps: Count = 3_000
    steps_per_dispatch: Count = 250
    evaluate_every: Count = 1_000
    checkpoint_every: Count = 1_000

    @property
    def examples_per_step(self) -> int:
        return self.num_seeds


CONFIGS = {"table": Config()}


def build(config: Config) -> dict[str, GAN]:
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
        metrics = {
            f"{name}/{what}{ending}": float(of(values))
            for name, fit in fits.items()
            for what, values in fit.items()
            for ending, of in (("", np.mean), ("/std", np.std))
        }
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

    def play(system: GAN):
        """All seeds of one divergence play a step, each on data of its own."""
        step = partial(games.simultaneous_step, game=system.game, optimizers=optimizers)
        each = jax.vmap(games.exponential_average(step, decay=config.average_decay))

        def of_all(key, state, batch):
            state, metrics = each(jax.random.split(key, config.num_seeds), state, batch)
            return state, {name: jnp.mean(values) for name, values in metrics.items()}

        return of_all

    def draw(key, num_seeds: int):
        keys = jax.random.split(key, num_seeds)
        return {"point": jax.vmap(lambda key: mixture(key, config.batch_size))(keys)}

    seeds = jax.random.split(config.key("init"), config.num_seeds)
    result = config.train(
        games.together({name: play(system) for name, system in systems.items()}),
        {name: jax.vmap(partial(init, system))(seeds) for name, system in systems.items()},
        data.drawn_feed(draw, batch_size=config.examples_per_step),
        evaluator(config, systems),
        workdir=workdir,
        fresh=fresh,
        unit="fits",
    )
    return result.says(f"{table(result.metrics)}\n\n{matrix(result.metrics)}")


def mixture(key, num: int) -> Float[jax.Array, "num 1"]:
    key_which, key_noise = jax.random.split(key)
    which = jax.random.bernoulli(key_which, WEIGHTS[1], (num, 1)).astype(int)
    deviations = jnp.sqrt(jnp.array(VARIANCES))
    return jnp.array(MEANS)[which] + deviations[which] * jax.random.normal(key_noise, (num, 1))


MIXTURE = sum(
    (
        w * normal_on_grid(GRID, m, v**0.5)
        for w, m, v in zip(WEIGHTS, MEANS, VARIANCES, strict=True)
    ),
    np.zeros(len(GRID)),
)
"""The mixture's mass at each point of the grid."""


def divergence(name: str, p: np.ndarray, q: np.ndarray) -> float:
    """D_f(p ‖ q), the integral on the grid."""
    with jax.enable_x64(True):
        return float(_divergence(name, p, q))


@partial(jax.jit, static_argnums=0)
def _divergence(name, p, q):
    return losses.divergence_between(ROWS[name], p, q)


def optimum(name: str) -> tuple[float, float, float]:
    """The least divergence of any Gaussian, with its mean and deviation."""
    return closest_normal(partial(divergence, name), MIXTURE, GRID)


def measure(name: str, state: games.GameState, system: GAN) -> dict[str, np.ndarray]:
    """Read off the averaged generators, and take the critics' bounds at the current ones.

    Over seeds: `mean`, `deviation`, the `bound`, its expectations computed on a grid, and every
    divergence of the table between the mixture and the fit.
    """
    params = jax.device_get(games.averaged(state).generator.params)
    means, deviations = params["mean"].ravel(), np.exp(params["log_deviation"].ravel())
    now = jax.device_get(state.generator.weights.params)
    grid = jnp.asarray(GRID, jnp.float32)[:, None]
    outputs = jax.vmap(lambda weights: system.discriminate(weights, grid))(
        state.discriminator.weights
    )
    loss, p = losses.f_gan(ROWS[name]), MIXTURE
    bounds = []
    for output, mean, log_deviation in zip(
        outputs, now["mean"].ravel(), now["log_deviation"].ravel(), strict=True
    ):
        q = normal_on_grid(GRID, mean, np.exp(log_deviation))
        bounds.append(-p @ np.asarray(loss.real(output)) - q @ np.asarray(loss.fake(output)))
    fits = [normal_on_grid(GRID, *at) for at in zip(means, deviations, strict=True)]
    measured = {"mean": means, "deviation": deviations, "bound": np.array(bounds)}
    return measured | {row: np.array([divergence(row, p, q) for q in fits]) for row in ROWS}


def table(metrics) -> str:
    """The paper's table 2 beside ours."""
    lines = [
        f"{'':16s} {'D_f at optimum':>16s} {'bound':>17s} {'mean':>16s} {'deviation':>33s}",
        f"{'divergence':16s} {'ours':>8s} {'paper':>8s} {'learned':>16s}"
        + 2 * f" {'learned':>16s} {'optimum':>8s} {'paper':>7s}",
    ]
    for name in ROWS:
        least, mean, deviation = optimum(name)
        paper_least, paper_mean, paper_deviation = PAPER[name]
        lines.append(
            f"{name:16s} {least:8.4f} {paper_least:8.4f} {spread(metrics, name, 'bound'):>16s} "
            f"{spread(metrics, name, 'mean'):>16s} {mean:8.4f} {paper_mean:7.4f} "
            f"{spread(metrics, name, 'deviation'):>16s} {deviation:8.4f} {paper_deviation:7.4f}"
        )
    return "\n".join(lines)


def matrix(metrics) -> str:
    """Each fit by each divergence: trained by the row, measured by the column."""
    lines = [f"{'trained by':16s} " + " ".join(f"{name:>16s}" for name in ROWS)]
    lines += [
        f"{name:16s} " + " ".join(f"{spread(metrics, name, column):>16s}" for column in ROWS)
        for name in ROWS
    ]
    return "\n".join(lines)


def spread(metrics, name: str, what: str) -> str:
    return f"{metrics[f'{name}/{what}']:.4f} ± {metrics[f'{name}/{what}/std']:.4f}"


def densities(fits: dict[str, dict[str, np.ndarray]]) -> plots.Picture:
    shown = np.abs(GRID) < 6
    fitted = {
        row: normal_on_grid(GRID, fit["mean"].mean(), fit["deviation"].mean())
        for row, fit in fits.items()
    }
    masses = {"mixture": MIXTURE, **fitted}
    return plots.curves(
        x=GRID[shown],
        curves={name: mass[shown] / (GRID[1] - GRID[0]) for name, mass in masses.items()},
        x_label="x",
        y_label="density",
    )


if __name__ == "__main__":
    command.main("fgan_gaussian", run, CONFIGS, __doc__ or "")
