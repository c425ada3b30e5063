"""StackGAN's generators: the augmentation's draws, both stages against NumPy, the paper's sizes."""

from functools import partial
from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import (
    ConditioningAugmentation,
    ConvTranspose,
    StageOneGenerator,
    StageTwoGenerator,
    TextToImageDiscriminator,
    TextToImageGenerator,
)
from tests.nets.test_text_to_image import (
    LATENTS,
    TEXT,
    Layers,
    beside,
    filled,
    kernels,
    leaky_relu,
    relu,
    shapes,
)

KEY = jax.random.key(0)
SMALL = np.float32(np.random.default_rng(1).uniform(-1, 1, (3, 8, 8, 2)))


class Given(nn.Module):
    """A first stage that makes these images, and more."""

    @nn.compact
    def __call__(self, latents, text, *, train=False):
        return jnp.asarray(SMALL), "more"


def check_layers(network, *inputs, train):
    """Each computes in the type that the network was told; norms know its axis, and `train`.

    Returns all that have kernels or gains.
    """
    seen = []

    def watch(method, args, kwargs, context):
        seen.append(context.module)
        return method(*args, **kwargs)

    network = network.clone(dtype=jnp.bfloat16, axis_name="data")
    with nn.intercept_methods(watch):
        made, _ = jax.eval_shape(
            partial(network.init_with_output, train=train),
            {"params": KEY, "noise": KEY},
            *inputs,
        )
    norms = [module for module in seen if isinstance(module, nn.BatchNorm)]
    layers = [m for m in seen if isinstance(m, nn.Dense | nn.Conv | ConvTranspose)]
    assert len(norms) > 1 < len(layers)
    assert {(m.axis_name, m.use_running_average) for m in norms} == {("data", not train)}
    assert {m.dtype for m in [*norms, *layers]} == {jnp.bfloat16}
    assert {x.dtype for x in jax.tree.leaves(made)} <= {jnp.dtype(jnp.float32)}
    return [*norms, *layers]


def test_what_is_drawn_has_the_mean_and_the_deviation_that_it_says():
    num = 4_000
    network = ConditioningAugmentation(3)
    text = jnp.tile(TEXT[:1], (num, 1))
    rngs = {"params": jax.random.key(3), "noise": KEY}
    (drawn, (mean, log_variance)), variables = network.init_with_output(rngs, text)
    numbers = leaky_relu(Layers(variables).dense(TEXT[:1]))
    np.testing.assert_allclose(mean[:1], numbers[:, :3], rtol=1e-5)
    np.testing.assert_allclose(log_variance[:1], numbers[:, 3:], rtol=1e-5)
    deviation = np.exp(numbers[0, 3:] / 2)
    assert np.abs(deviation - 1).min() > 8 / np.sqrt(2 * num)  # nor is it the variance
    noise = (np.asarray(drawn) - numbers[:, :3]) / deviation
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=4 / np.sqrt(num))
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=4 / np.sqrt(2 * num))
    between = np.corrcoef(noise, rowvar=False)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(between, 0, atol=4 / np.sqrt(num))


def test_the_augmentation_is_float32_where_it_computes_in_bfloat16():
    (drawn, gaussian), _ = shapes(ConditioningAugmentation(3, jnp.bfloat16), TEXT)
    assert {x.dtype for x in (drawn, *gaussian)} == {jnp.dtype(jnp.float32)}


def up(of, x):
    return of.conv(x.repeat(2, axis=1).repeat(2, axis=2))


def test_the_first_stage_is_its_layers():
    network = StageOneGenerator(16, 2, 3, 2, 1, augmentation=False)
    found, variables = filled(network, LATENTS, TEXT)
    of = Layers(variables)
    told = leaky_relu(of.dense(TEXT))
    x = of.dense(np.concatenate([told, LATENTS], axis=1)).reshape(3, 4, 4, 6)
    x = of.bottleneck(of.norm(x), relu)
    x = relu(of.norm(up(of, x)))
    np.testing.assert_allclose(found, np.tanh(up(of, x)), atol=1e-4)


def test_the_second_stage_is_its_layers():
    network = StageTwoGenerator(Given(), 1, 4, 2, 1, augmentation=False)
    found, variables = filled(network, LATENTS, TEXT)
    of = Layers(variables)
    told = leaky_relu(of.dense(TEXT))
    x = relu(of.conv(SMALL))
    for _ in range(2):
        x = relu(of.norm(of.conv(x, 2)))
    assert x.shape == (3, 2, 2, 16)
    x = relu(of.norm(of.conv(beside(x, told))))
    x = relu(x + of.norm(of.conv(relu(of.norm(of.conv(x))))))
    for _ in range(3):
        x = relu(of.norm(up(of, x)))
    assert x.shape == (3, 16, 16, 2)
    np.testing.assert_allclose(found, np.tanh(of.conv(x)), atol=1e-4)


def without_deviation(variables):
    """The same network without augmentation, and with one that adds nothing: σ = e^-50."""
    told = variables["params"]["Dense_0"]
    num = len(told["bias"])
    more = {
        "kernel": np.concatenate([told["kernel"], np.zeros_like(told["kernel"])], axis=1),
        "bias": np.concatenate([told["bias"], np.full(num, -500.0, np.float32)]),
    }
    others = {name: value for name, value in variables["params"].items() if name != "Dense_0"}
    others = {"Dense_0" if name == "Dense_1" else name: value for name, value in others.items()}
    params = {**others, "ConditioningAugmentation_0": {"Dense_0": more}}
    return {**variables, "params": params}


def test_without_deviation_there_is_no_augmentation():
    network = StageOneGenerator(4, 1, 4, 2, 0, augmentation=False)
    expected, variables = filled(network, LATENTS, TEXT)
    augmented = jax.jit(network.clone(augmentation=True).apply)
    images, (mean, log_variance) = augmented(
        without_deviation(variables), LATENTS, TEXT, rngs={"noise": KEY}
    )
    np.testing.assert_allclose(images, expected, atol=1e-6)
    told = variables["params"]["Dense_0"]
    np.testing.assert_allclose(mean, leaky_relu(TEXT @ told["kernel"] + told["bias"]), rtol=1e-4)
    np.testing.assert_allclose(log_variance, -100.0)


def test_both_stages_have_the_authors_sizes():
    latents, text = jnp.zeros((2, 100)), jnp.zeros((2, 1024))
    one = StageOneGenerator(64, 3)
    (small, (mean, log_variance)), variables = shapes(one, latents, text)
    assert small.shape == (2, 64, 64, 3)
    assert mean.shape == log_variance.shape == (2, 128)
    assert kernels(variables, "Dense") == [(228, 4 * 4 * 1024)]
    ups = [(3, 3, *pair) for pair in pairwise([1024, 512, 256, 128, 3])]
    assert kernels(variables, "Conv") == ups
    assert [f"Bottleneck_{i}" in variables["params"] for i in range(3)] == [True, True, False]
    (large, _), variables = shapes(StageTwoGenerator(one), latents, text)
    assert large.shape == (2, 256, 256, 3)
    encoder = [(3, 3, 3, 128), (4, 4, 128, 256), (4, 4, 256, 512), (3, 3, 512 + 128, 512)]
    blocks = [(3, 3, 512, 512)] * 8
    ups = [(3, 3, *pair) for pair in pairwise([512, 256, 128, 64, 32, 3])]
    assert kernels(variables, "Conv") == [*encoder, *blocks, *ups]


@pytest.mark.parametrize(
    ("network", "given"),
    [
        (TextToImageGenerator(16, 1, 1, 2), LATENTS),
        (TextToImageDiscriminator(1, 2), SMALL),
        (StageOneGenerator(16, 1, 1, 2), LATENTS),
        (StageTwoGenerator(Given(), 1, 1, 2), LATENTS),
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_every_layer_knows_its_type_its_axis_and_whether_it_is_trained(network, given, train):
    check_layers(network, given, TEXT, train=train)


def test_a_first_stage_that_cannot_be_halved_twice_is_refused():
    with pytest.raises(ValueError, match="The first stage makes images of 6x6, which the second"):
        shapes(StageTwoGenerator(StageOneGenerator(6, 1, 1)), LATENTS, TEXT)
    with pytest.raises(ValueError, match="num_residual is -1"):
        StageTwoGenerator(Given(), num_residual=-1)
