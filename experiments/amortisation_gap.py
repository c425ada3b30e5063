"""What an encoder loses (Cremer, Li & Duvenaud 2018).    python -m experiments.amortisation_gap

Trains the VAE of `experiments.iwae`, then gives every unseen image a Gaussian of its own and
refines it, from the encoder's answer and from the prior. log p(x) - bound = approximation gap (the
family) + amortisation gap (the encoder), split at the bound that is refined from the encoder's
answer. The last picture has the bounds on the way. `paper` is trained for as long as in the
authors' code, github.com/lxuechen/inference-suboptimality; there units are ELUs, no pixels are
drawn anew, and 1,000 training images are refined from the prior alone, until nothing moves.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import iwae
from experiments.harness import command, likelihoods, options
from experiments.harness.bounds import Count, Rate, Several, Size
from experiments.iwae import build, evaluator
from gan_jax import losses, plots
from gan_jax.games import DescentState, rows_step
from gan_jax.metrics import inference_gaps
from gan_jax.systems import SVI
from gan_jax.typing import Batch

__all__ = ["CONFIGS", "Config", "build", "evaluator", "run"]

NUM_SCORES = 10
"""How many bounds, each of `num_refinement_samples`, are averaged in a score."""


@dataclass(frozen=True, kw_only=True)
class Config(iwae.Config):
    objective: Literal["iwae", "vae"] = "vae"
    num_samples: Size = 1
    num_unseen: Several = 100
    num_refinement_steps: Count = 500
    """Steps of Adam for every image's own Gaussian."""
    refinement_learning_rate: Rate = 0.02
    """Its learning rate, which falls to 0 along a cosine."""
    num_refinement_samples: Size = 10
    """Samples of each image in each of these steps; ten times as many score the result."""
    steps: Count = 1_350


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


def refine(config: Config, system: SVI, batch: Batch):
    """Move every image's Gaussian; give the table, and the mean bound along the way."""
    rate = optax.cosine_decay_schedule(config.refinement_learning_rate, config.num_refinement_steps)
    optimizer = optax.adam(rate)
    step = partial(rows_step, objective=system.objective, optimizer=optimizer)
    examples = {**batch, "index": jnp.arange(len(batch["image"]))}

    @jax.jit
    def play(state: DescentState) -> tuple[DescentState, jax.Array]:
        def move(state, key):
            state, metrics = step(key, state, examples)
            return state, metrics["elbo"]

        keys = jax.random.split(config.key("refine"), config.num_refinement_steps)
        return jax.lax.scan(move, state, keys)

    state, bounds = play(system.init(batch, optimizer=optimizer))
    return state.player.weights.params, np.asarray(bounds)


def picture(curves: dict[str, np.ndarray]) -> plots.Picture:
    """From where both refined bounds can be told apart."""
    lowest = min(curves["encoder"][0], curves["refined from the encoder"].min())
    shown = {
        name: np.where(values < lowest - 10, np.nan, values) for name, values in curves.items()
    }
    return plots.curves(
        x=np.arange(1, len(curves["encoder"]) + 1),
        curves=shown,
        x_label="steps for each image's own Gaussian",
        y_label="nats, mean over images",
    )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, refine from both starts, and split the gap."""
    result, trained, unseen = iwae.train(config, build, workdir, fresh=fresh)
    weights = result.state.player.weights
    model = replace(trained, kl="closed", num_samples=config.num_refinement_samples)

    @jax.jit
    def score(posterior) -> jax.Array:
        """The bound of each image, by the mean over many samples."""

        def sampled(key):
            return losses.elbo(*model.bound(key, weights, unseen, posterior))

        keys = jax.random.split(config.key("bounds"), NUM_SCORES)
        return jnp.mean(jax.lax.map(sampled, keys), axis=0)

    rows = {
        "log-likelihood": -config.negative_log_likelihoods(model.log_weights, weights, unseen),
        "encoder": np.asarray(score(model.encode(weights, unseen))),
    }
    curves = {name: np.full(config.num_refinement_steps, row.mean()) for name, row in rows.items()}
    for start in ("encoder", "prior"):
        system = SVI(model=model, trained=weights, start=start)
        refined, curves[f"refined from the {start}"] = refine(config, system, unseen)
        rows[f"refined from the {start}"] = np.asarray(score(refined))
    if jax.process_index() == 0:
        picture(curves).save(result.samples / "bounds.png")
    gaps = inference_gaps(
        log_likelihood=jnp.asarray(rows["log-likelihood"]),
        best_bound=jnp.asarray(rows["refined from the encoder"]),
        amortised_bound=jnp.asarray(rows["encoder"]),
    )
    lines = [f"{name:28s} {likelihoods.with_error(row)} nats" for name, row in rows.items()]
    lines.append(
        f"approximation gap {float(gaps.approximation):.2f}, amortisation gap "
        f"{float(gaps.amortisation):.2f} nats"
    )
    scores = {name: row.mean() for name, row in rows.items()} | gaps._asdict()
    return result.says("\n".join(lines), scores)


if __name__ == "__main__":
    command.main("amortisation_gap", run, CONFIGS, __doc__ or "")
