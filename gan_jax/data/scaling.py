"""Between images as they are stored, in bytes, and images as networks see them, in floats."""

from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

Bytes: TypeAlias = UInt8[Array, "*shape"] | UInt8[np.ndarray, "*shape"]


def signed(image: Bytes) -> Float[Array, "*shape"]:
    """Scale bytes to [-1, 1], the range of tanh generators: x / 127.5 - 1."""
    return jnp.asarray(image, jnp.float32) / 127.5 - 1


def unit(image: Bytes) -> Float[Array, "*shape"]:
    """Scale bytes to [0, 1], the range of Bernoulli decoders: x / 255."""
    return jnp.asarray(image, jnp.float32) / 255


def to_uint8(image: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
    """Scale [-1, 1] back to bytes, rounded; what lies outside is clipped. Inverse of `signed`."""
    return jnp.round(jnp.clip((image + 1) * 127.5, 0, 255)).astype(jnp.uint8)
