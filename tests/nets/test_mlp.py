"""The multi-layer perceptrons."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import MLPDiscriminator, MLPEncoder, MLPGenerator

KEY = jax.random.key(0)


@partial(jax.jit, static_argnums=0, static_argnames="train")
def started(network, x, **options):
    return network.init(KEY, x, **options)


@partial(jax.jit, static_argnums=0, static_argnames=("mutable", "train"))
def applied(network, variables, x, **options):
    return network.apply(variables, x, **options)


def filled(network, x):
    """Draw every parameter, biases too, so that none goes unseen."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, KEY, x)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.5, leaf.shape).astype(leaf.dtype), shapes)


def test_the_generator_makes_its_shape_through_its_widths():
    network = MLPGenerator((4, 3), widths=(8, 16))
    x = jax.random.normal(KEY, (5, 2))
    variables = filled(network, x)
    output, params = applied(network, variables, x), variables["params"]
    assert output.shape == (5, 4, 3)
    assert [params[f"Dense_{i}"]["kernel"].shape for i in range(3)] == [(2, 8), (8, 16), (16, 12)]
    hidden = np.asarray(x)
    for i in range(2):
        layer = params[f"Dense_{i}"]
        hidden = np.maximum(hidden @ layer["kernel"] + layer["bias"], 0)
    layer = params["Dense_2"]
    expected = (hidden @ layer["kernel"] + layer["bias"]).reshape(5, 4, 3)
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)


def test_the_discriminator_takes_any_shape_to_one_logit():
    network = MLPDiscriminator(widths=(8, 6), activation=jnp.tanh)
    x = jax.random.normal(KEY, (5, 4, 3))
    variables = filled(network, x)
    first, second, last = (variables["params"][f"Dense_{i}"] for i in range(3))
    hidden = np.tanh(np.asarray(x).reshape(5, 12) @ first["kernel"] + first["bias"])
    hidden = np.tanh(hidden @ second["kernel"] + second["bias"])
    expected = (hidden @ last["kernel"] + last["bias"])[:, 0]
    np.testing.assert_allclose(applied(network, variables, x), expected, rtol=1e-5, atol=1e-6)


def test_the_generator_uses_its_activation_and_no_widths_make_a_linear_map():
    x = jax.random.normal(KEY, (5, 3))
    network = MLPGenerator((), widths=(4,), activation=jnp.tanh)
    variables = filled(network, x)
    first, last = (variables["params"][f"Dense_{i}"] for i in range(2))
    expected = np.tanh(np.asarray(x) @ first["kernel"] + first["bias"]) @ last["kernel"]
    output = applied(network, variables, x)
    np.testing.assert_allclose(output, (expected + last["bias"])[:, 0], rtol=1e-5, atol=1e-6)
    linear = MLPGenerator((2, 2), widths=())
    variables = filled(linear, x)
    (layer,) = variables["params"].values()
    expected = (np.asarray(x) @ layer["kernel"] + layer["bias"]).reshape(5, 2, 2)
    np.testing.assert_allclose(applied(linear, variables, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("network", [MLPGenerator((2,)), MLPDiscriminator()])
def test_training_changes_nothing(network):
    x = jnp.ones((3, 2))
    variables = filled(network, x)
    np.testing.assert_array_equal(
        applied(network, variables, x, train=True), applied(network, variables, x)
    )
    assert set(variables) == {"params"}


@pytest.mark.parametrize(
    ("network", "x"),
    [
        (MLPGenerator((2,), (16, 16), dtype=jnp.bfloat16), jnp.ones((3, 2))),
        (MLPDiscriminator((16, 16), dtype=jnp.bfloat16), jnp.ones((3, 2))),
    ],
)
def test_bfloat16_computes_between_float32_ends(network, x):
    output, variables = jax.eval_shape(lambda: network.init_with_output(KEY, x))
    assert output.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    products = [
        line
        for line in str(jax.make_jaxpr(network.apply)(variables, x)).splitlines()
        if "dot_general" in line
    ]
    assert len(products) == 3
    assert all(":bf16" in line for line in products)


def test_the_generator_s_output_may_be_squashed():
    x = jax.random.normal(KEY, (5, 2))
    plain, squashed = MLPGenerator((3,)), MLPGenerator((3,), output=jnp.tanh)
    variables = filled(plain, x)
    made = applied(squashed, variables, x)
    expected = jnp.tanh(applied(plain, variables, x))
    np.testing.assert_allclose(made, expected, rtol=1e-6)


@pytest.mark.slow
def test_a_spectrally_normalised_discriminator_has_weights_of_norm_one():
    """So with ReLU it is 1-Lipschitz, up to what the power iterations have not yet found."""
    network = MLPDiscriminator((16, 16), spectral_norm=True)
    x = jax.random.normal(KEY, (64, 2))
    variables = started(network, x)
    for _ in range(50):
        _, state = applied(network, variables, x, train=True, mutable="batch_stats")
        variables = {**variables, **state}
    logits = applied(network, variables, x)
    gaps = np.abs(logits[:, None] - logits[None])
    distances = np.linalg.norm(x[:, None] - x[None], axis=-1)
    assert np.all(gaps <= 1.01 * distances + 1e-6)
    unnormalised = MLPDiscriminator((16, 16))
    assert "batch_stats" not in started(unnormalised, x)


def test_the_encoder_is_the_generator_on_flat_examples():
    x = jax.random.normal(KEY, (5, 4, 3))
    network = MLPEncoder(6, widths=(8,), activation=jnp.tanh)
    variables = filled(network, x)
    expected = applied(MLPGenerator((6,), (8,), jnp.tanh), variables, x.reshape(5, 12))
    np.testing.assert_array_equal(applied(network, variables, x), expected)


def test_weights_start_as_they_are_told():
    network = MLPGenerator(
        (3,), (4,), kernel_init=nn.initializers.ones, output_bias_init=nn.initializers.constant(2.0)
    )
    params = started(network, jnp.zeros((1, 2)))["params"]
    assert {float(a) for a in params["Dense_0"]["kernel"].ravel()} == {1}
    assert params["Dense_0"]["bias"].tolist() == [0] * 4
    assert params["Dense_1"]["bias"].tolist() == [2] * 3
    encoder = MLPEncoder(3, (4,), kernel_init=nn.initializers.ones)
    assert np.all(started(encoder, jnp.zeros((1, 2)))["params"]["Dense_1"]["kernel"] == 1)


def test_a_spectral_norm_is_estimated_anew_at_every_call_that_trains():
    network, x = MLPDiscriminator((3,), spectral_norm=True), jnp.ones((2, 4))
    start = started(network, x)

    def after(variables, **how):
        return start | applied(network, variables, x, mutable="batch_stats", **how)[1]

    jax.tree.map(np.testing.assert_array_equal, after(start), start)
    once = after(start, train=True)
    twice = after(once, train=True)
    for name, old in once["batch_stats"]["SpectralNorm_0"].items():
        assert np.max(np.abs(twice["batch_stats"]["SpectralNorm_0"][name] - old)) > 0.01


def test_a_generator_may_normalise_its_hidden_layers_by_the_batch_where_it_trains():
    network = MLPGenerator((2,), widths=(8, 6), batch_norm=True)
    x = jax.random.normal(KEY, (50, 3))
    variables = started(network, x, train=True)
    biased = [i for i in range(3) if "bias" in variables["params"][f"Dense_{i}"]]
    assert biased == [2]
    trained, after = applied(network, variables, x, train=True, mutable="batch_stats")
    params, running = jax.tree.map(np.asarray, (variables["params"], variables["batch_stats"]))
    hidden = asked = np.asarray(x)
    for i in range(2):
        norm, before = params[f"BatchNorm_{i}"], running[f"BatchNorm_{i}"]
        hidden, asked = (h @ params[f"Dense_{i}"]["kernel"] for h in (hidden, asked))
        mean, variance = hidden.mean(0), hidden.var(0)
        moved = after["batch_stats"][f"BatchNorm_{i}"]
        np.testing.assert_allclose(moved["mean"], 0.1 * mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(moved["var"], 0.9 + 0.1 * variance, rtol=1e-4)
        hidden = (hidden - mean) / np.sqrt(variance + 1e-5) * norm["scale"] + norm["bias"]
        asked = (asked - before["mean"]) / np.sqrt(before["var"] + 1e-5) * norm["scale"]
        hidden, asked = np.maximum(hidden, 0), np.maximum(asked + norm["bias"], 0)
    last = params["Dense_2"]
    for made, expected in ((trained, hidden), (applied(network, variables, x), asked)):
        expected = expected @ last["kernel"] + last["bias"]
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)
