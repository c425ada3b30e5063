"""Networks that are told sentences word by word."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import Bound


class Reading(nn.Module):
    """Tell a network what an encoder of its own makes of sentences: network(x, encoder(t), ...).

    Any network whose second argument is an embedding, such as `GistGenerator` and
    `TextToVideoDiscriminator`; the encoder returns (content, motion, ...), as `TextEncoder` does,
    and both are joined. So each player learns to read by its own loss.

    >>> import jax
    >>> from gan_jax import nets
    >>> encoder = nets.TextEncoder(num_words=40, dim=16, width=16, num_filters=0)
    >>> critic = nets.Reading(nets.TextToVideoDiscriminator(8), encoder)
    >>> clips, tokens = jax.numpy.zeros((4, 8, 32, 32, 3)), jax.numpy.ones((4, 16), int)
    >>> jax.eval_shape(critic.init_with_output, jax.random.key(0), clips, tokens)[0].shape
    (4,)
    """

    network: nn.Module
    encoder: nn.Module

    @property
    def output_bound(self) -> Bound | None:
        """The range of what the network makes, where it says so."""
        return getattr(self.network, "output_bound", None)

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "num *shape"],
        tokens: Int[Array, "num length"],
        *rest: Any,
        train: bool = False,
    ) -> Any:
        content, motion, *_ = self.encoder(tokens, train=train)
        return self.network(x, jnp.concatenate([content, motion], axis=-1), *rest, train=train)
