"""The discriminator with a projection (Miyato & Koyama 2018)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.nets.layers import one_hot

_rows = nn.initializers.variance_scaling(1.0, "fan_out", "normal")


class ProjectionDiscriminator(nn.Module):
    """f(x, y) = yᵀ V φ(x) + ψ(φ(x)), with y one-hot, a row of V for each class, and ψ affine.

    φ is any network that gives each example a row of numbers, such as `DCGANDiscriminator` without
    its head, or `MLPEncoder`. The form is that of log p(y|x)/q(y|x) + log p(x)/q(x) where both
    conditionals are log-linear in φ(x).

    Miyato & Koyama 2018, equation (3).

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
        self, x: Float[Array, "num *shape"], labels: Int[Array, " num"], *, train: bool = False
    ) -> Float[Array, " num"]:
        phi = self.features(x, train=train)
        v = nn.Dense(phi.shape[-1], use_bias=False, kernel_init=_rows, name="embedding")
        projected = jnp.sum(v(one_hot(labels, self.num_classes)) * phi, axis=-1)
        return projected + nn.Dense(1, name="psi")(phi)[:, 0]
