"""GANSynth's networks that grow: each resolution is faded in over the one before.

Levels are the resolutions, 0 at `base`. Both networks keep in "fade" the level ℓ that is reached,
as one number: k - 1 + α while level k is faded in by α. All that is above has no part in what they
make, nor a gradient. Spectrograms are of full size at every level, the coarse ones by repetition
and by averages, so that they are in the same units and cost a critic's slope the same.

Karras et al. 2018 (progressive growing), section 2 and figure 2; Engel et al. 2019, and the
authors' code.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.nets.gansynth import GANSynthDiscriminator, GANSynthGenerator
from gan_jax.signals import mean_down, nearest_up
from gan_jax.typing import Scalar


class GrowingGANSynthGenerator(GANSynthGenerator):
    """A `GANSynthGenerator` with an output y_k = tanh(conv(features)) at each level k.

        x_0 = y_0,  x_k = (1 - α_k) up(x_{k-1}) + α_k y_k,  α_k = `share_of(k, ℓ)`

    With `num_levels` only the first so many levels are computed, by the weights of all: the same
    while ℓ is below it.

    Raises:
        ValueError: as `GANSynthGenerator`, or `num_levels` is below 1.
    """

    num_levels: int | None = None

    def __post_init__(self) -> None:
        check_num_levels(self.num_levels)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        pitch: Int[Array, " num"],
        *,
        train: bool = False,
    ) -> Float[Array, "num frames bins 2"]:
        reached = level_of(self)
        first, *finer = self._features(latents, pitch, self.widths[: self.num_levels])
        x = self._made(first, "made_0")
        for level, features in enumerate(finer, 1):
            share = share_of(level, reached)
            x = (1 - share) * nearest_up(x) + share * self._made(features, f"made_{level}")
        for _ in self.widths[len(finer) + 1 :]:
            x = nearest_up(x)
        return self._in_units(x)


class GrowingGANSynthDiscriminator(GANSynthDiscriminator):
    """A `GANSynthDiscriminator` with an input at each level k, of averages of the spectrogram.

        h_{k-1} = (1 - α_k) input_{k-1}(x_{k-1}) + α_k down(layers_k(h_k)),  α_k = `share_of(k, ℓ)`

    from the last level's input on. `num_levels` as in the generator.

    Raises:
        ValueError: as `GANSynthDiscriminator`, or `num_levels` is below 1.
    """

    num_levels: int | None = None

    def __post_init__(self) -> None:
        check_num_levels(self.num_levels)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num frames bins 2"], *conditions: object, train: bool = False
    ) -> tuple[Float[Array, " num"], Float[Array, "num {self.num_pitches}"]]:
        reached, widths = level_of(self), self.widths[: self.num_levels]
        x = self._scaled(x)
        for _ in self.widths[len(widths) :]:
            x = mean_down(x)
        features = self._seen(x, len(widths) - 1)
        for level in range(len(widths) - 1, 0, -1):
            x, share = mean_down(x), share_of(level, reached).astype(features.dtype)
            features = self._layer(features, widths[level], name=f"first_{level}")
            features = self._layer(features, widths[level - 1], name=f"second_{level}")
            features = (1 - share) * self._seen(x, level - 1) + share * mean_down(features)
        return self._judged(features)

    def _seen(self, x: Array, level: int) -> Array:
        return self._layer(x, self.widths[level], 1, name=f"seen_{level}")


def share_of(level: int, reached: Scalar) -> Scalar:
    """How much counts of a level, and not of those below: α_k = min(max(ℓ - k + 1, 0), 1)."""
    return jnp.clip(reached - level + 1, 0, 1)


def level_of(network: GANSynthGenerator | GANSynthDiscriminator) -> Scalar:
    """The level that a network has reached: the last one, where it is not told."""
    last = len(network.widths) - 1
    return network.variable("fade", "level", lambda: jnp.full((), last, jnp.float32)).value


def check_num_levels(num_levels: int | None) -> None:
    if num_levels is not None:
        check_bound(AT_LEAST_1, num_levels=num_levels)
