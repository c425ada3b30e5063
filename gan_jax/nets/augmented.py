"""A discriminator that sees augmented images alone (Zhao et al. 2020, DiffAugment)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import Array


class Augmented(nn.Module):
    """Augment, while it is trained, what a network is given, and gradients go through it.

    So real and fake images are augmented alike, each by draws of its own from the stream "noise",
    and the generator is not taught to make augmented ones. Asked, the network sees what it is
    given. The gradient of a penalty is that in the images as they are given, through `augment`.

    `augment` is (key, images) -> images, such as `signals.augment.random_shift`.

    Zhao et al. 2020, equations (4) to (6).

    >>> import jax
    >>> from gan_jax import nets
    >>> from gan_jax.signals import augment
    >>> critic = nets.Augmented(nets.DCGANDiscriminator(8), augment.random_shift)
    >>> logits, _ = critic.init_with_output(jax.random.key(0), jax.numpy.zeros((2, 16, 16, 1)))
    >>> logits.shape
    (2,)
    """

    network: nn.Module
    augment: Callable[[Any, Array], Array]

    @nn.compact
    def __call__(self, x: Array, *conditions: Any, train: bool = False) -> Any:
        if train:
            x = self.augment(self.make_rng("noise"), x)
        return self.network(x, *conditions, train=train)
