"""VGAN's networks (Vondrick, Pirsiavash & Torralba 2016): two streams or one, and their critic.

Layers double the sides of clips, or halve them, as often as a DCGAN's, by 4x4x4 kernels; see
`time_strides` for the frames. Kernels start from N(0, 0.01²), batch normalisation's gains from
N(1, 0.02²), and the critic and the encoder of first frames normalise with ε = 10⁻³, as in the
authors' code.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.dcgan import dcgan_depth
from gan_jax.nets.layers import Conv, ConvTranspose
from gan_jax.nets.layers.norms import normalization

kernels_init = nn.initializers.normal(0.01)
LOOKING_EPSILON = 1e-3


class TwoStreamGenerator(nn.Module):
    """Map latents to square clips in [-1, 1] of what moves before a background that does not.

    G(z) = m(z) ⊙ f(z) + (1 - m(z)) ⊙ b(z): one stream makes the moving foreground f, by tanh, and
    the mask m, by a sigmoid, the other one image b, by tanh, for all frames. Returns (clips,
    masks). Each stream is a dense layer and transposed convolutions, with batch normalisation and
    ReLU after all but the last. The last hidden layer of either has `width` channels, every earlier
    one twice as many. The paper's clips have 32 frames of 64x64.

    Vondrick et al. 2016, section 2.

    >>> import jax
    >>> from gan_jax import nets
    >>> generator, latents = nets.TwoStreamGenerator(32, 64, 3), jax.numpy.zeros((2, 100))
    >>> (clips, masks), variables = jax.eval_shape(
    ...     generator.init_with_output, jax.random.key(0), latents)
    >>> clips.shape, masks.shape
    ((2, 32, 64, 64, 3), (2, 32, 64, 64, 1))

    Raises:
        ValueError: a number is below 1, or `num_frames` or `size` is odd.
    """

    num_frames: int
    size: int
    channels: int
    width: int = 64
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_sizes(self)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh, and of what lies between two of its values."""
        return SIGNED

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num latent"], *, train: bool = False
    ) -> tuple[
        Float[Array, "num {self.num_frames} {self.size} {self.size} {self.channels}"],
        Float[Array, "num {self.num_frames} {self.size} {self.size} 1"],
    ]:
        first, strides = plan(self.num_frames, (self.size, self.size))
        moving = _started(self, latents, first, train)
        still = _started(self, latents, first[1:], train)
        return two_streams(self, moving, still, self.channels, strides, train=train)


class OneStreamGenerator(nn.Module):
    """Map latents to square clips in [-1, 1] by the foreground of `TwoStreamGenerator` alone.

    Vondrick et al. 2016, section 2, the one-stream architecture.

    Raises:
        ValueError: a number is below 1, or `num_frames` or `size` is odd.
    """

    num_frames: int
    size: int
    channels: int
    width: int = 64
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_sizes(self)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num latent"], *, train: bool = False
    ) -> Float[Array, "num {self.num_frames} {self.size} {self.size} {self.channels}"]:
        first, strides = plan(self.num_frames, (self.size, self.size))
        moving = _started(self, latents, first, train)
        return jnp.tanh(_grown(self, moving, self.channels, strides, train))


class ConditionalTwoStreamGenerator(nn.Module):
    """Continue images in [-1, 1], each the first frame of a clip of their size.

    Convolutions of stride 2, with ReLU, and batch normalisation in all but the first, halve the
    images, and the smallest maps take the place of the latents: the background is grown of them as
    they are, the foreground of what a layer makes of them for each of its first frames. There is no
    noise: an image has one future. All else, and what is returned, as in `TwoStreamGenerator`; the
    first of the convolutions has `width` channels, too, and every later one twice as many.

    Vondrick et al. 2016; the layers and their widths are those of the authors' code.

    >>> import jax
    >>> from gan_jax import nets
    >>> generator = nets.ConditionalTwoStreamGenerator(32)
    >>> (clips, masks), variables = jax.eval_shape(
    ...     generator.init_with_output, jax.random.key(0), jax.numpy.zeros((2, 64, 64, 3)))
    >>> clips.shape, masks.shape
    ((2, 32, 64, 64, 3), (2, 32, 64, 64, 1))

    Raises:
        ValueError: a number is below 1, or `num_frames` or a side of the images is odd.
    """

    num_frames: int
    width: int = 128
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, num_frames=self.num_frames, width=self.width)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh, and of what lies between two of its values."""
        return SIGNED

    @nn.compact
    def __call__(
        self, condition: Float[Array, "num height width channels"], *, train: bool = False
    ) -> tuple[
        Float[Array, "num {self.num_frames} height width channels"],
        Float[Array, "num {self.num_frames} height width 1"],
    ]:
        first, strides = plan(self.num_frames, condition.shape[1:3])
        still = halved(self, condition, nn.relu, strides, train=train)
        moving = spread(self, still, first[0], still.shape[-1], train=train)
        return two_streams(self, moving, still, condition.shape[-1], strides, train=train)


class VideoDiscriminator(nn.Module):
    """Judge clips by one logit each.

    Convolutions of stride 2, with LeakyReLU of slope 0.2, and batch normalisation in all but the
    first, halve the clips as often as `TwoStreamGenerator` doubles them. The first layer has
    `width` channels (64 in the paper, 128 in its conditional version), every later one twice as
    many. The authors' two logits of a softmax are one of a logistic function.

    Vondrick et al. 2016, section 2.

    Raises:
        ValueError: `width` is below 1; the number of frames or a side of the clips is odd.
    """

    width: int = 64
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, width=self.width)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "num frames height width channels"], *, train: bool = False
    ) -> Float[Array, " num"]:
        x = watched(self, x, train=train)
        logit = nn.Dense(1, kernel_init=kernels_init, dtype=self.dtype)
        return logit(x.reshape(len(x), -1))[:, 0].astype(jnp.float32)


def time_strides(num_frames: int, depth: int) -> list[int]:
    """By how much each of the critic's `depth` layers shortens clips; the generator's go back.

    By 2 until 2 frames are left, or an odd number, and else by 1, with kernels that see 3 frames:
    32 frames of 64x64 become 2, as in the paper, and 8 frames of 64x64 do, too, in two layers of
    four. 32 frames of 16x16, of two layers, become 8.
    """
    if num_frames < 2 or num_frames % 2:
        raise Refusal(
            f"There are no clips of {num_frames} frames here: the number must be even; give them "
            f"{max(num_frames // 2, 1) * 2}, or 8, 16 or 32."
        )
    strides = []
    for _ in range(depth):
        strides.append(2 if num_frames % 2 == 0 and num_frames > 2 else 1)
        num_frames //= strides[-1]
    return strides


def two_streams(
    module: Any,
    moving: Float[Array, "num frames rows columns more"],
    still: Float[Array, "num rows columns some"],
    channels: int,
    strides: list[int],
    *,
    train: bool,
) -> tuple[Float[Array, "num *clip"], Float[Array, "num *mask"]]:
    """Grow clips and masks of the first maps of two streams, by layers inside of `module`."""
    grown = _grown(module, moving, channels + 1, strides, train)
    background = jnp.tanh(_grown(module, still, channels, strides, train))[:, None]
    foreground, mask = jnp.tanh(grown[..., :-1]), nn.sigmoid(grown[..., -1:])
    return mask * foreground + (1 - mask) * background, mask


def spread(
    module: Any,
    maps: Float[Array, "num rows columns some"],
    num_frames: int,
    features: int,
    *,
    train: bool,
) -> Float[Array, "num {num_frames} rows columns {features}"]:
    """Make of maps the first ones of a stream of clips: of each a map for every frame."""
    layer = ConvTranspose(
        features,
        (num_frames, 1, 1),
        padding="VALID",
        use_bias=False,
        kernel_init=kernels_init,
        dtype=module.dtype,
    )
    return nn.relu(_norm(module, train)()(layer(maps[:, None])))


def watched(
    module: Any, clips: Float[Array, "num frames height width channels"], *, train: bool
) -> Float[Array, "num some rows columns features"]:
    """The smallest maps of a critic of clips, by layers inside of `module`."""
    strides = time_strides(clips.shape[1], dcgan_depth(*clips.shape[2:4]))
    return halved(module, clips, partial(nn.leaky_relu, negative_slope=0.2), strides, train=train)


def halved(
    module: Any,
    x: Float[Array, "num *sides channels"],
    activation: Callable[[Array], Array],
    strides: list[int],
    *,
    train: bool,
) -> Float[Array, "num *fewer features"]:
    """Halve images, or clips, once for each stride: to `module.width` channels, then twice as many.

    Strides are those in time, which images have none of.
    """
    norm = _norm(module, train, LOOKING_EPSILON)
    for i, stride in enumerate(strides):
        of_clips = stride if x.ndim == 5 else None
        x = _layer(Conv, module, module.width << i, of_clips, use_bias=not i)(x)
        x = activation(norm()(x) if i else x)
    return x


def _grown(module: Any, x: Array, channels: int, strides: list[int], train: bool) -> Array:
    """Double maps, of clips or of images, once for each stride, the last time to `channels`."""
    norm = _norm(module, train)
    for i, stride in enumerate(strides):
        layers_left = len(strides) - 1 - i
        features = module.width << (layers_left - 1) if layers_left else channels
        of_clips = stride if x.ndim == 5 else None
        x = _layer(ConvTranspose, module, features, of_clips, use_bias=not layers_left)(x)
        x = nn.relu(norm()(x)) if layers_left else x
    return x.astype(jnp.float32)


def _started(module: Any, latents: Array, shape: tuple[int, ...], train: bool) -> Array:
    """The first maps of a stream: of this shape, with twice the channels of the layer after."""
    features = module.width << (dcgan_depth(module.size, module.size) - 1)
    num = math.prod(shape) * features
    x = nn.Dense(num, use_bias=False, kernel_init=kernels_init, dtype=module.dtype)(latents)
    return nn.relu(_norm(module, train)()(x.reshape(-1, *shape, features)))


def plan(num_frames: int, size: tuple[int, ...]) -> tuple[tuple[int, ...], list[int]]:
    """The frames and sides of a generator's first maps, and its layers' strides in time."""
    depth = dcgan_depth(*size)
    strides = time_strides(num_frames, depth)[::-1]
    return (num_frames // math.prod(strides), *(side >> depth for side in size)), strides


def _layer(kind: Any, module: Any, features: int, stride: int | None, *, use_bias: bool) -> Any:
    """A layer of stride 2 on images, or on clips, whose stride in time is given."""
    in_time = () if stride is None else (stride,)
    return kind(
        features,
        kernel_size=(*(2 + step for step in in_time), 4, 4),
        strides=(*in_time, 2, 2),
        use_bias=use_bias,
        kernel_init=kernels_init,
        dtype=module.dtype,
    )


def _norm(module: Any, train: bool, epsilon: float = 1e-5) -> Any:
    told = {"dtype": module.dtype, "axis_name": module.axis_name}
    return normalization("batch", train=train, epsilon=epsilon, **told)


def check_sizes(module: Any) -> None:
    """Raise ValueError at the first number of a generator that is below 1."""
    check_bound(AT_LEAST_1, num_frames=module.num_frames, size=module.size)
    check_bound(AT_LEAST_1, channels=module.channels, width=module.width)
