"""TFGAN's critics: filters that change nothing, each example's own, sizes of all maps."""

from functools import partial
from itertools import product

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import Conv, FilterCritic
from gan_jax.nets.layers import convolve_each
from gan_jax.nets.tfgan_critic import FilterTap, _halved, _means

KEY = jax.random.key(0)


def normal(seed, shape):
    return np.random.default_rng(seed).normal(0, 0.3, shape)


def drawn(seed, *shape):
    return jnp.float32(normal(seed, shape) / 0.3)


def delta(*kernel, channels):
    bank = np.zeros((2, *kernel, channels, channels), np.float32)
    middle = tuple(side // 2 for side in kernel)
    bank[(slice(None), *middle)] = np.eye(channels)
    return jnp.asarray(bank)


def by_places(x, filters):
    """A sum over the places of the kernel, each example with its own."""
    num_axes = filters.ndim - 3
    sides, space = filters.shape[1:-2], x.shape[-num_axes - 1 : -1]
    pads = [(side // 2, side // 2) for side in sides]
    x = jnp.pad(x, [*[(0, 0)] * (x.ndim - num_axes - 1), *pads, (0, 0)])
    found = 0
    for place in product(*map(range, sides)):
        window = tuple(slice(i, i + n) for i, n in zip(place, space, strict=True))
        seen = x[(..., *window, slice(None))]
        found += jnp.einsum("n...i,nio->n...o", seen, filters[(slice(None), *place)])
    return found


@pytest.mark.parametrize("kernel", [(5, 5), (3, 5, 5)])
def test_a_filter_of_a_delta_changes_nothing(kernel):
    x = drawn(0, 2, 3, 4, 5, 2)
    np.testing.assert_array_equal(convolve_each(x, delta(*kernel, channels=2)), x)


@pytest.mark.parametrize("kernel", [pytest.param((3, 3), marks=pytest.mark.slow), (3, 3, 3)])
def test_each_example_has_its_own_filters_also_in_second_derivatives_inside_of_scan(kernel):
    """The gradient in the filters of a squared gradient in the maps, as of R1."""
    x, filters = drawn(1, 2, 3, 4, 4, 2), 0.3 * drawn(2, 2, *kernel, 2, 3)

    def penalty(convolve, filters):
        slope = jax.grad(lambda x: jnp.sum(jnp.tanh(convolve(x, filters))))(x)
        return jnp.sum(slope**2)

    def play(convolve, filters):
        return convolve(x, filters), *jax.value_and_grad(partial(penalty, convolve))(filters)

    @jax.jit
    def both(filters):
        step = lambda carry, _: (carry, play(convolve_each, carry))  # noqa: E731
        return jax.lax.scan(step, filters, None, length=1)[1], play(by_places, filters)

    found, expected = both(filters)
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
    jax.tree.map(lambda a, b: close(a[0], b), found, expected)


def test_a_tap_is_its_input_transformation_and_what_reads_it():
    """On maps of 2x2, of which no means are taken, with filters that are a delta."""
    x, bank = drawn(3, 2, 3, 2, 2, 4), delta(5, 5, channels=2)
    found, variables = jax.jit(FilterTap(6).init_with_output)(KEY, x, bank)
    params = variables["params"]
    assert set(params) == {"Dense_0", "Conv_0", "Dense_1"}
    affine = lambda name, x: nn.Dense(*params[name]["bias"].shape).apply(of(name), x)  # noqa: E731
    of = lambda name: {"params": params[name]}  # noqa: E731
    made = nn.relu(nn.Conv(2, (3, 3)).apply(of("Conv_0"), affine("Dense_0", x)))
    np.testing.assert_allclose(
        found, affine("Dense_1", made.reshape(2, 3, 8)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("space", [(7, 4), (5, 6, 9)])
def test_means_are_those_of_flax(space):
    x, ones = drawn(4, 2, *space, 3), (1,) * len(space)
    three, two = (tuple(number * one for one in ones) for number in (3, 2))
    halved = nn.avg_pool(x, three, two, [(1, 1) for _ in ones])
    np.testing.assert_allclose(_halved(x, len(space)), halved, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_means(x, two), nn.avg_pool(x, two, two), rtol=1e-5, atol=1e-6)


def test_two_places_become_their_mean_and_one_stays():
    np.testing.assert_allclose(_halved(jnp.array([[[1.0], [4.0]]]), 1), [[[2.5]]])
    np.testing.assert_array_equal(_halved(jnp.ones((1, 1, 1)), 1), jnp.ones((1, 1, 1)))


def maps(critic, clip, *, dim=256, filters=32):
    """The sizes of what every convolution reads, of the trunk and of the taps, and the rest."""
    read = {}
    num_axes = 2 if critic.by_frame else 3
    bank = jnp.zeros((2, *(3, 5, 5)[-num_axes:], filters, filters)) if filters else None
    banks = [] if bank is None else [bank, bank]

    def watch(method, args, kwargs, context):
        if isinstance(context.module, Conv):
            read[context.module.path] = args[0].shape[1:]
        return method(*args, **kwargs)

    with nn.intercept_methods(watch):
        text = jnp.zeros((2, dim))
        logits, variables = jax.eval_shape(
            critic.init_with_output, KEY, jnp.zeros((2, *clip)), text, *banks
        )
    trunk = [shape for path, shape in read.items() if "Tap" not in path[0]]
    return (
        trunk,
        [shape for path, shape in read.items() if "Tap" in path[0]],
        logits,
        variables["params"],
    )


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_the_authors_critic_of_frames():
    trunk, taps, logits, params = maps(FilterCritic(by_frame=True), (16, 64, 64, 3))
    sides = [(64, 3), (64, 32), (32, 64), (16, 128), (8, 128), (4, 128), (2, 256)]
    assert trunk == [(16, side, side, channels) for side, channels in sides]
    assert taps == [(16, 8, 8, 32), (16, 4, 4, 32)]
    assert params["FilterTap_0"]["Dense_1"]["kernel"].shape == (2 * 2 * 32, 128)
    assert params["Dense_0"]["kernel"].shape == (1024 + 256, 128)
    assert logits.shape == (2, 16)
    assert round(count(params) / 1e6, 1) == 1.5


def test_the_authors_critic_of_clips():
    trunk, taps, logits, params = maps(FilterCritic(), (16, 64, 64, 3))
    sides = [(16, 64), (16, 64), (8, 32), (8, 16), (4, 8), (2, 4), (1, 2)]
    assert [shape[:2] for shape in trunk] == sides
    assert taps == [(4, 8, 8, 32), (2, 4, 4, 32)]
    assert params["Dense_0"]["kernel"].shape == (1024 + 256, 128)
    assert logits.shape == (2,)
    # The last layer of the second tap reads two frames of 2x2x32 where the authors' reads one.
    assert round((count(params) - 128 * 128) / 1e6, 1) == 4.1


def test_without_filters_it_is_the_concatenation_baseline():
    trunk, taps, _, params = maps(FilterCritic(), (16, 64, 64, 3), filters=0)
    assert len(trunk) == 7
    assert taps == []
    assert params["Dense_0"]["kernel"].shape == (1024 + 256, 256)
    assert params["Dense_1"]["kernel"].shape == (256, 1)


@pytest.mark.parametrize(
    ("clip", "sides"),
    [
        ((8, 32, 32, 3), [(8, 32), (8, 32), (4, 16), (4, 8), (2, 4), (1, 2)]),
        ((8, 16, 16, 1), [(8, 16), (8, 16), (4, 8), (4, 4), (2, 2)]),
        ((1, 8, 11, 1), [(1, 8), (1, 8), (1, 4), (1, 2)]),
    ],
)
@pytest.mark.parametrize("by_frame", [True, False])
def test_it_takes_other_sizes(clip, sides, by_frame):
    critic = FilterCritic(4, by_frame=by_frame)
    trunk, taps, logits, _ = maps(critic, clip, dim=5, filters=2)
    assert len(taps) == 2
    assert [shape[1] for shape in trunk] == [side for _, side in sides]
    assert [shape[0] for shape in trunk] == [clip[0] if by_frame else time for time, _ in sides]
    assert logits.shape == ((2, clip[0]) if by_frame else (2,))


@pytest.mark.parametrize("by_frame", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_frames_are_judged_one_by_one_and_clips_as_they_move(by_frame):
    """And an example by its own embedding and filters."""
    x, text = drawn(5, 2, 3, 8, 8, 1), drawn(6, 2, 2)
    turn = jnp.array([2, 0, 1])
    critic = FilterCritic(1, by_frame=by_frame)
    bank = drawn(7, 2, *(3, 3, 3)[-2 if by_frame else -3 :], 2, 2)
    shapes = jax.eval_shape(critic.init, KEY, x, text, bank, bank)
    variables = jax.tree.map(lambda leaf: np.float32(normal(leaf.size, leaf.shape)), shapes)
    judge = partial(jax.jit(critic.apply), variables)
    before, after = judge(x, text, bank, bank), judge(x[:, turn], text, bank, bank)
    if by_frame:
        np.testing.assert_allclose(after, before[:, turn], rtol=1e-4, atol=1e-5)
    else:
        assert np.abs(after - before).max() > 1e-4
    for other in ((text.at[1].add(1), bank, bank), (text, bank.at[1].add(1), bank)):
        found = judge(x, *other)
        np.testing.assert_allclose(found[0], before[0], rtol=1e-5, atol=1e-6)
        assert np.abs(found[1] - before[1]).max() > 1e-4
    assert np.abs(judge(x, text, bank, 2 * bank) - before).max() > 1e-4


@pytest.mark.parametrize("by_frame", [True, False])
def test_every_layer_computes_in_bfloat16(by_frame):
    dtypes = set()

    def watch(method, args, kwargs, context):
        output = method(*args, **kwargs)
        if context.module.path:
            dtypes.add(output.dtype)
        return output

    with nn.intercept_methods(watch):
        critic = FilterCritic(1, by_frame=by_frame, dtype=jnp.bfloat16)
        _, _, logits, _ = maps(critic, (3, 8, 8, 1), dim=3, filters=2)
    assert dtypes == {jnp.dtype(jnp.bfloat16)}
    assert logits.dtype == jnp.float32


def test_what_it_cannot_judge_is_refused():
    with pytest.raises(ValueError, match="width is 0"):
        FilterCritic(0)
    with pytest.raises(ValueError, match=r"clips are of 6x8; .* sides of at least 8: resize them"):
        maps(FilterCritic(1), (3, 6, 8, 1), dim=3, filters=2)
    x, text, bank = jnp.zeros((2, 3, 8, 8, 1)), jnp.zeros((2, 3)), jnp.zeros((2, 5, 5, 2, 2))
    for given, by_frame, words in (
        ((bank, bank), False, r"is given filters of \[2, 2\] axes; it takes two banks of 3 axes"),
        ((bank,), True, r"is given filters of \[2\] axes; it takes two banks of 2 axes"),
    ):
        with pytest.raises(ValueError, match=words):
            jax.eval_shape(FilterCritic(1, by_frame=by_frame).init, KEY, x, text, *given)
