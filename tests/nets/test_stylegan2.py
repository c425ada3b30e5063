"""StyleGAN2's networks: the authors' sizes, their layers written out, styles, noise, switches."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import nets
from gan_jax.nets import StyleGAN2Discriminator, StyleGAN2Generator
from gan_jax.nets.layers import EqualisedConv, EqualisedDense, ModulatedConv
from gan_jax.nets.layers.minibatch import minibatch_deviation
from gan_jax.signals import smooth, smooth_down, smooth_up

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
WIDTHS = (4, 3)
SIDES = (4, 8, 8)
LATENTS = jax.random.normal(jax.random.key(1), (4, 5))
IMAGES = jax.random.normal(jax.random.key(2), (4, 8, 8, 2))
generator = partial(StyleGAN2Generator, 8, 2, WIDTHS, dim=5, depth=2)


@jax.jit
def moved(variables):
    """Other numbers than a start has, where noise and biases are 0."""
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(3), len(leaves))
    return tree.unflatten(
        [x + 0.5 * jax.random.normal(key, x.shape) for x, key in zip(leaves, keys, strict=True)]
    )


@partial(jax.jit, static_argnums=0)
def started(network, x):
    return network.init({"params": KEY, "noise": KEY}, x)


@partial(jax.jit, static_argnums=0, static_argnames=("method", "mutable", "train", "truncation"))
def asked(network, variables, *inputs, key=KEY, **options):
    return network.apply(variables, *inputs, rngs={"noise": key}, **options)


def activation(x):
    return np.sqrt(2) * jnp.where(x > 0, x, 0.2 * x)


def num_params(network, x):
    shapes = jax.eval_shape(network.init, {"params": KEY, "noise": KEY}, x)["params"]
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def test_configuration_f_has_the_authors_number_of_parameters():
    """As their code prints it for 1024x1024."""
    widths = nets.stylegan2_widths(1024)
    made = num_params(StyleGAN2Generator(1024, 3, widths), jnp.zeros((4, 512)))
    judging = num_params(StyleGAN2Discriminator(widths), jnp.zeros((4, 1024, 1024, 3)))
    assert (made, judging) == (30_370_060, 29_012_513)
    assert StyleGAN2Generator(1024, 3, widths).num_layers == 18


@pytest.mark.slow
def test_images_of_other_sides_are_the_middle_of_larger_ones():
    """And are padded by their edges where they are judged."""
    whole, part = generator(), StyleGAN2Generator(5, 2, WIDTHS, dim=5, depth=2)
    variables = moved(started(whole, LATENTS))
    images = asked(whole, variables, LATENTS)[0]
    np.testing.assert_allclose(
        asked(part, variables, LATENTS)[0], images[:, 1:6, 1:6], rtol=1e-5, atol=1e-5
    )
    network = StyleGAN2Discriminator(WIDTHS)
    variables, small = moved(started(network, IMAGES)), IMAGES[:, 1:6, 1:6]
    padded = jnp.pad(small, [(0, 0), (1, 2), (1, 2), (0, 0)], mode="edge")
    np.testing.assert_allclose(
        asked(network, variables, small), asked(network, variables, padded), rtol=1e-5
    )


def test_widths_are_halved_from_where_they_are_not_at_most():
    assert nets.stylegan2_widths(256, base=8_192) == (512, 512, 512, 512, 256, 128, 64)
    assert nets.stylegan2_widths(16, base=16, most=5) == (5, 4, 2)
    assert nets.stylegan2_widths(32, base=4) == (2, 1, 1, 1)
    assert len(nets.stylegan2_widths(28)) == len(nets.stylegan2_widths(32)) == 4


def test_the_mapping_is_dense_layers_on_the_direction_of_latents():
    network = generator()
    variables = moved(started(network, LATENTS))
    params = variables["params"]["mapping"]
    x = LATENTS / jnp.sqrt(jnp.mean(LATENTS**2, axis=1, keepdims=True))
    for layer in ("EqualisedDense_0", "EqualisedDense_1"):
        dense = EqualisedDense(5, rate=0.01)
        x = activation(dense.apply({"params": params[layer]}, x))
    w = asked(network, variables, LATENTS, method="styles")
    assert w.shape == (4, 4, 5)
    np.testing.assert_allclose(w, np.repeat(x[:, None], 4, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        asked(network, variables, 3 * LATENTS, method="styles"), w, rtol=1e-4, atol=1e-5
    )


def test_truncation_goes_from_the_mean_style_on():
    network = generator()
    variables = moved(started(network, LATENTS))
    mean = variables["batch_stats"]["mapping"]["mean"]
    styles = partial(asked, network, variables, LATENTS, method="styles")
    w = styles()
    mean = jnp.broadcast_to(mean, w.shape)
    np.testing.assert_array_equal(styles(truncation=1.0), w)
    np.testing.assert_allclose(styles(truncation=0.0), mean, atol=1e-6)
    np.testing.assert_allclose(styles(truncation=0.3), 0.7 * mean + 0.3 * w, rtol=1e-4, atol=1e-5)


def test_training_moves_the_mean_style_by_unmixed_ones():
    network = generator(mixing=1.0, decay=0.9)
    variables = moved(started(network, LATENTS))
    w = asked(network, variables, LATENTS, method="styles")[:, 0]
    _, after = asked(network, variables, LATENTS, train=True, mutable="batch_stats")
    mean = variables["batch_stats"]["mapping"]["mean"]
    expected = 0.9 * mean + 0.1 * w.mean(axis=0)
    np.testing.assert_allclose(after["batch_stats"]["mapping"]["mean"], expected, rtol=1e-4)
    _, asked_after = asked(network, variables, LATENTS, mutable="batch_stats")
    np.testing.assert_array_equal(asked_after["batch_stats"]["mapping"]["mean"], mean)


def test_styles_are_mixed_from_a_layer_on_for_a_whole_batch():
    """Nine times in ten, from one of the layers 1, 2, 3 on."""
    network = generator()
    variables = moved(started(network, LATENTS))
    w = asked(network, variables, LATENTS, method="styles")

    @jax.jit
    @jax.vmap
    def mixed(key):
        told = {"train": True, "method": "styles", "mutable": "batch_stats"}
        return network.apply(variables, LATENTS, rngs={"noise": key}, **told)[0]

    found = mixed(jax.random.split(KEY, 900))
    is_own = jnp.abs(found - w[None]).max(axis=3) < 1e-5
    assert (is_own == is_own[:, :1]).all()
    num_own = np.bincount(is_own[:, 0].sum(axis=1), minlength=5)
    assert num_own[0] == 0
    np.testing.assert_allclose(num_own[1:] / 900, [0.3, 0.3, 0.3, 0.1], atol=0.06)
    assert (np.sort(is_own[:, 0], axis=1)[:, ::-1] == is_own[:, 0]).all()
    others = found[~is_own[:, :, 3]][:, 3]
    assert len(np.unique(np.round(others[:, 0], 4))) > 0.9 * len(others)
    unmixed = asked(
        generator(mixing=0.0),
        variables,
        LATENTS,
        train=True,
        method="styles",
        mutable="batch_stats",
    )
    np.testing.assert_allclose(unmixed[0], w, rtol=1e-5)


def by_hand(params, w, noise, *, skip=True, demodulate=True):
    """Images of 8x8."""
    layers = iter(range(9))

    def conv(x, w, width, size, *, demodulate, **options):
        number = next(layers)
        affine = params[f"EqualisedDense_{number}"]
        styles = 1 + EqualisedDense(x.shape[-1]).apply({"params": affine}, w)
        layer = ModulatedConv(width, size, demodulate, **options)
        return layer.apply({"params": params[f"ModulatedConv_{number}"]}, x, styles)

    def layer(x, w, width, number, **options):
        x = conv(x, w, width, 3, demodulate=demodulate, **options)
        added = params[f"Noise_{number}"]
        x = x + added["strength"] * noise[number]
        return activation(x + added["bias"][None, None, None])

    def colours(x, w):
        bias = params[f"bias_{x.shape[1]}"][None, None, None]
        return conv(x, w, 2, 1, demodulate=False) + bias

    x = jnp.broadcast_to(params["constant"], (len(w), 4, 4, 4))
    x = layer(x, w[:, 0], 4, 0)
    image = colours(x, w[:, 1]) if skip else None
    x = layer(x, w[:, 1], 3, 1, upsample=True)
    x = layer(x, w[:, 2], 3, 2)
    last = colours(x, w[:, 3])
    return smooth_up(image) + last if skip else last


@pytest.mark.parametrize("switches", [{}, {"skip": False}, {"demodulate": False}])
def test_synthesis_written_out(switches):
    network = generator(**switches)
    variables = moved(started(network, LATENTS))
    w = jax.random.normal(KEY, (4, 4, 5))
    keys = jax.random.split(KEY, len(SIDES))
    noise = [
        jax.random.normal(key, (4, side, side, 1)) for key, side in zip(keys, SIDES, strict=True)
    ]
    found = asked(network, variables, w, noise, method="synthesise")
    expected = jax.jit(partial(by_hand, **switches))(variables["params"]["synthesis"], w, noise)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_maps_of_noise_are_those_of_the_layers():
    assert generator().noise_sides == SIDES
    whole = StyleGAN2Generator(28, 1, nets.stylegan2_widths(28), dim=5)
    assert whole.noise_sides == (4, 8, 8, 16, 16, 32, 32)
    network, w = generator(), jnp.zeros((4, 4, 5))
    variables = jax.eval_shape(partial(started, network), LATENTS)
    noise = [jnp.zeros((4, side, side, 1)) for side in SIDES]
    for wrong in (noise[:2], [*noise[:2], noise[0]]):
        with pytest.raises(
            ValueError, match=r"noise is of shapes \[.*\]; it must be of \[\(4, 4, "
        ):
            asked(network, variables, w, wrong, method="synthesise")


def test_noise_is_nothing_at_the_start_and_each_pixels_own_later():
    network = generator()
    variables = started(network, LATENTS)
    others = jax.random.key(9)
    images, w = asked(network, variables, LATENTS)
    np.testing.assert_array_equal(asked(network, variables, LATENTS, key=others)[0], images)
    params = variables["params"]["synthesis"]
    params["Noise_2"]["strength"] = jnp.array(0.1)
    first, second = (asked(network, variables, LATENTS, key=key)[0] for key in (KEY, others))
    np.testing.assert_array_equal(asked(network, variables, LATENTS)[1], w)
    assert (first != second).any()
    assert np.abs(first - images).mean() < 0.5
    params = {"strength": jnp.ones(()), "bias": jnp.zeros(2)}
    noise = asked(nets.stylegan2.Noise(), {"params": params}, jnp.zeros((3, 5, 4, 2)))
    assert np.unique(noise[..., 0]).size == 3 * 5 * 4
    np.testing.assert_array_equal(noise[..., 0], noise[..., 1])


def judged_by_hand(params, x, *, residual):
    convs = iter(range(9))

    def conv(x, width, size=3, **options):
        layer = EqualisedConv(width, size, **options)
        return layer.apply({"params": params[f"EqualisedConv_{next(convs)}"]}, x)

    def dense(x, width, number):
        return EqualisedDense(width).apply({"params": params[f"EqualisedDense_{number}"]}, x)

    x = activation(conv(x, 3, 1))
    y = activation(conv(x, 3))
    y = activation(conv(smooth(y, (2, 2)), 4, strides=2, padding="VALID"))
    if residual:
        y = (y + conv(smooth_down(x), 4, 1, use_bias=False)) / np.sqrt(2)
    y = jnp.concatenate([y, minibatch_deviation(y, 2)], axis=-1)
    y = activation(conv(y, 4)).reshape(len(x), -1)
    return dense(activation(dense(y, 4, 0)), 1, 1)[:, 0]


@pytest.mark.parametrize("residual", [True, False])
def test_the_discriminator_written_out(residual):
    network = StyleGAN2Discriminator(WIDTHS, group=2, residual=residual)
    variables = moved(started(network, IMAGES))
    expected = jax.jit(partial(judged_by_hand, residual=residual))(variables["params"], IMAGES)
    np.testing.assert_allclose(asked(network, variables, IMAGES), expected, rtol=1e-4, atol=1e-4)


def test_both_compute_in_bfloat16_what_they_give_in_float32():
    for network, plain, x in (
        (generator(dtype=jnp.bfloat16), generator(), LATENTS),
        (
            StyleGAN2Discriminator(WIDTHS, dtype=jnp.bfloat16),
            StyleGAN2Discriminator(WIDTHS),
            IMAGES,
        ),
    ):
        variables = moved(started(plain, x))
        found, exact = (jax.tree.leaves(asked(one, variables, x))[0] for one in (network, plain))
        assert found.dtype == jnp.float32
        assert (found != exact).any()
        np.testing.assert_allclose(found, exact, atol=0.1 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: nets.stylegan2_widths(4), "size is 4; it must be above 4"),
        (lambda: nets.stylegan2_widths(8, base=0), "base is 0"),
        (lambda: StyleGAN2Generator(8, 1, (4,)), r"widths is \(4,\); it must be 2 numbers, for"),
        (lambda: StyleGAN2Generator(8, 1, (4, 0)), r"widths\[1\] is 0"),
        (lambda: StyleGAN2Generator(8, 0, WIDTHS), "channels is 0"),
        (lambda: StyleGAN2Generator(8, 1, WIDTHS, mixing=1.1), "mixing is 1.1"),
        (lambda: StyleGAN2Generator(8, 1, WIDTHS, decay=1.0), "decay is 1.0"),
        (lambda: StyleGAN2Discriminator(WIDTHS, group=0), "group is 0"),
        (lambda: started(StyleGAN2Discriminator(WIDTHS), jnp.zeros((4, 16, 16, 1))), "3 numbers"),
        (lambda: started(StyleGAN2Discriminator(WIDTHS), jnp.zeros((4, 8, 6, 1))), "width is 6"),
    ],
)
def test_what_is_refused(made, said):
    with pytest.raises(ValueError, match=said):
        made()
