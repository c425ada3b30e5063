"""StyleGAN2: both regularisers by hand, when they are due, lazy and eager, styles to images."""

import re
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, nets
from gan_jax.games import (
    Optimizers,
    alternating_step,
    discriminator_step,
    generator_step,
    simultaneous_step,
)
from gan_jax.systems import GAN, StyleGAN2, lazy_adam, networks

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
BATCH = {"image": jax.random.uniform(jax.random.key(1), (6, 2, 3, 1), minval=-1)}
SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))


class Linear(nn.Module):
    """Styles that are the latents, and images that are linear in both of their layers."""

    def setup(self):
        self.first, self.second = (nn.Dense(6, use_bias=False) for _ in range(2))

    def __call__(self, z, *, train=False):
        styles = self.styles(z, train=train)
        return self.synthesise(styles), styles

    def styles(self, z, *, train=False, truncation=1.0):
        shift = jax.random.normal(self.make_rng("noise"), z.shape) if train else 0
        return truncation * jnp.stack([z, z + shift], axis=1)

    def synthesise(self, styles, *, train=False):
        return (self.first(styles[:, 0]) + self.second(styles[:, 1])).reshape(-1, 2, 3, 1)


class Plane(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]


def system(**changes):
    arguments = {
        "generator": Linear(),
        "discriminator": Plane(),
        "loss": losses.non_saturating(),
        "latents": networks.normal(4),
    }
    return StyleGAN2(**arguments | changes)


@jax.jit
def start():
    """Of all systems of these two networks: what regularises or moves them is not seen in it."""
    return system().init(KEY, BATCH, optimizers=SGD)


def play(game, state):
    weights = {name: getattr(state, name).weights for name in ("generator", "discriminator")}
    return jax.jit(lambda: game(**weights, batch=BATCH, key=KEY))()


def test_without_regularisers_it_is_a_gan():
    stylegan2 = system()
    state = start()
    names = ("generator", "discriminator", "loss", "latents")
    gan = GAN(**{name: getattr(stylegan2, name) for name in names})
    chex.assert_trees_all_equal(play(stylegan2.game, state), play(gan.game, state))


def test_r1_of_a_linear_critic_is_half_its_squared_norm():
    stylegan2 = system(r1_weight=3.0, r1_period=5)
    state = start()
    outcome = play(stylegan2.r1, state)
    norm = np.sum(np.square(state.discriminator.weights.params["Dense_0"]["kernel"]))
    assert float(outcome.discriminator.metrics["penalty"]) == pytest.approx(norm, rel=1e-5)
    assert float(outcome.discriminator.loss) == pytest.approx(5 * 3 / 2 * norm, rel=1e-5)
    assert float(outcome.generator.loss) == 0


def test_path_lengths_are_compared_with_their_running_mean():
    """a <- 0.9 a + 0.1 mean, before it is used, and the gradient goes through it."""
    stylegan2 = system(path_length_weight=3.0, path_length_period=5, path_length_decay=0.9)
    state = start()
    weights = state.generator.weights
    assert float(weights.state["batch_stats"]["path_length"]) == 0
    weights = weights.replace(state={"batch_stats": {"path_length": jnp.array(0.8)}})

    def loss(scale):
        params = jax.tree.map(lambda kernel: scale * kernel, weights.params)
        generator = weights.replace(params=params)
        outcome = stylegan2.path_length(
            generator=generator, discriminator=state.discriminator.weights, batch=BATCH, key=KEY
        )
        return outcome.generator.loss, outcome

    slope, outcome = jax.jit(jax.grad(loss, has_aux=True))(1.0)
    kernels = [weights.params[name]["kernel"] for name in ("first", "second")]
    # The layers' Jacobians are their kernels; of as many images y as half of the examples.
    key_y = jax.random.split(KEY, 4)[3]
    y = jax.random.normal(key_y, (3, 2, 3, 1)).reshape(3, 6) / np.sqrt(6)
    squares = [np.sum(np.square(y @ kernel.T), axis=1) for kernel in kernels]
    lengths = np.sqrt(np.mean(squares, axis=0))
    mean = 0.9 * 0.8 + 0.1 * lengths.mean()
    assert float(outcome.generator.state["batch_stats"]["path_length"]) == pytest.approx(mean)
    penalty = np.mean((lengths - mean) ** 2)
    assert float(outcome.generator.loss) == pytest.approx(5 * 3 * penalty, rel=1e-4)
    assert float(outcome.generator.metrics["penalty"]) == pytest.approx(penalty, rel=1e-4)
    expected = 5 * 3 * np.mean(2 * (lengths - mean) * (lengths - 0.1 * lengths.mean()))
    assert float(slope) == pytest.approx(expected, rel=1e-4)
    assert float(outcome.discriminator.loss) == 0


def test_regularisers_are_moves_of_their_own_when_they_are_due():
    """Number for number the step, and after it by hand what is due: at 0, 2, 4 and at 0, 3."""
    stylegan2 = system(path_length_period=2, r1_period=3)
    told = {"optimizers": SGD}
    step = partial(alternating_step, game=stylegan2.game, **told)
    lazy = jax.jit(stylegan2.regularised(step, SGD))
    step = jax.jit(step)
    longer = jax.jit(partial(generator_step, game=stylegan2.path_length, **told))
    steeper = jax.jit(partial(discriminator_step, game=stylegan2.r1, **told))
    state = expected = start()
    for t, key in enumerate(jax.random.split(KEY, 5)):
        state, metrics = lazy(key, state, BATCH)
        key_both, key_r1 = jax.random.split(key)
        key_step, key_path = jax.random.split(key_both)
        expected, _ = step(key_step, expected, BATCH)
        if t % 2 == 0:
            expected, _ = longer(key_path, expected, BATCH)
        if t % 3 == 0:
            expected, _ = steeper(key_r1, expected, BATCH)
        chex.assert_trees_all_close(state, expected, rtol=1e-5, atol=1e-6)
        assert (float(metrics["path_length/generator/penalty"]) > 0) == (t % 2 == 0)
        assert (float(metrics["r1/discriminator/penalty"]) > 0) == (t % 3 == 0)


@pytest.mark.parametrize(
    ("off", "left"),
    [({"r1_weight": 0.0}, "path_length"), ({"path_length_weight": 0.0}, "r1")],
)
def test_a_weight_of_0_leaves_a_regulariser_out(off, left):
    stylegan2 = system(**off)
    step = stylegan2.regularised(
        partial(simultaneous_step, game=stylegan2.game, optimizers=SGD), SGD
    )
    state = jax.eval_shape(start)
    _, metrics = jax.eval_shape(step, KEY, state, BATCH)
    assert {name.split("/")[0] for name in metrics} == {"generator", "discriminator", left}


def test_lazy_and_eager_regularisation_agree_to_second_order():
    """By SGD without chance in the critic's own moves, half the rate is a quarter apart."""

    @partial(jax.jit, static_argnums=0)
    def end(period, rate):
        stylegan2 = system(r1_period=period, path_length_weight=0.0, r1_weight=1.0)
        sgd = Optimizers(generator=optax.sgd(0.0), discriminator=optax.sgd(rate))
        game = lambda **told: stylegan2.game(**{**told, "key": KEY})  # noqa: E731
        step = stylegan2.regularised(partial(simultaneous_step, game=game, optimizers=sgd), sgd)

        def turn(state, key):
            return step(key, state, BATCH)[0], None

        keys = jax.random.split(KEY, 4)
        state, _ = jax.lax.scan(turn, start(), keys)
        return state.discriminator.weights.params["Dense_0"]["kernel"]

    far, near = (np.abs(end(4, rate) - end(1, rate)).max() for rate in (0.02, 0.01))
    assert far > 1e-4
    assert far / near == pytest.approx(4, rel=0.15)


def test_adam_is_slower_where_moves_are_more():
    """As in the paper: of 0.002 and 0.99, 0.0016 and 0.99199, 0.0018824 and 0.99059."""
    params = {"x": jnp.ones(())}

    def moments(optimizer):
        """The step, and both β by what Adam keeps of a gradient of 1."""
        state = optimizer.init(params)
        moves, state = optimizer.update({"x": jnp.ones(())}, state, params)
        kept = [1 - float(optax.tree.get(state, name)["x"]) for name in ("mu", "nu")]
        return -float(moves["x"]), *kept

    found = [moments(lazy_adam(2e-3, period)) for period in (4, 16, None)]
    expected = [(0.0016, 0, 0.99199), (0.0018824, 0, 0.99059), (0.002, 0, 0.99)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert moments(lazy_adam(2e-3, 4, b1=0.5))[1] == pytest.approx(0.5**0.8, rel=1e-4)
    scheduled = moments(lazy_adam(optax.constant_schedule(2e-3), 4))
    np.testing.assert_allclose(scheduled, expected[0], rtol=1e-4)


def test_images_of_latents_are_those_of_their_styles():
    stylegan2 = system()
    weights = start().generator.weights
    latents = networks.normal(4)(KEY, 5)
    styles = stylegan2.styles(weights, latents, truncation=0.5)
    np.testing.assert_allclose(styles, np.stack([latents / 2] * 2, axis=1))
    images = stylegan2.generate(weights, latents, truncation=0.5)
    np.testing.assert_array_equal(images, stylegan2.synthesise(weights, styles))
    sampled = stylegan2.sample(KEY, weights, 5, truncation=0.0)
    np.testing.assert_array_equal(sampled, np.zeros((5, 2, 3, 1)))
    assert stylegan2.discriminate(start().discriminator.weights, images).shape == (5,)


def test_noise_of_samples_is_drawn_by_their_key():
    class Noisy(Linear):
        def synthesise(self, styles, *, train=False):
            images = super().synthesise(styles)
            return images + jax.random.normal(self.make_rng("noise"), images.shape)

    stylegan2 = system(generator=Noisy())
    weights = start().generator.weights
    first, second = (
        stylegan2.sample(jax.random.key(seed), weights, 3, truncation=0.0) for seed in range(2)
    )
    assert (first != second).all()


def real_networks(dtype=None):
    widths = nets.stylegan2_widths(8, base=16)
    return system(
        generator=nets.StyleGAN2Generator(8, 1, widths, dim=4, dtype=dtype),
        discriminator=nets.StyleGAN2Discriminator(widths, dtype=dtype),
    )


@pytest.mark.slow
def test_the_real_networks_play():
    """Shapes alone: both regularisers through modulated convolutions and groups of examples."""
    stylegan2 = real_networks()
    batch = {"image": jnp.zeros((8, 8, 8, 1))}
    optimizers = Optimizers(generator=lazy_adam(1e-3, 4), discriminator=lazy_adam(1e-3, 16))
    step = partial(alternating_step, game=stylegan2.game, optimizers=optimizers)
    step = stylegan2.regularised(step, optimizers)
    state = jax.eval_shape(lambda: stylegan2.init(KEY, batch, optimizers=optimizers))
    after, metrics = jax.eval_shape(step, KEY, state, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    assert {"r1/discriminator/penalty", "path_length/generator/mean"} <= set(metrics)


@pytest.mark.parametrize(
    ("move", "penalty"), [(generator_step, "path_length"), (discriminator_step, "r1")]
)
def test_moves_lowered_for_a_gpu_convolve_in_bfloat16_and_without_groups(move, penalty):
    stylegan2 = real_networks(jnp.bfloat16)
    batch = {"image": jnp.zeros((8, 8, 8, 1))}
    state = jax.eval_shape(lambda: stylegan2.init(KEY, batch, optimizers=SGD))
    for game in (stylegan2.game, getattr(stylegan2, penalty)):
        step = jax.jit(partial(move, game=game, optimizers=SGD))
        text = step.trace(KEY, state, batch).lower(lowering_platforms=("cuda",)).as_text()
        convolutions = [line for line in text.splitlines() if "stablehlo.convolution" in line]
        assert len(convolutions) > 20
        for line in convolutions:
            assert "feature_group_count = 1" in line
            assert "batch_group_count = 1" in line
            assert re.findall(r"tensor<[^>]*x(\w+)>", line) == ["bf16"] * 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"r1_weight": -1.0}, "r1_weight is -1"),
        ({"path_length_weight": -1.0}, "path_length_weight is -1"),
        ({"r1_period": 0}, "r1_period is 0"),
        ({"path_length_period": 0}, "path_length_period is 0"),
        ({"path_length_decay": 1.0}, "path_length_decay is 1"),
        ({"latents": networks.normal}, "latents is normal"),
        ({"loss": losses.non_saturating}, "loss is non_saturating itself"),
    ],
)
def test_what_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        system(**changes)
