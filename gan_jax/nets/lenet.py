"""LeNet: a small classifier of images, or clips, whose last hidden layer serves as features."""

import flax.linen as nn
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.layers import Conv


class LeNet(nn.Module):
    """Map images, or clips, to a logit for each class, and to `num_features` features.

    Convolutions of 5x5, of 3 frames in clips, with 16 and 32 channels and stride 2, and two dense
    layers; ReLU after all but the last. The features are what the last layer reads. Where LeNet-5
    pools there are strides, which take a third of the time and name as many digits rightly; borders
    are padded ("SAME"), so that small images do.

    After LeCun et al. 1998, II.B.

    Raises:
        ValueError: a number is below 1, or the images have a side below 8.
    """

    num_classes: int
    num_features: int = 84

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_classes=self.num_classes, num_features=self.num_features)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num *frames height width channels"], *, train: bool = False
    ) -> tuple[
        Float[Array, "num {self.num_classes}"],
        Float[Array, "num {self.num_features}"],
    ]:
        *frames, height, width = x.shape[1:-1]
        if min(height, width) < 8:
            raise Refusal(
                f"The images are {height}x{width}; LeNet takes them from 8x8 on: resize them."
            )
        kernel = (*(3 for _ in frames), 5, 5)
        for features in (16, 32):
            x = nn.relu(Conv(features, kernel, strides=(2,) * len(kernel))(x))
        x = nn.relu(nn.Dense(self.num_features)(x.reshape(x.shape[0], -1)))
        return nn.Dense(self.num_classes)(x), x
