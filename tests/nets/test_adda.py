"""ADDA's encoder against its layers written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import ADDAEncoder

KEY = jax.random.key(0)


def convolved(x, layer):
    """By a sum over the kernel's places, where all of it lies inside."""
    height, width = (side - 4 for side in x.shape[1:3])
    return layer["bias"] + sum(
        x[:, i : i + height, j : j + width] @ layer["kernel"][i, j]
        for i in range(5)
        for j in range(5)
    )


def pooled(x):
    height, width = (side // 2 for side in x.shape[1:3])
    cells = [x[:, i : 2 * height : 2, j : 2 * width : 2] for i in (0, 1) for j in (0, 1)]
    return np.max(cells, axis=0)


def test_it_is_its_layers():
    network = ADDAEncoder(6, (2, 3))
    x = jax.random.normal(KEY, (2, 17, 19, 2))  # 13 x 15 are pooled to 6 x 7, and 2 x 3 to 1 x 1
    draw = lambda leaf: np.random.default_rng(leaf.size).normal(0, 0.3, leaf.shape)  # noqa: E731
    params = jax.tree.map(draw, jax.eval_shape(network.init, KEY, x)["params"])
    hidden = np.asarray(x)
    for name in ("Conv_0", "Conv_1"):
        hidden = np.maximum(pooled(convolved(hidden, params[name])), 0)
    last = params["Dense_0"]
    features = np.maximum(hidden.reshape(2, -1) @ last["kernel"] + last["bias"], 0)
    found = jax.jit(network.apply)({"params": jax.tree.map(jnp.float32, params)}, x)
    np.testing.assert_allclose(found, features, rtol=1e-4, atol=1e-4)
    assert (features > 0).any()


@pytest.mark.parametrize(
    ("height", "width", "channels", "places"),
    [(28, 28, 1, 4 * 4), (16, 16, 3, 1), (32, 21, 3, 5 * 2)],
)
def test_it_takes_images_of_any_size_from_16_on(height, width, channels, places):
    x = jax.ShapeDtypeStruct((5, height, width, channels), jnp.float32)
    features, variables = jax.eval_shape(partial(ADDAEncoder().init_with_output, KEY), x)
    assert features.shape == (5, 500)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert count == 25 * channels * 20 + 20 + 25 * 20 * 50 + 50 + places * 50 * 500 + 500


def test_images_that_are_too_small_are_refused():
    x = jax.ShapeDtypeStruct((5, 28, 15, 1), jnp.float32)
    with pytest.raises(ValueError, match="images are 28x15; ADDA's encoder takes them from 16x16"):
        jax.eval_shape(partial(ADDAEncoder().init, KEY), x)
