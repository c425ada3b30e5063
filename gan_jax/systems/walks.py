"""Walks from latents to latents, along straight lines or along arcs."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_2, check_bound
from gan_jax.errors import Refusal
from gan_jax.typing import Scalar

Way: TypeAlias = Callable[[Array, Array, Array], Array]
"""(from, to, t in [0, 1]) -> where the walk is at t."""


def straight(
    start: Float[Array, "*shape"], end: Float[Array, "*shape"], t: Scalar
) -> Float[Array, "*shape"]:
    """(1 - t) z₀ + t z₁. Radford, Metz & Chintala 2016, figure 4."""
    return (1 - t) * start + t * end


def spherical(
    start: Float[Array, "*shape"], end: Float[Array, "*shape"], t: Scalar
) -> Float[Array, "*shape"]:
    """(sin((1 - t) ω) z₀ + sin(t ω) z₁) / sin ω, ω being the angle between z₀ and z₁.

    Of latents from N(0, I), whose norms are nearly alike where there are many, it passes by points
    that are as likely as its ends; half-way a straight line is shorter by √2. Where there is no one
    arc, since both point the same way or into opposite ones or one is 0, the walk is straight.

    Shoemake 1985, section 3.3; White 2016, section 2.1.
    """
    a, b = (z.ravel() / jnp.maximum(jnp.linalg.norm(z), 1e-30) for z in (start, end))
    angle = 2 * jnp.arctan2(jnp.linalg.norm(a - b), jnp.linalg.norm(a + b))
    sine = jnp.sin(angle)
    is_arc = (sine > 1e-6) & jnp.any(start != 0) & jnp.any(end != 0)
    sine = jnp.where(is_arc, sine, 1.0)
    arc = (jnp.sin((1 - t) * angle) * start + jnp.sin(t * angle) * end) / sine
    return jnp.where(is_arc, arc, straight(start, end, t))


WAYS = {"straight": straight, "spherical": spherical}


def walk(
    stations: Float[Array, "stations *shape"], num_frames: int, way: Way = straight
) -> Float[Array, "legs {num_frames} *shape"]:
    """Go from each station to the next and from the last to the first, both ends included.

    Raises:
        ValueError: there are fewer than two stations, or `num_frames` is below 2.
    """
    if len(stations) < 2:
        raise Refusal(f"There are {len(stations)} stations; a walk needs at least two.")
    check_bound(AT_LEAST_2, num_frames=num_frames)
    leg = jax.vmap(way, in_axes=(None, None, 0))
    times = jnp.linspace(0, 1, num_frames)
    return jax.vmap(leg, in_axes=(0, 0, None))(stations, jnp.roll(stations, -1, axis=0), times)
