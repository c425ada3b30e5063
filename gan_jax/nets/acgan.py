"""The discriminator of AC-GAN (Odena, Olah & Shlens 2017)."""

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound


class ACGANDiscriminator(nn.Module):
    """Give examples two things read off the same features: a logit, and a logit for each class.

    It judges without knowing the class: conditions that it is called with are not looked at.
    `features` is any network that gives each example a row of numbers, such as `DCGANDiscriminator`
    without its head, or `MLPEncoder`.

    Raises:
        ValueError: `num_classes` is below 1.
    """

    features: nn.Module
    num_classes: int

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_classes=self.num_classes)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num *shape"], *conditions: Any, train: bool = False
    ) -> tuple[Float[Array, " num"], Float[Array, "num {self.num_classes}"]]:
        features = self.features(x, train=train)
        logits = nn.Dense(1, name="source")(features)[:, 0]
        return logits, nn.Dense(self.num_classes, name="classes")(features)
