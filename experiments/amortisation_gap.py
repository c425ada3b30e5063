"""What an encoder loses (Cremer, Li & Duvenaud 2018).    python -m experiments.amortisation_gap

Trains the VAE of `experiments.iwae`, then gives every unseen image a Gaussian of its own and
refines it, from the encoder's answer and from the prior. log p(x) - bound = approximation gap (the
family) + amortisation gap (the encoder), split at the bound that is refined from the encoder's
answer. The last picture has the bounds on the way. `paper` is trained for as long as in the
authors' code, github.com/lxuechen/inference-suboptimality; there units are ELUs, no pixels are
drawn anew, and 1,000 training images are refined from the prior alone, until nothing moves.
Cost: a minute on 2 CPU cores; expect gaps of 1.4 and 5.0 nats (seed 0).
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import iwae
from experiments.command import main
from experiments.explicit import with_error
from gan_jax import losses
from gan_jax.games import DescentState, Weights, rows_step
from gan_jax.metrics import InferenceGaps, inference_gaps
from gan_jax.plots import save_curves
from gan_jax.systems import VAE, svi
from gan_jax.training.rundir import SAMPLES
from gan_jax.typing import Batch, KeyArray

Start: TypeAlias = Literal["encoder", "prior"]


@dataclass(frozen=True, kw_only=True)
class Config(iwae.Config):
    objective: Literal["iwae", "vae"] = "vae"
    num_samples: int = 1
    num_unseen: int = 100
    num_refinement_steps: int = 500
    """Steps of Adam for every image's own Gaussian."""
    refinement_learning_rate: float = 0.02
    """Its learning rate, which falls to 0 along a cosine."""
    num_refinement_samples: int = 10
    """Samples of each image in each of these steps; ten times as many score the result."""
    steps: int = 1_350


CONFIGS = {
    "digits": Config(),
    "paper": Config(
        dataset="mnist",
        schedule="paper",
        num_unseen=1_000,
        steps=1_968_000,
        steps_per_dispatch=1_000,
        evaluate_every=24_000,
        checkpoint_every=24_000,
    ),
}


class Result(NamedTuple):
    state: DescentState
    log_likelihood: np.ndarray
    bounds: dict[str, np.ndarray]
    gaps: InferenceGaps
    picture: Path

    def __str__(self) -> str:
        rows = {"log-likelihood": self.log_likelihood, **self.bounds}
        return "\n".join(
            [
                *(f"{name:28s} {with_error(values)} nats" for name, values in rows.items()),
                f"approximation gap {float(self.gaps.approximation):.2f}, amortisation gap "
                f"{float(self.gaps.amortisation):.2f} nats; picture in {self.picture}",
            ]
        )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train, refine from both starts, and split the gap."""
    trained = iwae.run(config, workdir, fresh=fresh)
    weights, unseen = trained.state.player.weights, trained.unseen
    key_refine, key_score = jax.random.split(trained.key)
    plain = replace(config, objective="vae", num_samples=config.num_refinement_samples)
    # The weights are trained, so that the mean they would start at does not matter.
    model = iwae.build(plain, jnp.zeros_like(unseen["image"][0]), kl="closed")

    @jax.jit
    def score(posterior) -> jax.Array:
        """The bound of each image, by the mean over many samples."""

        def sampled(key):
            return losses.elbo(*model.bound(key, weights, unseen, posterior))

        return jnp.mean(jax.lax.map(sampled, jax.random.split(key_score, 10)), axis=0)

    bounds = {"bound of the encoder": np.asarray(score(model.encode(weights, unseen)))}
    curves = {}
    for start in get_args(Start):
        refined, curves[f"refined from the {start}"] = refine(
            config, key_refine, model, weights, unseen, start
        )
        bounds[f"refined from the {start}"] = np.asarray(score(refined))
    amortised, best = bounds["bound of the encoder"], bounds["refined from the encoder"]
    log_likelihood = -trained.nll
    picture = workdir / SAMPLES / "bounds.png"
    if jax.process_index() == 0:
        ones = np.ones(config.num_refinement_steps)
        curves["encoder"] = ones * amortised.mean()
        curves["log-likelihood"] = ones * log_likelihood.mean()
        draw(picture, curves)
    gaps = inference_gaps(
        log_likelihood=jnp.asarray(log_likelihood),
        best_bound=jnp.asarray(best),
        amortised_bound=jnp.asarray(amortised),
    )
    return Result(trained.state, log_likelihood, bounds, gaps, picture)


def refine(config: Config, key: KeyArray, model: VAE, weights: Weights, batch: Batch, start: Start):
    """Move every image's Gaussian; give the table, and the mean bound along the way."""
    system = svi(model=model, trained=weights, start=start)
    rate = optax.cosine_decay_schedule(config.refinement_learning_rate, config.num_refinement_steps)
    optimizer = optax.adam(rate)
    step = partial(rows_step, objective=system.objective, optimizer=optimizer)
    examples = {**batch, "index": jnp.arange(len(batch["image"]))}

    @jax.jit
    def play(state: DescentState) -> tuple[DescentState, jax.Array]:
        def move(state, key):
            state, metrics = step(key, state, examples)
            return state, metrics["elbo"]

        return jax.lax.scan(move, state, jax.random.split(key, config.num_refinement_steps))

    state, bounds = play(system.init(batch, optimizer=optimizer))
    return state.player.weights.params, np.asarray(bounds)


def draw(path: Path, curves: dict[str, np.ndarray]) -> None:
    """From where both refined bounds can be told apart."""
    lowest = min(curves["encoder"][0], curves["refined from the encoder"].min())
    shown = {
        name: np.where(values < lowest - 10, np.nan, values) for name, values in curves.items()
    }
    save_curves(
        path,
        x=np.arange(1, len(curves["encoder"]) + 1),
        curves=shown,
        x_label="steps for each image's own Gaussian",
        y_label="nats, mean over images",
    )


if __name__ == "__main__":
    main("amortisation_gap", run, CONFIGS, __doc__ or "")
