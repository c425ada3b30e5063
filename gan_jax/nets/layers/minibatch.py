"""What lets a critic see how alike the examples of a batch are."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal


class MinibatchDiscrimination(nn.Module):
    """Append to each example's features how close it is to the others, in `num_kernels` ways.

    o(x_i)_b = Σ_j exp(-‖M_ib - M_jb‖₁) over all j, i among them, with M_i = f(x_i) T of shape
    (num_kernels, dim). Sums, and what is returned, are float32 or wider. It takes batch² ·
    num_kernels · dim numbers of memory. Under `pmap` an example's batch is its own device's share;
    under sharded `jit` it is the whole.

    Salimans et al. 2016, section 3.2.

    Raises:
        ValueError: `num_kernels` or `dim` is below 1.
    """

    num_kernels: int = 4
    dim: int = 4

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_kernels=self.num_kernels, dim=self.dim)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: Float[Array, "num features"]) -> Float[Array, "num more"]:
        tensor = self.param(
            "tensor",
            nn.initializers.normal(0.05),
            (features.shape[-1], self.num_kernels * self.dim),
        )
        features = features.astype(jnp.promote_types(features.dtype, jnp.float32))
        m = (features @ tensor).reshape(-1, self.num_kernels, self.dim)
        distances = jnp.sum(jnp.abs(m[:, None] - m[None, :]), axis=-1)
        closeness = jnp.sum(jnp.exp(-distances), axis=1)
        return jnp.concatenate([features, closeness], axis=-1)


def minibatch_deviation(
    x: Float[Array, "num *rest channels"], group: int, *, epsilon: float = 1e-8
) -> Float[Array, "num *rest 1"]:
    """How much the examples of a group differ, the same number at each place of all of them.

    The mean over places and channels of √(variance over the group + ε). There are num / group
    groups, of the examples m, m + num / group, ... each; of fewer examples than `group` one.

    Karras et al. 2018 (progressive growing), section 3, and StyleGAN2's code.

    Raises:
        ValueError: `group` is below 1, or the examples do not divide into groups.
    """
    check_bound(AT_LEAST_1, group=group)
    group = min(group, len(x))
    if len(x) % group:
        raise Refusal(
            f"{len(x)} examples do not divide into groups of {group}; give a multiple of it."
        )
    groups = x.reshape(group, -1, *x.shape[1:]).astype(jnp.promote_types(x.dtype, jnp.float32))
    deviation = jnp.mean(jnp.sqrt(groups.var(axis=0) + epsilon), axis=range(1, x.ndim))
    of_each = jnp.tile(deviation, group).reshape(-1, *(1,) * (x.ndim - 1))
    return jnp.broadcast_to(of_each, (*x.shape[:-1], 1)).astype(x.dtype)
