"""Images back to styles: what a StyleGAN2's generator would have made them of."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from gan_jax import games
from gan_jax.checks import AT_LEAST_1, NOT_NEGATIVE, POSITIVE, check_bound
from gan_jax.games import DescentState, PlayerOutcome, Weights
from gan_jax.losses import noise_correlation
from gan_jax.systems.checks import check_made, take_floats
from gan_jax.systems.stylegan2 import StyleGAN2
from gan_jax.typing import Batch, KeyArray, Metrics, Scalar

NUM_STYLES = 10_000
"""Styles of which the mean and the deviation are taken."""
WARM_UP, COOL_DOWN, DISTURBED = 0.05, 0.25, 0.75
"""Shares of all steps."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StyleProjection:
    """Find, for each image x, a style w for all layers and maps of noise n that make it.

        L(w, n) = D(g(w + σ_t ε, n), x) + α Σ_l noise_correlation(n_l),   ε ~ N(0, I)

    with g the `trained` generator of `system`, which stays as it is, D the `distance` of images
    made from images given, one number each, and α the `noise_weight`. w starts at the mean of
    10,000 styles, and σ_w is the root of their mean squared distance from it; at a share t of
    `num_steps`, σ_t = 0.05 σ_w max(0, 1 - t / 0.75)². Noise starts as N(0, 1), and is brought to
    mean 0 and variance 1 after each step. Adam's rate is `learning_rate`, ramped up during the
    first 5 % of the steps, and down by a cosine during the last 25 %.

    Every image's w and n are as if it were alone; D is LPIPS in the paper.

    The generator has, beside what `StyleGAN2` asks for, `num_layers` and `noise_sides`, and takes
    noise as `nets.StyleGAN2Generator` does.

    Karras et al. 2020, section 5 and appendix D, and the authors' code.

    >>> import jax
    >>> from gan_jax import losses, nets
    >>> from gan_jax.systems import StyleGAN2, StyleProjection, networks
    >>> widths = nets.stylegan2_widths(16, base=128)
    >>> system = StyleGAN2(
    ...     generator=nets.StyleGAN2Generator(16, 1, widths, dim=32), latents=networks.normal(32),
    ...     discriminator=nets.StyleGAN2Discriminator(widths), loss=losses.non_saturating())
    >>> batch = {"image": jax.numpy.zeros((4, 16, 16, 1))}
    >>> def project(key, trained):
    ...     projection = StyleProjection(
    ...         system=system, trained=trained,
    ...         distance=lambda x, y: jax.numpy.mean((x - y) ** 2, axis=(1, 2, 3)))
    ...     state = projection.init(key, batch)
    ...     state, metrics = projection.step(key, state, batch)
    ...     return projection.images(state.player.weights)
    >>> start = lambda key: networks.start(system.generator, key, jax.numpy.zeros((1, 32)))[1]
    >>> jax.eval_shape(lambda key: project(key, start(key)), jax.random.key(0)).shape
    (4, 16, 16, 1)

    Raises:
        ValueError: `system` is no StyleGAN2, `trained` no weights, or a number is out of its range.
    """

    system: StyleGAN2
    trained: Weights
    distance: Callable[[Array, Array], Float[Array, " num"]]
    num_steps: int = 1_000
    learning_rate: float = 0.1
    noise_weight: float = 1e5

    def __post_init__(self) -> None:
        check_made(StyleGAN2, "StyleGAN2(...)", system=self.system)
        check_made(Weights, "state.generator.weights", trained=self.trained)
        check_bound(AT_LEAST_1, num_steps=self.num_steps)
        check_bound(POSITIVE, learning_rate=self.learning_rate)
        check_bound(NOT_NEGATIVE, noise_weight=self.noise_weight)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        def rate(count: ArrayLike) -> Array:
            t = jnp.asarray(count) / self.num_steps
            down = jnp.minimum(1, (1 - t) / COOL_DOWN)
            up = jnp.minimum(1, t / WARM_UP)
            return self.learning_rate * up * (1 - jnp.cos(math.pi * down)) / 2

        return optax.adam(rate)

    def init(self, key: KeyArray, batch: Batch) -> DescentState:
        """Start each of the batch's images at the mean style, with noise of its own.

        Raises:
            ValueError: the batch lacks the field, or holds bytes; the weights are another
                network's.
        """
        num = len(take_floats(batch, self.system.field))
        key_latents, *keys = jax.random.split(key, 1 + len(self.system.generator.noise_sides))
        latents = self.system.latents(key_latents, NUM_STYLES)
        styles = self.system.styles(self.trained, latents)[:, 0]
        mean = jnp.mean(styles, axis=0, keepdims=True)
        squares = jnp.sum(jnp.square(styles - mean), axis=1)
        noise = [
            jax.random.normal(key_noise, (num, side, side, 1))
            for key_noise, side in zip(keys, self.system.generator.noise_sides, strict=True)
        ]
        weights = Weights(
            params={"style": jnp.repeat(mean, num, axis=0), "noise": noise},
            state={"deviation": jnp.sqrt(jnp.mean(squares))},
        )
        return games.init_descent(weights=weights, optimizer=self.optimizer)

    def step(
        self, key: KeyArray, state: DescentState, batch: Batch
    ) -> tuple[DescentState, Metrics]:
        """Move styles and noise once."""
        left = jnp.maximum(0, 1 - state.step / self.num_steps / DISTURBED)
        disturbance = 0.05 * state.player.weights.state["deviation"] * jnp.square(left)
        objective = partial(self.objective, disturbance=disturbance)
        state, metrics = games.descent_step(
            key, state, batch, objective=objective, optimizer=self.optimizer
        )
        weights = state.player.weights
        noise = [standardised(noise) for noise in weights.params["noise"]]
        weights = weights.replace(params={**weights.params, "noise": noise})
        return state.replace(player=state.player.replace(weights=weights)), metrics

    def objective(
        self, *, weights: Weights, batch: Batch, key: KeyArray, disturbance: Scalar | float = 0.0
    ) -> PlayerOutcome:
        """L, summed over images, at styles that are disturbed as much."""
        style, noise = weights.params["style"], weights.params["noise"]
        style = style + disturbance * jax.random.normal(key, style.shape)
        made = self.images(weights.replace(params={"style": style, "noise": noise}))
        distances = self.distance(made, take_floats(batch, self.system.field))
        correlation = jnp.sum(jnp.stack([noise_correlation(level) for level in noise]), axis=0)
        return PlayerOutcome(
            jnp.sum(distances + self.noise_weight * correlation),
            weights.state,
            {"distance": jnp.mean(distances), "correlation": jnp.mean(correlation)},
        )

    def images(self, weights: Weights) -> Float[Array, "num *shape"]:
        """What is made of the styles and the noise that were found."""
        style = weights.params["style"]
        num, dim = style.shape
        styles = jnp.broadcast_to(style[:, None], (num, self.system.generator.num_layers, dim))
        return self.system.synthesise(self.trained, styles, noise=weights.params["noise"])


def standardised(noise: Float[Array, "num side side 1"]) -> Float[Array, "num side side 1"]:
    """Bring each map to mean 0 and variance 1."""
    axes = (1, 2, 3)
    centred = noise - jnp.mean(noise, axes, keepdims=True)
    return centred / jnp.std(noise, axes, keepdims=True)
