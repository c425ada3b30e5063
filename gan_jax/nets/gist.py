"""The networks of text to video with a gist (Li, Min, Shen, Carlson & Carin 2018).

A text becomes an image, the gist, which says where and before what something moves, and a kernel
that filters it; of both grow the two streams of VGAN. The authors' layers are not known. Ours are
those of the neighbours: a small convolutional CVAE, and VGAN's convolutions with their start.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, SIGNED, Bound, check_bound
from gan_jax.errors import Refusal
from gan_jax.nets.conv_vae import ConvDecoder, ConvEncoder
from gan_jax.nets.dcgan import dcgan_depth
from gan_jax.nets.layers import Conv, convolve_each
from gan_jax.nets.layers.norms import normalization
from gan_jax.nets.text_to_image import joined, projected
from gan_jax.nets.vgan import (
    LOOKING_EPSILON,
    check_sizes,
    halved,
    kernels_init,
    plan,
    spread,
    two_streams,
    watched,
)


class Gist(NamedTuple):
    """What clips were made by: the gist, the masks, and mean and log-variance of q(z_g | v, t),
    where z_g was drawn from it."""

    image: Float[Array, "num size size channels"]
    masks: Float[Array, "num frames size size 1"]
    posterior: tuple[Array, Array] | None


class Text2Filter(nn.Module):
    """Filter images by what their texts say: g_t = Conv(g, f_g(t)).

    A dense layer makes of each text its own kernel of `kernel_size`, from all channels to all: so
    it can move and blur what an image shows, and change its colours. The images are padded by
    zeros. The layer's bias starts as a delta, which is the identity, and its kernel from
    N(0, 0.01²). All of it is our choice.

    Li et al. 2018.

    >>> import jax
    >>> from gan_jax import nets
    >>> image, silence = jax.random.normal(jax.random.key(0), (2, 8, 8, 3)), jax.numpy.zeros((2, 5))
    >>> filtered, _ = nets.Text2Filter().init_with_output(jax.random.key(1), image, silence)
    >>> bool((filtered == image).all())
    True

    Raises:
        ValueError: `kernel_size` is below 1, or even.
    """

    kernel_size: int = 5
    dtype: Any = None

    def __post_init__(self) -> None:
        _check_kernel(self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, image: Float[Array, "num height width channels"], text: Float[Array, "num embedding"]
    ) -> Float[Array, "num height width channels"]:
        shape = (self.kernel_size, self.kernel_size, image.shape[-1], image.shape[-1])

        def delta(key: Any, flat: Any, dtype: Any) -> Array:
            middle = self.kernel_size // 2
            identity = jnp.eye(image.shape[-1], dtype=dtype)
            return jnp.zeros(shape, dtype).at[middle, middle].set(identity).reshape(flat)

        num = self.kernel_size**2 * image.shape[-1] ** 2
        told = nn.Dense(num, kernel_init=kernels_init, bias_init=delta, dtype=self.dtype)(text)
        kernels = told.reshape(-1, *shape)
        return convolve_each(image.astype(kernels.dtype), kernels)


class GistEncoder(nn.Module):
    """Give mean and log-variance of q(z_g | v, t), of a clip's first frame and a text.

    A `ConvEncoder` on the frame, with the text at every pixel, as deep as a DCGAN of that size.

    Li et al. 2018; the layers are our choice.

    Raises:
        ValueError: a number is below 1, or a side of the frames is odd.
    """

    dim: int
    width: int = 64
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, dim=self.dim, width=self.width)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, frame: Float[Array, "num height width channels"], text: Float[Array, "num embedding"]
    ) -> tuple[Float[Array, "num {self.dim}"], Float[Array, "num {self.dim}"]]:
        depth = dcgan_depth(*frame.shape[1:3])
        numbers = ConvEncoder(2 * self.dim, self.width, depth, dtype=self.dtype)(
            joined(frame, text)
        )
        mean, log_variance = jnp.split(numbers, 2, axis=-1)
        return mean, log_variance


class GistDecoder(nn.Module):
    """Give the mean of p(g | z_g, t), a square image in [-1, 1], of latents and a text.

    A `ConvDecoder` of both, as deep as a DCGAN of that size, and tanh.

    Li et al. 2018; the layers are our choice.

    Raises:
        ValueError: a number is below 1, or `size` is odd.
    """

    size: int
    channels: int
    width: int = 64
    dtype: Any = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, size=self.size, channels=self.channels, width=self.width)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh."""
        return SIGNED

    @nn.compact
    def __call__(
        self, latents: Float[Array, "num latent"], text: Float[Array, "num embedding"]
    ) -> Float[Array, "num {self.size} {self.size} {self.channels}"]:
        shape, depth = (self.size, self.size, self.channels), dcgan_depth(self.size, self.size)
        vector = jnp.concatenate([latents, text], axis=-1)
        return jnp.tanh(ConvDecoder(shape, self.width, depth, dtype=self.dtype)(vector))


class GistGenerator(nn.Module):
    """Map latents and embeddings of texts to square clips in [-1, 1], by an image, the gist.

    The first `gist_dim` of the latents are z_g, the rest the noise of z_v. A `GistDecoder` makes
    the gist g of z_g and the text, as `text_dim` numbers by a dense layer and LeakyReLU of slope
    0.2, and `Text2Filter` g_t of it. Convolutions, the same for both, halve g and g_t. What they
    make of g is the start of the background of `TwoStreamGenerator`; what they make of g_t, with
    the noise at every place, is spread over the first frames of its foreground.

    Told the first frame of a clip, too, it draws z_g from q(z_g | v, t), which a `GistEncoder`
    gives: z_g = μ + σ ⊙ ε, and ε are the first latents, to be drawn from N(0, I). Without a frame
    the weights of the `encoder` are not read. Returns (clips, `Gist`).

    Li et al. 2018. Where the text goes, the shared convolutions and the layers are our choice.

    >>> import jax
    >>> from gan_jax import nets
    >>> network, latents, text = nets.GistGenerator(32, 64, 3), *jax.numpy.zeros((2, 5, 120))
    >>> (clips, gist), variables = jax.eval_shape(
    ...     network.init_with_output, jax.random.key(0), latents, text)
    >>> clips.shape, gist.image.shape, gist.masks.shape
    ((5, 32, 64, 64, 3), (5, 64, 64, 3), (5, 32, 64, 64, 1))

    Raises:
        ValueError: a number is below 1, `num_frames` or `size` is odd, `kernel_size` is even, or
            there are fewer latents than `gist_dim`.
    """

    num_frames: int
    size: int
    channels: int
    width: int = 64
    gist_dim: int = 100
    text_dim: int = 128
    kernel_size: int = 5
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_sizes(self)
        check_bound(AT_LEAST_1, gist_dim=self.gist_dim, text_dim=self.text_dim)
        _check_kernel(self.kernel_size)
        super().__post_init__()

    @property
    def output_bound(self) -> Bound:
        """The range of tanh, and of what lies between two of its values."""
        return SIGNED

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "num latent"],
        text: Float[Array, "num embedding"],
        first_frame: Float[Array, "num {self.size} {self.size} {self.channels}"] | None = None,
        *,
        train: bool = False,
    ) -> tuple[Float[Array, "num {self.num_frames} {self.size} {self.size} {self.channels}"], Gist]:
        first, strides = plan(self.num_frames, (self.size, self.size))
        told = projected(self, text)
        z_g, noise = self._split(latents)
        posterior = None
        if first_frame is None and self.is_initializing():  # the encoder's weights are drawn, too
            first_frame = jnp.zeros((len(latents), self.size, self.size, self.channels))
        if first_frame is not None:
            encoder = GistEncoder(self.gist_dim, self.width, self.dtype, name="encoder")
            mean, log_variance = posterior = encoder(first_frame, told)
            z_g = mean + jnp.exp(log_variance / 2) * z_g
        sizes = (self.size, self.channels, self.width)
        image = GistDecoder(*sizes, self.dtype, name="decoder")(z_g, told)
        to_filter = Text2Filter(self.kernel_size, self.dtype, name="text_to_filter")
        both = jnp.concatenate([image, to_filter(image, told)])
        still, filtered = jnp.split(halved(self, both, nn.relu, strides, train=train), 2)
        seeds = joined(filtered, noise)
        moving = spread(self, seeds, first[0], still.shape[-1], train=train)
        clips, masks = two_streams(self, moving, still, self.channels, strides, train=train)
        return clips, Gist(image, masks, posterior)

    def _split(self, latents: Array) -> tuple[Array, Array]:
        if latents.shape[-1] < self.gist_dim:
            raise Refusal(
                f"There are {latents.shape[-1]} latents, and the gist takes {self.gist_dim} of "
                "them: give as many, and more for what else is left open."
            )
        return latents[:, : self.gist_dim], latents[:, self.gist_dim :]


class TextToVideoDiscriminator(nn.Module):
    """Judge by one logit clips, and whether they are of their text.

    The layers of `VideoDiscriminator`; then, as in `TextToImageDiscriminator`, the text, as
    `text_dim` numbers, is joined to every place of the smallest maps, and a 1x1x1 convolution with
    batch normalisation and LeakyReLU comes before the last layer.

    Li et al. 2018; the layers are our choice.

    Raises:
        ValueError: a number is below 1; the number of frames or a side of the clips is odd.
    """

    width: int = 64
    text_dim: int = 128
    dtype: Any = None
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_bound(AT_LEAST_1, width=self.width, text_dim=self.text_dim)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "num frames height width channels"],
        text: Float[Array, "num embedding"],
        *,
        train: bool = False,
    ) -> Float[Array, " num"]:
        x = watched(self, x, train=train)
        start = {"kernel_init": kernels_init, "dtype": self.dtype}
        here = Conv(x.shape[-1], (1, 1, 1), use_bias=False, **start)
        told = {"dtype": self.dtype, "axis_name": self.axis_name}
        norm = normalization("batch", train=train, epsilon=LOOKING_EPSILON, **told)
        x = nn.leaky_relu(norm()(here(joined(x, projected(self, text)))), 0.2)
        return nn.Dense(1, **start)(x.reshape(len(x), -1))[:, 0].astype(jnp.float32)


def _check_kernel(kernel_size: int) -> None:
    check_bound(AT_LEAST_1, kernel_size=kernel_size)
    if kernel_size % 2 == 0:
        raise Refusal(
            f"kernel_size is {kernel_size}; a kernel that may leave an image as it is has a middle:"
            " it must be odd, such as 5."
        )
