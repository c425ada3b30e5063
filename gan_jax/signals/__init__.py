"""Transformations of images and sounds: arrays in, arrays out. They know no parameters."""

from gan_jax.signals import audio, augment
from gan_jax.signals.conditions import (
    coarse,
    grey,
    outline,
    pad_to_multiple,
    unpad,
    without_centre,
    without_lower_half,
)
from gan_jax.signals.filters import (
    binomial_down,
    binomial_up,
    mean_down,
    nearest_up,
    smooth,
    smooth_down,
    smooth_up,
)
from gan_jax.signals.images import (
    center_crop,
    flip,
    from_laplacian_pyramid,
    laplacian_pyramid,
    random_crop,
    random_patches,
    resize,
)

__all__ = [
    "audio",
    "augment",
    "binomial_down",
    "binomial_up",
    "center_crop",
    "coarse",
    "flip",
    "from_laplacian_pyramid",
    "grey",
    "laplacian_pyramid",
    "mean_down",
    "nearest_up",
    "outline",
    "pad_to_multiple",
    "random_crop",
    "random_patches",
    "resize",
    "smooth",
    "smooth_down",
    "smooth_up",
    "unpad",
    "without_centre",
    "without_lower_half",
]
