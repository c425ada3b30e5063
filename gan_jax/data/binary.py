"""Images of zeros and ones, and images of which a part is known."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.data.scaling import unit
from gan_jax.data.sources import ArrayDataset, Dataset
from gan_jax.errors import Refusal
from gan_jax.typing import KeyArray

BLOCK = 1_000  # images that are drawn at a time
QUADRANTS = ("bottom left", "top left", "top right", "bottom right")
"""In the order in which they become known."""


def binarize(key: KeyArray, image: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Draw each pixel: 1 with the probability that its value in [0, 1] is.

    Stochastic binarisation draws anew whenever an image is seen, so that a model cannot learn the
    draws by heart (Burda, Grosse & Salakhutdinov 2016, section 5).
    """
    return jax.random.bernoulli(key, image).astype(jnp.float32)


def binarized(dataset: Dataset, *, seed: int = 0) -> ArrayDataset:
    """Draw each pixel of a dataset's images once: bytes 0 and 255 in their place.

    Static binarisation, for tables that compare likelihoods on the same draws; it costs a model
    about two nats on MNIST. Numbers of other draws do not compare.
    """
    key = jax.random.key(seed, impl="threefry2x32")
    blocks = []
    for start in range(0, len(dataset), BLOCK):
        examples = dataset[np.arange(start, min(start + BLOCK, len(dataset)))]
        drawn = binarize(jax.random.fold_in(key, start), unit(examples["image"]))
        blocks.append({**examples, "image": np.asarray(255 * drawn, np.uint8)})
    return ArrayDataset(
        {field: np.concatenate([block[field] for block in blocks]) for field in blocks[0]},
        getattr(dataset, "label_names", None),
    )


def split_quadrants(
    image: Float[Array, "num height width channels"], num_observed: int
) -> tuple[Float[Array, "num observed"], Float[Array, "num rest"]]:
    """Split images into the pixels of the first `num_observed` quadrants, and the others, flat.

    Quadrants become known in the order of `QUADRANTS`, as in Sohn, Lee & Yan 2015, section 5.1.

    Raises:
        ValueError: `num_observed` is not 1, 2 or 3.
    """
    observed = _observed(image.shape[1:], num_observed)
    flat = image.reshape(len(image), -1)
    return flat[:, observed], flat[:, ~observed]


def join_quadrants(
    observed: Float[Array, "num observed"],
    rest: Float[Array, "num rest"],
    num_observed: int,
    shape: tuple[int, ...],
) -> Float[Array, "num height width channels"]:
    """Put images of `shape` together again. Inverse of `split_quadrants`."""
    where = _observed(shape, num_observed)
    flat = jnp.zeros((len(observed), where.size), observed.dtype)
    return flat.at[:, where].set(observed).at[:, ~where].set(rest).reshape(-1, *shape)


def _observed(shape: tuple[int, ...], num_observed: int) -> np.ndarray:
    if num_observed not in (1, 2, 3):
        raise Refusal(f"num_observed is {num_observed}; it must be 1, 2 or 3 quadrants.")
    height, width, _ = shape
    mask = np.zeros(shape, bool)
    for quadrant in QUADRANTS[:num_observed]:
        vertical, horizontal = quadrant.split()
        rows = slice(height // 2, None) if vertical == "bottom" else slice(height // 2)
        columns = slice(width // 2, None) if horizontal == "right" else slice(width // 2)
        mask[rows, columns] = True
    return mask.ravel()
