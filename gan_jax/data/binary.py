"""Images of zeros and ones, and images of which a part is known."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.checks import UNIT, check_choice, is_known
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
    draws by heart (Burda, Grosse & Salakhutdinov 2016, section 5). A pixel that is traced, and is
    no probability, becomes nan.

    Raises:
        ValueError: a pixel is outside [0, 1].
    """
    if is_known(image):
        _check_probabilities(np.asarray(image))
    drawn = jax.random.bernoulli(key, image).astype(jnp.float32)
    return jnp.where(UNIT.holds(image), drawn, jnp.nan)


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
        getattr(dataset, "text", None),
    )


def split_quadrants(
    image: Float[Array, "num height width channels"], num_observed: int
) -> tuple[Float[Array, "num observed"], Float[Array, "num rest"]]:
    """Split images into the pixels of the first `num_observed` quadrants, and the others, flat.

    Quadrants become known in the order of `QUADRANTS`, as in Sohn, Lee & Yan 2015, section 5.1.

    Raises:
        ValueError: `num_observed` is not 1, 2 or 3, or the images lack an axis.
    """
    if image.ndim != 4:
        raise Refusal(
            f"The images have the shape {image.shape}; give them the axes (num, height, width, "
            "channels)."
        )
    observed = _observed(image.shape[1:], num_observed)
    flat = image.reshape(len(image), -1)
    return flat[:, observed], flat[:, ~observed]


def join_quadrants(
    observed: Float[Array, "num observed"],
    rest: Float[Array, "num rest"],
    num_observed: int,
    shape: tuple[int, ...],
) -> Float[Array, "num height width channels"]:
    """Put images of `shape` together again. Inverse of `split_quadrants`.

    Raises:
        ValueError: `num_observed` is not 1, 2 or 3, or the parts are not those of such images.
    """
    where = _observed(shape, num_observed)
    needed = tuple((len(observed), int(part.sum())) for part in (where, ~where))
    if (observed.shape, rest.shape) != needed:
        raise Refusal(
            f"The parts have the shapes {observed.shape} and {rest.shape}; {num_observed} "
            f"quadrants of images of shape {shape} and the rest have {needed[0]} and {needed[1]}."
        )
    flat = jnp.zeros((len(observed), where.size), observed.dtype)
    return flat.at[:, where].set(observed).at[:, ~where].set(rest).reshape(-1, *shape)


def _check_probabilities(image: np.ndarray) -> None:
    found = image[~UNIT.holds(image)]
    if found.size:
        raise Refusal(
            f"The image holds {found[0]}; to be drawn, pixels must be {UNIT.words}: scale bytes "
            "there with gan_jax.data.unit (gan_jax.data.signed, to [-1, 1], is for generators that "
            "end in tanh)."
        )


def _observed(shape: tuple[int, ...], num_observed: int) -> np.ndarray:
    check_choice((1, 2, 3), num_observed=num_observed)
    height, width, _ = shape
    mask = np.zeros(shape, bool)
    for quadrant in QUADRANTS[:num_observed]:
        vertical, horizontal = quadrant.split()
        rows = slice(height // 2, None) if vertical == "bottom" else slice(height // 2)
        columns = slice(width // 2, None) if horizontal == "right" else slice(width // 2)
        mask[rows, columns] = True
    return mask.ravel()
