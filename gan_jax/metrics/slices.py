"""Wasserstein distances along lines, of points and of patches of images (Karras et al. 2018)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from gan_jax.checks import AT_LEAST_1, FINITE, ROUNDING, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points, check_same_shape, check_values
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import placed
from gan_jax.signals import binomial_down, binomial_up, laplacian_pyramid, random_patches
from gan_jax.typing import KeyArray, Scalar

NUM_PATCHES, PATCH_SIZE = 128, 7  # of each image at each level, as in the paper
NUM_DIRECTIONS = 512
UNIT_LENGTH = Bound(lambda x: abs(x - 1) <= ROUNDING, "1, up to rounding")


def random_directions(key: KeyArray, dim: int, num: int) -> Float[Array, "{dim} {num}"]:
    """Draw unit vectors, one a column, every direction as likely as another."""
    check_bound(AT_LEAST_1, dim=dim, num=num)
    directions = jax.random.normal(key, (dim, num))
    return directions / jnp.linalg.norm(directions, axis=0, keepdims=True)


def sliced_wasserstein(
    x: Float[Array | np.ndarray, "num dim"],
    y: Float[Array | np.ndarray, "num dim"],
    directions: Float[Array | np.ndarray, "dim num_directions"],
    *,
    chunk_size: int = 128,
) -> Scalar:
    """Mean over unit directions θ of W₁ = 1/n Σ_i |⟨θ, x⟩_(i) - ⟨θ, y⟩_(i)|, each side sorted.

    Never negative, and 0 between equal sets; y = x + v is ‖v‖ Γ(d/2) / (√π Γ((d + 1)/2)) away, in
    the mean over all directions in d dimensions.

    Args:
        directions: one a column, as of `random_directions`.
        chunk_size: directions on which all points are held at a time.

    >>> import jax.numpy as jnp
    >>> from gan_jax import metrics
    >>> x = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    >>> print(metrics.sliced_wasserstein(x, x[::-1] + jnp.array([[3.0, 1.0]]), jnp.eye(2)))
    2.0

    Rabin et al. 2011 and Bonneel et al. 2015, who take squares for |.|; Karras et al. 2018.

    Raises:
        ValueError: the sets are no rows of equally many features, hold a number that is not finite
            (traced, the result is nan), or differ in size; a direction has another dimension, or a
            length other than 1; `chunk_size` is below 1.
    """
    check_points(x=x, y=y)
    check_bound(AT_LEAST_1, chunk_size=chunk_size)
    if len(x) != len(y):
        raise Refusal(
            f"x has {len(x)} points, y has {len(y)}; leave out some of the larger set, so that "
            "both have equally many."
        )
    if np.ndim(directions) != 2 or len(directions) != x.shape[1]:
        raise Refusal(
            f"The directions have the shape {np.shape(directions)}; give unit vectors of "
            f"{x.shape[1]} features, one a column."
        )
    x, y, directions = (at_least_float32(placed(z)) for z in (x, y, directions))
    check_values(UNIT_LENGTH, **{"‖directions‖": jnp.linalg.norm(directions, axis=0)})

    origin = jnp.mean(x, axis=0, keepdims=True)  # digits are kept where the points are far from 0
    x, y = x - origin, y - origin

    def along(direction: Float[Array, " dim"]) -> Scalar:
        a, b = (jnp.sort(jnp.matmul(z, direction, precision="highest")) for z in (x, y))
        return jnp.mean(jnp.abs(a - b))

    distance = jnp.mean(jax.lax.map(along, directions.T, batch_size=chunk_size))
    finite = jnp.all(jnp.isfinite(x)) & jnp.all(jnp.isfinite(y))
    return jnp.where(finite, distance, jnp.nan)


def laplacian_descriptors(
    key: KeyArray,
    images: Num[Array | np.ndarray, "num height width channels"],
    *,
    smallest: int = 16,
) -> tuple[Float[Array, "points features"], ...]:
    """Describe images by patches of the levels of their Laplacian pyramids, finest first.

    There are 128 patches of 7 x 7 pixels an image and a level, the last level being the first
    whose shorter side would fall below `smallest` if it were halved. Each channel of a level's
    patches is brought to mean 0 and standard deviation 1 over the whole set, so that its gain and
    offset do not matter; one that is constant up to rounding is 0.

    A level takes 25 kB an image and a channel.

    Karras et al. 2018, section 5.

    Raises:
        ValueError: the images are smaller than a patch; they hold a number that is not finite
            (traced, it makes the descriptors nan); `smallest` is below 1.
    """
    check_bound(AT_LEAST_1, smallest=smallest)
    check_values(FINITE, images=images)
    images = at_least_float32(placed(images))
    images = jnp.where(jnp.all(jnp.isfinite(images)), images, jnp.nan)
    num_levels = max(1, (min(images.shape[1:3]) // smallest).bit_length())
    noise = 1e-6 * jnp.max(jnp.abs(images))
    levels = laplacian_pyramid(images, num_levels=num_levels, down=binomial_down, up=binomial_up)
    return tuple(
        _standardised(random_patches(key, level, NUM_PATCHES, PATCH_SIZE), noise)
        for key, level in zip(jax.random.split(key, num_levels), levels, strict=True)
    )


def laplacian_sliced_wasserstein(
    key: KeyArray,
    real: Num[Array | np.ndarray, "num height width channels"],
    generated: Num[Array | np.ndarray, "num height width channels"],
    *,
    smallest: int = 16,
) -> Float[Array, " levels"]:
    """Compare images by `sliced_wasserstein` of their descriptors at each level, finest first.

    On 512 directions; patches of the i-th image of both sets are cut at the same places. Tables
    show 1,000 times these distances, of 16,384 images. Each set is standardised by itself, as the
    paper has it: a wrong gain or offset of a whole set is not seen.

    Karras et al. 2018, section 5.

    Raises:
        ValueError: the sets differ in shape, or as `laplacian_descriptors`.
    """
    check_same_shape(real=real, generated=generated)
    for_patches, for_directions = jax.random.split(key)
    described = (
        laplacian_descriptors(for_patches, images, smallest=smallest)
        for images in (real, generated)
    )
    directions = random_directions(for_directions, PATCH_SIZE**2 * real.shape[-1], NUM_DIRECTIONS)
    return jnp.stack(
        [sliced_wasserstein(x, y, directions) for x, y in zip(*described, strict=True)]
    )


def _standardised(
    patches: Float[Array, "num patches size size channels"], noise: Scalar
) -> Float[Array, "points features"]:
    """A row a patch; each channel of mean 0 and standard deviation 1, or 0 where it is noise."""
    axes = (0, 1, 2, 3)
    patches = patches - jnp.mean(patches, axis=axes, keepdims=True)
    deviation = jnp.sqrt(jnp.mean(patches**2, axis=axes, keepdims=True))
    patches = patches / jnp.where(deviation <= noise, jnp.inf, deviation)
    return patches.reshape(patches.shape[0] * patches.shape[1], -1)
