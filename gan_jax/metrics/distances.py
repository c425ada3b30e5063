"""Squared distances of many points, a block of them at a time, and those to nearest neighbours."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.metrics.blocks import filled, in_rows, over_blocks


class Points(NamedTuple):
    """Points about a common origin, and ‖a‖²: infinite for those that fill up the last block."""

    at: Float[Array, "num dim"]
    squares: Float[Array, " num"]


def about(centre: Float[Array, " dim"], x: Float[Array, "num dim"], chunk_size: int) -> Points:
    """The points seen from a centre near them, so that squared distances cancel less."""
    at = filled(x, chunk_size) - centre[None]
    squares = jnp.where(jnp.arange(len(at)) < len(x), jnp.sum(at * at, axis=1), jnp.inf)
    return Points(at, squares)


def reach(
    points: Points, neighbours: tuple[int, ...], chunk_size: int
) -> list[Float[Array, " num"]]:
    """Squared distances of each point to its k-th neighbours; -1, no ball, for what fills up."""

    def nearest(block):
        smallest = smallest_of(squared_distances(block, points), max(neighbours) + 1)
        return [smallest[k] for k in neighbours]  # the 0-th is the point itself

    found = over_blocks(nearest, points, chunk_size=chunk_size)
    return [jnp.where(points.squares < jnp.inf, in_rows(reach), -1) for reach in found]


def smallest_of(values: Float[Array, "rows num"], num: int) -> Float[Array, "{num} rows"]:
    """Of each row, in order: by as many minima, since sorting takes longer than the distances."""

    def following(smallest, place):
        larger = jnp.min(jnp.where(values > smallest[:, None], values, jnp.inf), axis=1)
        num_up_to = jnp.sum(values <= smallest[:, None], axis=1)
        found = jnp.where(num_up_to > place, smallest, larger)
        return found, found

    first = jnp.min(values, axis=1)
    _, others = jax.lax.scan(following, first, jnp.arange(1, num))
    return jnp.concatenate([first[None], others])


def squared_distances(a: Points, b: Points) -> Float[Array, "num_a num_b"]:
    """‖a - b‖² = ‖a‖² + ‖b‖² - 2⟨a, b⟩, and 0 where that is rounding, as between equal points."""
    squares = a.squares[:, None] + b.squares[None, :]
    distances = squares - 2 * jnp.matmul(a.at, b.at.T, precision="highest")
    rounding = jnp.finfo(squares.dtype).eps * a.at.shape[1] ** 0.5 * squares
    return jnp.where((distances <= rounding) & (squares < jnp.inf), 0, distances)


def nearest_of(
    examples: Float[Array, "others dim"], points: Float[Array, "num dim"]
) -> Int[Array, " num"]:
    """argmin_j ‖x_i - e_j‖², as of ‖e_j‖² - 2⟨x_i, e_j⟩; of equals the first.

    Rounding, least about an origin amid the examples, may choose wrongly among distances that are
    equal but for it.
    """
    centre = jnp.mean(examples, axis=0, keepdims=True)
    points, examples = points - centre, examples - centre
    products = jnp.matmul(points, examples.T, precision="highest")
    return jnp.argmin(jnp.sum(examples**2, axis=1)[None] - 2 * products, axis=1)
