"""A pool of past examples, from which a discriminator is shown some in the place of new ones."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int32

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.typing import KeyArray


class Pool(struct.PyTreeNode, kw_only=True):
    """Past examples, and how many of the places are taken."""

    examples: Float[Array, "size *shape"]
    taken: Int32[Array, ""]


def empty_pool(size: int, example: Float[Array, "..."]) -> Pool:
    """Make a pool of `size` places for such examples, all of them free.

    Raises:
        ValueError: `size` is below 1.
    """
    check_bound(AT_LEAST_1, size=size)
    places = jnp.zeros((size, *example.shape), example.dtype)
    return Pool(examples=places, taken=jnp.zeros((), jnp.int32))


def exchange(
    key: KeyArray, pool: Pool, examples: Float[Array, "num *shape"]
) -> tuple[Float[Array, "num *shape"], Pool]:
    """Show examples to a pool, one after another; take as many from it.

    While there is room, each is kept and given back. Then each is, with probability ½, exchanged
    for one of the past, drawn uniformly, and else given back and not kept. Gradients reach what is
    given back, as it is of now; the past is constant.

    Shrivastava et al. 2017, section 2.3, as Zhu et al. 2017, section 4, have it.
    """
    num, size = len(examples), len(pool.examples)
    key_swap, key_place = jax.random.split(key)
    swaps = jax.random.bernoulli(key_swap, shape=(num,))
    places = jax.random.randint(key_place, (num,), 0, size)

    def one(pool: Pool, shown: tuple[Array, Array, Array]):
        example, swap, place = shown
        is_full = pool.taken == size
        place = jnp.where(is_full, place, pool.taken)
        past = pool.examples[place]
        kept = jnp.where(is_full & ~swap, past, example)
        after = Pool(
            examples=pool.examples.at[place].set(kept), taken=jnp.minimum(pool.taken + 1, size)
        )
        return after, (past, is_full & swap)

    constant = jax.lax.stop_gradient(examples)
    pool, (past, is_past) = jax.lax.scan(one, pool, (constant, swaps, places))
    is_past = is_past.reshape(num, *(1,) * (examples.ndim - 1))
    return jnp.where(is_past, past, examples), pool
