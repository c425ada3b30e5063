"""How a GAN learns (Goodfellow et al. 2014, figure 1).    python -m experiments.learning_process

Data from N(2, 1), latents uniform. Draws, at moments of one run, the densities of the data and of
what is made, D beside the best D against it, and where G takes the latents. In the end D is about
1/2, and G contracts the latents where data are dense.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import stats

from experiments.harness import command, moments, options, play, rates
from experiments.harness.bounds import Count, Rate, Size
from gan_jax import data, games, losses, metrics, plots
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation
from gan_jax.typing import Batch

SHOWN = (0, 20, 100, 500)
"""The steps of the picture, beside the newest one."""
LATENTS = np.linspace(-1, 1, 4_001, dtype=np.float32)
EDGES = np.linspace(-2, 6, 401)
X = (EDGES[:-1] + EDGES[1:]) / 2
DATA = stats.norm.pdf(X, loc=2)
NUM_SAMPLES = 50_000
ARROWS = np.linspace(0, len(LATENTS) - 1, 25).astype(int)
"""The latents from which arrows lead."""


@dataclass(frozen=True, kw_only=True)
class Config(play.MovesOptions, rates.CosineOptions, moments.MomentOptions):
    width: Size = 32
    """Units in each of the two hidden layers of both networks."""
    num_discriminator_steps: Count = 10
    """Moves of D in a step, so that it is near the best one."""
    batch_size: Size = 256
    learning_rate: Rate = 2e-3
    """Adam's, for both players, lowered along half a cosine to nothing; beta1 is 0."""
    decay_steps: Count = 2_000
    steps: Count = 2_000
    steps_per_dispatch: Count = 100
    evaluate_every: Count = 500
    checkpoint_every: Count = 500


CONFIGS = {"normal": Config()}


def build(config: Config, batch: Batch | None = None) -> GAN:
    return GAN(
        generator=MLPGenerator((1,), (config.width,) * 2, activation=nn.tanh),
        discriminator=MLPDiscriminator((config.width,) * 2, activation=nn.tanh),
        loss=losses.non_saturating(),
        latents=networks.uniform(1),
        field="point",
    )


def weights_of(state: games.GameState) -> tuple[games.Weights, games.Weights]:
    return state.generator.weights, state.discriminator.weights


def evaluator(config: Config, system: GAN) -> options.Evaluate:
    """Compare D with the best one, and what is made with the data, at all moments so far."""

    @jax.jit
    @jax.vmap
    def look(weights):
        """G and its slope along the latents, and D along x."""
        made = metrics.values_and_slopes(partial(system.generate, weights[0]), LATENTS)
        judged = nn.sigmoid(system.discriminate(weights[1], jnp.asarray(X, jnp.float32)[:, None]))
        return *made, judged

    sample = jax.jit(system.sample, static_argnums=2)

    def evaluate(key, state) -> Evaluation:
        steps, past = moments.so_far(state, SHOWN)
        shown, measured = {}, {}
        for step, *seen in zip(steps, *map(np.asarray, look(past)), strict=True):
            moment, numbers = at_moment(*seen)
            shown[f"step {step}"] = moment
            prefix = "" if step == steps[-1] else f"{step}/"
            measured |= {f"{prefix}{name}": value for name, value in numbers.items()}
        samples = np.asarray(sample(key, state.generator.weights, NUM_SAMPLES))[:, 0]
        measured["density_error"] = density_error(moment.generated, samples)
        picture = plots.learning_process(x=X, data=DATA, moments=shown)
        return Evaluation({"process": picture}, measured)

    return evaluate


def at_moment(made, slopes, judged) -> tuple[plots.Moment, dict[str, float]]:
    """What is drawn and measured: made and slopes along LATENTS, judged along X.

    from_half, from_best: E |D - 1/2| and E |D - D*| over the data. jensen_shannon: between masses
    of bins, what is made outside of them being in one more. contraction: the rank correlation of
    |G'(z)| with the data's density at G(z), -1 where G contracts as it should.
    """
    generated = metrics.pushforward_density(
        X, made=made, slopes=slopes, density=np.full_like(LATENTS, 0.5)
    )
    best, share = DATA / (DATA + generated), DATA / DATA.sum()
    mass, outside = np.histogram(made, EDGES)[0], np.sum((made < EDGES[0]) | (made > EDGES[-1]))
    divergence = metrics.jensen_shannon_on_grid([*DATA, 0], [*mass, outside])
    ranked: Any = stats.spearmanr(np.abs(slopes), stats.norm.logpdf(made, loc=2))
    return plots.Moment(generated, judged, best, made[ARROWS]), {
        "from_half": float(share @ np.abs(judged - 0.5)),
        "from_best": float(share @ np.abs(judged - best)),
        "jensen_shannon": float(divergence),
        "contraction": float(ranked.statistic),
    }


def density_error(generated: np.ndarray, samples: np.ndarray) -> float:
    """The total variation between p(z)/|G'(z)| and a histogram of samples, in twenty bins."""
    counts = np.histogram(samples, EDGES[::20])[0] / len(samples)
    masses = np.sum((generated * np.diff(EDGES)).reshape(20, -1), axis=1)
    return float(metrics.total_variation_distance(counts, masses))


def draw(key, num: int) -> Batch:
    return {"point": 2 + jax.random.normal(key, (num, 1))}


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and look at all moments."""
    system = build(config)
    optimizers = games.Optimizers(
        generator=optax.adam(config.cosine(), b1=0.0),
        discriminator=optax.adam(config.cosine(config.num_discriminator_steps), b1=0.0),
    )
    state = system.init(config.key("init"), {"point": jnp.zeros((1, 1))}, optimizers=optimizers)
    result = config.train(
        moments.remembering(config.alternating(system, optimizers), SHOWN, weights_of),
        moments.start(state, SHOWN, weights_of),
        data.drawn_feed(draw, batch_size=config.examples_per_step),
        evaluator(config, system),
        workdir=workdir,
        fresh=fresh,
        unit="points",
    )
    return result.says(
        "D is off 1/2 by {from_half:.3f} and off the best D by {from_best:.3f} in the mean over "
        "data, JS is {jensen_shannon:.3f} nats, the rank correlation of |G'(z)| with p(G(z)) "
        "{contraction:.2f}; p(z)/|G'(z)| is off a histogram of samples by "
        "{density_error:.3f}".format_map(result.metrics)
    )


if __name__ == "__main__":
    command.main("learning_process", run, CONFIGS, __doc__ or "")
