"""The U-Net and the critic of patches: what each output sees, what is random, what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import PatchDiscriminator, Unconditional, UNet

KEY = jax.random.key(0)
PAPER_PATCHES = {0: 1, 1: 16, 2: 34, 3: 70, 4: 142, 5: 286}


def images(*shape, seed=1):
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1.0)


def started(network, *inputs):
    return jax.jit(network.init)({"params": KEY, "dropout": jax.random.key(1)}, *inputs)


@pytest.mark.parametrize(
    ("num_layers", "side"),
    [
        pytest.param(*patch, marks=pytest.mark.slow if patch[0] > 1 else ())
        for patch in PAPER_PATCHES.items()
    ],
)
def test_a_logit_sees_the_patch_of_the_paper(num_layers, side):
    """Which inputs move one logit, from the network itself, without what looks at whole maps."""
    network = PatchDiscriminator(num_layers, width=1, norm=None)
    x = images(1, side + (2 << num_layers), side + (2 << num_layers), 1)
    variables = started(network, x)
    rows, columns = jax.eval_shape(network.apply, variables, x).shape[1:]
    at = rows // 2, columns // 2
    logit = lambda x: network.apply(variables, x)[0, *at]  # noqa: E731
    gradient = jax.jit(jax.grad(logit))(x)[0, ..., 0]
    for axis in (0, 1):
        moves = np.flatnonzero(np.any(np.asarray(gradient) != 0, axis=axis))
        assert moves[-1] - moves[0] + 1 == side


def test_patches_of_the_paper_are_a_map_of_30x30():
    x = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    logits, variables = jax.eval_shape(PatchDiscriminator().init_with_output, KEY, x, x)
    assert logits.shape == (1, 30, 30)
    kernels = [v["kernel"].shape for k, v in sorted(variables["params"].items()) if "Conv" in k]
    assert kernels == [
        (4, 4, i, o) for i, o in ((6, 64), (64, 128), (128, 256), (256, 512), (512, 1))
    ]


def test_the_unet_of_the_paper_has_its_layers_and_parameters():
    x = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    rngs = {"params": KEY, "dropout": KEY}
    made, variables = jax.eval_shape(UNet(3).init_with_output, rngs, x)
    assert made.shape == (1, 256, 256, 3)
    params = variables["params"]
    down = [params[f"Conv_{i}"]["kernel"].shape[-1] for i in range(8)]
    up = [params[f"ConvTranspose_{i}"]["kernel"].shape[-2:] for i in range(8)]
    assert down == [64, 128, 256, 512, 512, 512, 512, 512]
    assert up == [(512, 512)] + [(1024, 512)] * 3 + [(1024, 256), (512, 128), (256, 64), (128, 3)]
    normed = sorted(len(v["scale"].shape) for k, v in params.items() if "Norm" in k)
    assert len(normed) == 6 + 7  # all but the encoder's first and last layer and the decoder's last


def test_severed_skips_leave_the_bottleneck_alone():
    """What the decoder sees is then the bottleneck: as wide as one map, and nothing else."""
    x = images(1, 8, 8, 1)
    severed = UNet(1, width=2, depth=2, norm=None, dropout=0.0, skips=False)
    joined = UNet(1, width=2, depth=2, norm=None, dropout=0.0)
    variables = started(severed, x)
    assert variables["params"]["ConvTranspose_1"]["kernel"].shape == (4, 4, 2, 1)
    rngs = {"params": KEY, "dropout": KEY}
    widened = jax.eval_shape(joined.init, rngs, x)["params"]
    assert widened["ConvTranspose_1"]["kernel"].shape == (4, 4, 4, 1)
    params = dict(variables["params"])
    for i in range(2):
        own = params[f"ConvTranspose_{i}"]
        kernel = np.zeros(widened[f"ConvTranspose_{i}"]["kernel"].shape, np.float32)
        kernel[:, :, : own["kernel"].shape[2]] = own["kernel"]
        params[f"ConvTranspose_{i}"] = {**own, "kernel": kernel}
    made = (
        jax.jit(network.apply)({"params": given}, x, rngs={"dropout": KEY})
        for network, given in ((joined, params), (severed, variables["params"]))
    )
    np.testing.assert_allclose(*made, atol=1e-6)


def convolved(x, layer, strides, padding):
    dims = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, layer["kernel"], strides, padding, dimension_numbers=dims)
    return y + layer.get("bias", jnp.zeros(y.shape[-1])).reshape(1, 1, 1, -1)


def doubled(x, layer):
    y = jax.lax.conv_transpose(
        x, layer["kernel"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y + layer.get("bias", jnp.zeros(y.shape[-1])).reshape(1, 1, 1, -1)


def normed(x, layer):
    mean, var = (f(x, axis=(1, 2), keepdims=True) for f in (jnp.mean, jnp.var))
    gain, bias = (layer[name].reshape(1, 1, 1, -1) for name in ("scale", "bias"))
    return gain * (x - mean) / jnp.sqrt(var + 1e-5) + bias


def leaky(x):
    return jnp.where(x > 0, x, 0.2 * x)


def moved(variables):
    """Parameters that are not 0 or 1."""
    return jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), variables["params"])


def test_the_unet_is_its_equations():
    network, x = UNet(3, width=2, depth=3, dropout=0.0), images(2, 16, 16, 1)

    @jax.jit
    def by_hand(params):
        halve = lambda x, i: convolved(x, params[f"Conv_{i}"], (2, 2), [(1, 1)] * 2)  # noqa: E731
        double = lambda x, i: doubled(x, params[f"ConvTranspose_{i}"])  # noqa: E731
        one = halve(x, 0)
        two = normed(halve(leaky(one), 1), params["InstanceNorm_0"])
        three = halve(leaky(two), 2)
        up = normed(double(jax.nn.relu(three), 0), params["InstanceNorm_1"])
        up = jax.nn.relu(jnp.concatenate([up, two], axis=-1))
        up = normed(double(up, 1), params["InstanceNorm_2"])
        up = jax.nn.relu(jnp.concatenate([up, one], axis=-1))
        return jnp.tanh(double(up, 2))

    params = moved(started(network, x))
    found = jax.jit(network.apply)({"params": params}, x, rngs={"dropout": KEY})
    np.testing.assert_allclose(found, by_hand(params), atol=2e-5)


@pytest.mark.parametrize("num_layers", [0, 1])
def test_the_critic_is_its_equations(num_layers):
    network, x = PatchDiscriminator(num_layers, width=2), images(2, 8, 8, 1)
    y = images(2, 8, 8, 2, seed=4)
    padding = [(1, 1)] * 2 if num_layers else "VALID"
    first = (2, 2) if num_layers else (1, 1)

    @jax.jit
    def by_hand(params):
        h = jnp.concatenate([x, y], axis=-1)
        h = leaky(convolved(h, params["Conv_0"], first, padding))
        h = normed(convolved(h, params["Conv_1"], (1, 1), padding), params["InstanceNorm_0"])
        return convolved(leaky(h), params["Conv_2"], (1, 1), padding)[..., 0]

    params = moved(started(network, x, y))
    found = jax.jit(network.apply)({"params": params}, x, y)
    np.testing.assert_allclose(found, by_hand(params), atol=2e-5)


def test_dropout_is_the_only_noise_also_when_asked():
    x = images(2, 8, 8, 1)

    def of(network):
        variables = started(network, x)
        asked, trained = (
            jax.jit(partial(network.apply, variables, x, train=train)) for train in (False, True)
        )
        one, two = ({"dropout": jax.random.key(seed)} for seed in (0, 1))
        return asked(rngs=one), asked(rngs=two), trained(rngs=one)

    one, other, trained = of(UNet(1, width=4, depth=2))
    assert np.abs(one - other).max() > 1e-4
    np.testing.assert_array_equal(one, trained)
    still, also, _ = of(UNet(1, width=4, depth=2, dropout=0.0))
    np.testing.assert_array_equal(still, also)


def test_dropout_falls_on_the_first_three_hidden_layers():
    network, x = UNet(1, width=1, depth=6, norm=None, dropout=0.999), images(1, 64, 64, 1)
    rngs = {"params": KEY, "dropout": KEY}
    variables = jax.eval_shape(network.init, rngs, x)
    noting = partial(network.apply, capture_intermediates=True, mutable="intermediates", rngs=rngs)
    _, kept = jax.eval_shape(noting, variables, x)
    names = [name for name in kept["intermediates"] if name.startswith("Dropout")]
    assert len(names) == 3


def test_instance_norm_takes_each_example_by_itself_and_batch_norm_keeps_averages():
    x = images(3, 12, 12, 1)
    by_instance = PatchDiscriminator(1, width=2)
    variables = started(by_instance, x)
    whole = jax.jit(partial(by_instance.apply, train=True))(variables, x)
    np.testing.assert_allclose(whole[:1], jax.jit(by_instance.apply)(variables, x[:1]), atol=1e-5)
    by_batch = by_instance.clone(norm="batch")
    variables = started(by_batch, x)
    trained = jax.jit(partial(by_batch.apply, train=True, mutable="batch_stats"))
    asked, after = trained(variables, x)
    assert float(jnp.abs(asked - jax.jit(by_batch.apply)(variables, x)).max()) > 1e-4
    mean = after["batch_stats"]["BatchNorm_0"]["mean"]
    assert 0 < float(jnp.abs(mean).max()) < 0.1


def test_the_unconditional_critic_is_told_and_does_not_look():
    critic = PatchDiscriminator(1, width=2)
    x, y = images(1, 8, 8, 1), images(1, 8, 8, 2, seed=3)
    variables = started(Unconditional(critic), x, y)
    asked = jax.jit(Unconditional(critic).apply)
    one, other = (asked(variables, x, told) for told in (y, y + 1))
    np.testing.assert_array_equal(other, one)
    alone = jax.jit(critic.apply)({"params": variables["params"]["network"]}, x)
    np.testing.assert_array_equal(other, alone)


@pytest.mark.parametrize(
    ("network", "shapes", "said"),
    [
        (UNet(1), [(1, 15, 16, 1)], "U-Net of depth 1 has no images of 15x16.* such as to 16x16"),
        (UNet(1, depth=3), [(1, 28, 28, 1)], "depth 3 .* multiples of 8; .* such as to 32x32"),
        (
            PatchDiscriminator(2),
            [(1, 11, 16, 1)],
            "of 2 layers has no patch in images of 11x16: both sides must be at least 12",
        ),
        (
            PatchDiscriminator(1),
            [(2, 8, 8, 1), (2, 8, 9, 1)],
            r"images are \(2, 8, 8, 1\) and their conditions \(2, 8, 9, 1\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(network, shapes, said):
    with pytest.raises(ValueError, match=said):
        started(network, *(jnp.zeros(shape) for shape in shapes))


def test_numbers_out_of_bounds_and_other_norms_are_refused():
    for wrong in ({"dropout": 1.0}, {"depth": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            UNet(1, **wrong)
    with pytest.raises(ValueError, match="num_layers is -1"):
        PatchDiscriminator(-1)
    with pytest.raises(ValueError, match="norm is 'layer'; it must be one of 'instance', 'batch'"):
        started(PatchDiscriminator(1, norm="layer"), jnp.zeros((1, 8, 8, 1)))


def test_the_smallest_images_that_are_taken():
    for num_layers in (1, 2, 3):
        x = jax.ShapeDtypeStruct((1, 3 << num_layers, 3 << num_layers, 1), jnp.float32)
        logits, _ = jax.eval_shape(PatchDiscriminator(num_layers).init_with_output, KEY, x)
        assert logits.shape == (1, 1, 1)
