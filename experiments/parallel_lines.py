"""Two parallel lines (Arjovsky et al. 2017, example 1).    python -m experiments.parallel_lines

Data on x = 0, a generator on x = θ, both uniform in y. The Wasserstein distance is |θ|, and its
critic pulls θ to 0; the Jensen-Shannon divergence is log 2 wherever θ is not 0, and pulls nowhere.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from experiments.harness import command, options, play
from experiments.harness.bounds import Count, Finite, Rate, Size, Weight
from gan_jax import data, games, losses, plots
from gan_jax.metrics import between_parallel_lines
from gan_jax.nets import MLPDiscriminator
from gan_jax.systems import GAN, networks
from gan_jax.training import Evaluation
from gan_jax.typing import Batch

THETAS = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)
"""Where the critic's estimate is compared with the distance."""


@dataclass(frozen=True, kw_only=True)
class Config(play.MovesOptions):
    start: Finite = 1.0
    """Where θ starts."""
    width: Size = 64
    """Units in each of the two hidden layers of a critic."""
    penalty_weight: Weight = 100.0
    """Of the gradient penalty; the estimate is too large by the factor 1 + |θ|/2λ."""
    num_discriminator_steps: Count = 5
    batch_size: Size = 128
    learning_rate: Rate = 1e-2
    """Of plain gradient descent for θ."""
    critic_learning_rate: Rate = 1e-3
    """Adam's."""
    steps: Count = 1_000
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 250
    checkpoint_every: Count = 250


CONFIGS = {"lines": Config()}


class Line(nn.Module):
    """(θ, y) for y uniform on [0, 1], from latents uniform on [-1, 1]."""

    start: float

    @nn.compact
    def __call__(self, z: Float[Array, "num 1"], *, train: bool = False) -> Float[Array, "num 2"]:
        theta = self.param("theta", nn.initializers.constant(self.start), (1, 1))
        return jnp.concatenate([jnp.broadcast_to(theta, z.shape), (z + 1) / 2], axis=1)


def build(config: Config, batch: Batch | None = None) -> dict[str, GAN]:
    game = partial(
        GAN,
        generator=Line(config.start),
        discriminator=MLPDiscriminator((config.width,) * 2),
        latents=networks.uniform(1),
        field="point",
    )

    def penalty(r):
        return config.penalty_weight * losses.gradient_penalty(r.critic, r.real, r.fake, r.key)

    return {
        "wgan": game(loss=losses.wasserstein(), discriminator_terms={"penalty": penalty}),
        "gan": game(loss=losses.minimax()),
    }


def evaluator(config: Config, systems: dict[str, GAN]) -> options.Evaluate:
    """Compare the critics whose θ stays with the distance; see where the others have gone."""

    @jax.jit
    def slope(key, state: games.GameState) -> Array:
        """The size of the generator's gradient, where the discriminator tells the lines apart."""
        batch = real_line(key, config.batch_size)
        gradients, _ = games.vector_field(key, state, batch, game=systems["gan"].game)
        return optax.tree.norm(gradients.generator)

    def evaluate(key, state) -> Evaluation:
        gaps = estimates(systems["wgan"], state["fixed"])
        measured = {f"estimate/{theta}": gap for theta, gap in gaps.items()}
        measured["estimate/error"] = max(abs(gap / abs(t) - 1) for t, gap in gaps.items())
        for name in systems:
            measured[f"{name}/end"] = float(theta_of(state[name]))
        measured["gan/slope"] = float(slope(key, state["gan"]))
        return Evaluation({"distances": distances(gaps)}, measured)

    return evaluate


def estimates(system: GAN, fixed: games.GameState) -> dict[float, float]:
    """E f(x) - E f(G(z)) of each trained critic, the expectations along a grid in y."""
    y = jnp.linspace(0, 1, 201)

    @jax.jit
    @jax.vmap
    def gap(weights, theta):
        real, fake = (jnp.mean(system.discriminate(weights, line(x, y))) for x in (0.0, theta))
        return real - fake

    gaps = gap(fixed.discriminator.weights, jnp.array(THETAS))
    return dict(zip(THETAS, map(float, gaps), strict=True))


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Estimate the distance at fixed θ, and let θ move under both games."""
    systems = build(config)
    optimizers = games.Optimizers(
        generator=optax.sgd(config.learning_rate),
        discriminator=optax.adam(config.critic_learning_rate, b1=0.5, b2=0.9),
    )
    still = optimizers._replace(generator=optax.sgd(0.0))
    blank, keys = {"point": jnp.zeros((1, 2))}, jax.random.split(config.key("init"), 3)
    steps, state = {}, {}
    for key, (name, system) in zip(keys, systems.items(), strict=False):
        steps[name] = games.reporting(config.alternating(system, optimizers), theta=theta_of)
        state[name] = system.init(key, blank, optimizers=optimizers)

    def at_theta(key, theta) -> games.GameState:
        start = systems["wgan"].init(key, blank, optimizers=still)
        critic = games.get_params(start).discriminator
        return games.set_params(start, games.Gradients({"theta": theta[None, None]}, critic))

    fixed = config.alternating(systems["wgan"], still)
    steps["fixed"] = games.population(fixed, batch_axis=None)
    state["fixed"] = jax.vmap(at_theta)(jax.random.split(keys[2], len(THETAS)), jnp.array(THETAS))
    result = config.train(
        games.together(steps),
        state,
        data.drawn_feed(real_line, batch_size=config.examples_per_step),
        evaluator(config, systems),
        workdir=workdir,
        fresh=fresh,
        shown=("wgan/theta", "gan/theta"),
        unit="points",
    )
    return result.says(
        "critic's estimate within {estimate/error:.1%} of |θ|; θ ends at {wgan/end:.4f} under "
        "WGAN, at {gan/end:.4f} under GAN (its gradient there {gan/slope:.1e})".format_map(
            result.metrics
        )
    )


def line(x: float | Array, y: Float[Array, " num"]) -> Float[Array, "num 2"]:
    return jnp.stack([jnp.full_like(y, x), y], axis=1)


def real_line(key, num: int) -> Batch:
    return {"point": line(0.0, jax.random.uniform(key, (num,)))}


def theta_of(state: games.GameState) -> Array:
    return state.generator.weights.params["theta"][0, 0]


def distances(estimates: dict[float, float]) -> plots.Picture:
    """W, JS and TV of the two lines as θ varies, and the critics' estimates of W."""
    thetas = np.linspace(-1, 1, 401)
    names = ("Wasserstein", "Jensen-Shannon", "total variation")
    return plots.curves(
        x=thetas,
        curves=dict(zip(names, between_parallel_lines(thetas), strict=True)),
        points={"critic's estimate": (np.array(list(estimates)), np.array([*estimates.values()]))},
        x_label="θ",
        y_label="between the lines (KL is infinite but at 0)",
    )


if __name__ == "__main__":
    command.main("parallel_lines", run, CONFIGS, __doc__ or "")
