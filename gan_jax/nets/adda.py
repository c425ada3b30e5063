"""ADDA's encoder of images: a LeNet up to the layer before its last."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv

SMALLEST = 16


class ADDAEncoder(nn.Module):
    """Map images to `num_features` numbers, none of them negative.

    Twice a 5x5 convolution that pads nothing, of 20 and 50 channels, and the largest of each 2x2;
    then a dense layer. ReLU after each. The classifier that reads the features is one more dense
    layer, `MLPEncoder(num_classes, ())`, and the discriminator `MLPDiscriminator((500, 500))`. The
    paper has 28x28 in grey; of odd sides the last row and column are not pooled.

    After Tzeng et al. 2017, section 5.1, and the authors' code, which adds a weight decay of 2.5e-5
    to the source's loss.

    Raises:
        ValueError: a number is below 1, or the images have a side below 16.
    """

    num_features: int = 500
    widths: Sequence[int] = (20, 50)
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_features=self.num_features)
        check_bound(AT_LEAST_1, **{f"widths[{place}]": n for place, n in enumerate(self.widths)})
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num height width channels"], *, train: bool = False
    ) -> Float[Array, "num {self.num_features}"]:
        if min(x.shape[1:3]) < SMALLEST:
            raise Refusal(
                f"The images are {x.shape[1]}x{x.shape[2]}; ADDA's encoder takes them from "
                f"{SMALLEST}x{SMALLEST} on: bring them to 28x28, as the paper has them."
            )
        for width in self.widths:
            x = nn.relu(_pooled(Conv(width, (5, 5), padding="VALID", dtype=self.dtype)(x)))
        x = nn.Dense(self.num_features, dtype=self.dtype)(x.reshape(x.shape[0], -1))
        return nn.relu(x)


def _pooled(x: Array) -> Array:
    num, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(num, height // 2, 2, width // 2, 2, channels).max((2, 4))
