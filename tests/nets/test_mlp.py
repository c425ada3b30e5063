"""The multi-layer perceptrons."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import MLPDiscriminator, MLPGenerator

KEY = jax.random.key(0)


def test_the_generator_makes_its_shape_through_its_widths():
    network = MLPGenerator((4, 3), widths=(8, 16))
    x = jax.random.normal(KEY, (5, 2))
    output, variables = network.init_with_output(KEY, x)
    assert output.shape == (5, 4, 3)
    params = jax.tree.map(np.asarray, variables["params"])
    assert [params[f"Dense_{i}"]["kernel"].shape for i in range(3)] == [(2, 8), (8, 16), (16, 12)]
    hidden = np.asarray(x)
    for i in range(2):
        layer = params[f"Dense_{i}"]
        hidden = np.maximum(hidden @ layer["kernel"] + layer["bias"], 0)
    layer = params["Dense_2"]
    expected = (hidden @ layer["kernel"] + layer["bias"]).reshape(5, 4, 3)
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)


def test_the_discriminator_takes_any_shape_to_one_logit():
    network = MLPDiscriminator(widths=(8,), activation=jnp.tanh)
    x = jax.random.normal(KEY, (5, 4, 3))
    logits, variables = network.init_with_output(KEY, x)
    params = jax.tree.map(np.asarray, variables["params"])
    first, second = (params[f"Dense_{i}"] for i in range(2))
    hidden = np.tanh(np.asarray(x).reshape(5, 12) @ first["kernel"] + first["bias"])
    expected = (hidden @ second["kernel"] + second["bias"])[:, 0]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("network", "x"),
    [
        (MLPGenerator((2,), (16,), dtype=jnp.bfloat16), jnp.ones((3, 2))),
        (MLPDiscriminator((16,), dtype=jnp.bfloat16), jnp.ones((3, 2))),
    ],
)
def test_bfloat16_computes_between_float32_ends(network, x):
    output, variables = network.init_with_output(KEY, x)
    assert output.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert not np.array_equal(output, network.clone(dtype=None).apply(variables, x))
