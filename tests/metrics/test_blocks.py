"""Points in blocks, and split over devices: the same numbers, each device its share of work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax import metrics
from gan_jax.metrics import kernel, neighbours
from gan_jax.metrics.blocks import filled, in_rows, over_blocks

X = jnp.float32(np.random.RandomState(0).randn(300, 8))
Y = jnp.float32(1.2 * np.random.RandomState(1).randn(300, 8) + 0.3)
NUM_DEVICES = 4
MESHES = {
    "auto": Mesh(np.array(jax.devices()[:NUM_DEVICES]), ("rows",)),
    "explicit": jax.make_mesh((NUM_DEVICES,), ("rows",)),
}


def split(x, mesh="auto"):
    return jax.device_put(x, NamedSharding(MESHES[mesh], PartitionSpec("rows")))


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_blocks_come_back_as_rows(size):
    x = jnp.arange(1.0, 11)[:, None] * jnp.ones((1, 2))
    largest = []

    def double(block):
        largest.append(len(block))
        return 2 * block[:, 0]

    rows = in_rows(over_blocks(double, filled(x, size), chunk_size=size))
    np.testing.assert_array_equal(rows[:10], 2 * x[:, 0])
    assert not rows[10:].any()
    assert set(largest) == {min(size, 10)}


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize(("split_x", "split_y"), [(True, True), (True, False), (False, True)])
def test_measures_are_the_same_on_several_devices(mesh, split_x, split_y):
    x, y = split(X, mesh) if split_x else X, split(Y, mesh) if split_y else Y
    assert metrics.prdc(x, y) == metrics.prdc(X, Y)
    for measure, rtol in ((metrics.kernel_distance, 1e-5), (metrics.frechet_distance, 1e-9)):
        np.testing.assert_allclose(measure(x, y), measure(X, Y), rtol=rtol)


@pytest.mark.parametrize(
    "measure",
    [
        lambda x, y: kernel._row_sums.lower(x, y, 64),
        lambda x, y: neighbours._prdc.lower(x, y, 3, 5, 64),
    ],
)
def test_each_device_does_its_share_of_the_work(measure):
    def flops(x, y):
        return measure(x, y).compile().cost_analysis()["flops"]

    assert flops(split(X), split(Y)) < 1.1 * flops(X, Y) / NUM_DEVICES
