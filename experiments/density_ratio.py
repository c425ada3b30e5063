"""A discriminator knows the ratio of densities.    python -m experiments.density_ratio

Two Gaussians, N(0, 1) and N(1, 1): log p/q = 1/2 - x. A logistic discriminator and three critics of
f-GAN are trained to tell their samples apart, and the ratio is read back from each.
Cost: 20 seconds on 2 CPU cores; expect log ratios within 0.02 on the bulk, Pearson's within 0.12
(3 seeds).
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.command import main
from experiments.options import RunOptions
from gan_jax import data, losses
from gan_jax.games import DescentState, PlayerOutcome, Weights, descent_step, init_descent
from gan_jax.nets import MLPDiscriminator
from gan_jax.plots import save_curves
from gan_jax.training.rundir import SAMPLES

ESTIMATORS = {
    "logistic": (losses.non_saturating(), losses.logistic_density_ratio),
    **{
        name: (losses.f_gan(row), partial(losses.density_ratio, row))
        for name, row in {
            "kl": losses.fdivergence.kl(),
            "reverse_kl": losses.fdivergence.reverse_kl(),
            "pearson_chi2": losses.fdivergence.pearson_chi2(),
        }.items()
    },
}
GRID = np.linspace(-1.0, 2.0, 61, dtype=np.float32)
"""The bulk of both: within one standard deviation outside of the means."""
EXACT = 0.5 - GRID


@dataclass(frozen=True, kw_only=True)
class Config(RunOptions):
    width: int = 32
    """Units in each of the two hidden layers."""
    batch_size: int = 2_048
    """Samples of each of the two in a step."""
    learning_rate: float = 3e-3
    """Adam's, lowered along half a cosine to nothing."""
    decay_steps: int = 3_000
    """How many steps that takes."""
    steps: int = 3_000
    steps_per_dispatch: int = 100
    evaluate_every: int = 1_000
    checkpoint_every: int = 1_000


CONFIGS = {"gaussians": Config()}


class Result(NamedTuple):
    state: dict[str, DescentState]
    log_ratios: dict[str, np.ndarray]
    picture: Path

    def __str__(self) -> str:
        found = []
        for name, log_ratio in self.log_ratios.items():
            slope, intercept = np.polyfit(GRID, log_ratio, 1)
            worst = np.max(np.abs(log_ratio - EXACT))
            found.append(f"{name} {intercept:.3f} {slope:+.3f} x (largest error {worst:.3f})")
        return f"log p/q = 0.5 - x, found: {'; '.join(found)}; picture in {self.picture}"


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train all discriminators on the same samples, and read the ratio back."""
    network = MLPDiscriminator((config.width,) * 2)
    optimizer = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.decay_steps))
    key_run, key_init = config.keys(2)
    variables: Any = network.init(key_init, jnp.zeros((1, 1)))
    state = {
        name: init_descent(weights=Weights(params=variables["params"]), optimizer=optimizer)
        for name in ESTIMATORS
    }

    def objective(loss, *, weights, batch, key):
        outputs = [network.apply({"params": weights.params}, batch[name]) for name in ("p", "q")]
        return PlayerOutcome(jnp.mean(loss.real(outputs[0])) + jnp.mean(loss.fake(outputs[1])))

    def step(key, state, batch):
        p, q = jax.random.normal(key, (2, config.batch_size, 1))
        moved, found = {}, {}
        for name, (loss, _) in ESTIMATORS.items():
            moved[name], metrics = descent_step(
                key,
                state[name],
                {"p": p, "q": q + 1},
                objective=partial(objective, loss),
                optimizer=optimizer,
            )
            found |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return moved, found

    def log_ratios(state: dict[str, DescentState]) -> dict[str, np.ndarray]:
        found = {}
        for name, (_, ratio) in ESTIMATORS.items():
            params = state[name].player.weights.params
            output: Any = network.apply({"params": params}, jnp.asarray(GRID)[:, None])
            # A chi-squared critic may ask for a negative ratio before it is trained.
            found[name] = np.log(np.maximum(ratio(output), 1e-6))
        return found

    def picture_at(step: int) -> Path:
        return workdir / SAMPLES / f"{step:06d}.png"

    def evaluate(step: int, state: dict[str, DescentState]) -> dict[str, float]:
        found = log_ratios(state)
        save_curves(
            picture_at(step),
            x=GRID,
            curves={"exact": EXACT, **found},
            x_label="x",
            y_label="log p(x)/q(x)",
        )
        return {f"{name}/error": float(np.max(np.abs(y - EXACT))) for name, y in found.items()}

    state = config.train(
        step,
        state,
        data.no_feed(),
        evaluate,
        key=key_run,
        workdir=workdir,
        fresh=fresh,
        batch_size=2 * config.batch_size,
        shown=("logistic/loss",),
        unit="points",
    )
    return Result(state, log_ratios(state), picture_at(int(state["logistic"].step)))


if __name__ == "__main__":
    main("density_ratio", run, CONFIGS, __doc__ or "")
