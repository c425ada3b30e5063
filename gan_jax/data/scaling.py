"""Between images as they are stored, in bytes, and images as networks see them, in floats."""

from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from gan_jax.errors import Refusal

Bytes: TypeAlias = UInt8[Array, "*shape"] | UInt8[np.ndarray, "*shape"]


def signed(image: Bytes) -> Float[Array, "*shape"]:
    """Scale bytes to [-1, 1], the range of tanh generators: x / 127.5 - 1.

    Raises:
        ValueError: the image is not of bytes.
    """
    return _floats(image) / 127.5 - 1


def unit(image: Bytes) -> Float[Array, "*shape"]:
    """Scale bytes to [0, 1], the range of Bernoulli decoders: x / 255.

    Raises:
        ValueError: the image is not of bytes.
    """
    return _floats(image) / 255


def to_uint8(image: Float[Array, "*shape"]) -> UInt8[Array, "*shape"]:
    """Scale [-1, 1] back to bytes, rounded; what lies outside is clipped. Inverse of `signed`.

    Raises:
        ValueError: the image is not of floating-point numbers.
    """
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise Refusal(
            f"The image is {image.dtype}; only floating-point images in [-1, 1] are scaled back to "
            "bytes."
        )
    return jnp.round(jnp.clip((image + 1) * 127.5, 0, 255)).astype(jnp.uint8)


def _floats(image: Bytes) -> Float[Array, "*shape"]:
    if image.dtype != jnp.uint8:
        raise Refusal(
            f"The image is {image.dtype}; only bytes (uint8) are scaled. Leave it as it is where "
            "it is scaled already."
        )
    return jnp.asarray(image, jnp.float32)
