"""How networks are run: their streams and state, several in one player, and a frozen one."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.games import Optimizers, Weights, alternating_step
from gan_jax.nets import MLPDiscriminator
from gan_jax.systems import GAN, networks

KEY = jax.random.key(0)


class Noisy(nn.Module):
    """Says which keys it was given, how often it was trained, and what it was told besides."""

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        calls = self.variable("calls", "count", jnp.zeros, (), jnp.int32)
        if train:
            calls.value += 1
        scale = self.param("scale", nn.initializers.normal(1.0), (1,))
        keys = [self.make_rng(name) for name in ("dropout", "noise")]
        return scale * x, [jax.random.key_data(key) for key in keys], conditions, train


def test_a_start_draws_params_and_streams_by_keys_apart():
    (_, keys, conditions, train), weights = networks.start(Noisy(), KEY, jnp.ones(1), "y")
    assert not train
    assert conditions == ("y",)
    assert not np.array_equal(*keys)
    assert set(weights.state) == {"calls"}
    assert int(weights.state["calls"]["count"]) == 0
    others = networks.start(Noisy(), jax.random.key(1), jnp.ones(1))[1]
    assert others.params["scale"] != weights.params["scale"]


def test_training_carries_the_state_and_asking_leaves_it():
    _, weights = networks.start(Noisy(), KEY, jnp.ones(1))
    (scaled, keys, _, train), after = networks.train(Noisy(), weights, KEY, jnp.full(1, 2.0))
    assert train
    np.testing.assert_allclose(scaled, 2 * weights.params["scale"])
    assert int(after.state["calls"]["count"]) == 1
    assert after.params is weights.params
    (_, asked, _, train), left = networks.asked(Noisy(), weights, KEY, jnp.ones(1))
    assert not train
    assert left is weights
    np.testing.assert_array_equal(keys, asked)
    fixed = [networks.infer(Noisy(), weights, jnp.ones(1))[1] for _ in range(2)]
    np.testing.assert_array_equal(*fixed)
    other = networks.infer(Noisy(), weights, jnp.ones(1), key=jax.random.key(7))[1]
    assert not np.array_equal(other, fixed[0])


def test_a_network_that_keeps_nothing_has_no_entry_among_the_states_of_a_player():
    kept = Weights(params=1.0, state={"batch_stats": 2.0})
    both = networks.join({"x": kept, "y": Weights(params=3.0)})
    assert both == Weights(params={"x": 1.0, "y": 3.0}, state={"x": {"batch_stats": 2.0}})
    assert networks.part(both, "x") == kept
    assert networks.part(both, "y") == Weights(params=3.0)


def test_a_run_of_one_part_changes_that_part_alone():
    first, second = (networks.start(Noisy(), key, jnp.ones(1))[1] for key in jax.random.split(KEY))
    both = networks.join({"first": first, "second": second})
    run = networks.of_part(networks.train, "second")
    output, after = run(Noisy(), both, KEY, jnp.ones(1))
    np.testing.assert_array_equal(output[0], second.params["scale"])
    chex.assert_trees_all_equal(networks.part(after, "first"), first)
    assert int(after.state["second"]["calls"]["count"]) == 1
    plain = Weights(params={"only": 1.0})
    keeps_nothing = networks.of_part(lambda network, weights, key: (key, weights), "only")
    assert keeps_nothing(Noisy(), plain, KEY) == (KEY, plain)


class Stage(nn.Module):
    """A first stage with batch statistics, as StackGAN's."""

    @nn.compact
    def __call__(self, z, *, train=False):
        return nn.Dense(3)(nn.BatchNorm(not train)(z))


class Above(nn.Module):
    """A second stage over the frozen first."""

    @nn.compact
    def __call__(self, z, *, train=False):
        low = networks.Frozen(Stage(), name="first")(z)
        return low + nn.Dense(3)(nn.BatchNorm(not train)(low))


def frozen_first(seed=7):
    """A trained first stage: statistics that no mean over devices would keep."""
    _, weights = networks.start(Stage(), jax.random.key(seed), jnp.ones((1, 2)))
    uneven = jax.tree.map(lambda x: x + 0.1 * jax.random.uniform(KEY, x.shape), weights.state)
    return weights.replace(state=uneven)


def test_a_frozen_network_answers_as_it_is_asked():
    first = frozen_first()
    _, weights = networks.start(Above(), KEY, jnp.ones((1, 2)))
    assert "first" not in weights.params
    weights = networks.freeze(weights, first, "first")
    z = jax.random.normal(KEY, (5, 2))
    low = networks.infer(Stage(), first, z)
    dense = weights.params["Dense_0"]
    normalised = low / np.sqrt(1 + 1e-5)  # the second stage's own statistics are 0 and 1
    expected = low + normalised @ dense["kernel"] + dense["bias"][None]
    np.testing.assert_allclose(networks.infer(Above(), weights, z), expected, rtol=1e-5)


def test_a_frozen_network_keeps_its_bits_over_100_steps_on_three_devices():
    """Batch statistics are averaged over devices, but not below `frozen`: means move bits."""
    system = GAN(
        generator=Above(),
        discriminator=MLPDiscriminator((4,)),
        loss=losses.non_saturating(),
        latents=networks.normal(2),
        field="point",
    )
    adam = optax.adam(1e-2)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    batch = {"point": jax.random.normal(KEY, (6, 3))}
    state = system.init(KEY, batch, optimizers=optimizers)
    first = frozen_first()
    weights = networks.freeze(state.generator.weights, first, "first")
    state = state.replace(generator=state.generator.replace(weights=weights))
    step = partial(alternating_step, game=system.game, optimizers=optimizers, axis_name="data")

    def hundred(key, state, batch):
        return jax.lax.scan(lambda s, k: step(k, s, batch), state, jax.random.split(key, 100))

    mapped = jax.pmap(hundred, "data", in_axes=(None, None, 0), devices=jax.devices()[:3])
    after, _ = mapped(KEY, state, {"point": batch["point"].reshape(3, 2, 3)})
    kept = after.generator.weights.state
    for device in range(3):
        found = jax.tree.map(lambda leaf, d=device: leaf[d], kept["frozen"]["first"]["variables"])
        chex.assert_trees_all_equal(found, networks.variables_of(first))
    own = kept["batch_stats"]["BatchNorm_0"]["mean"]
    assert (own != 0).all()
    np.testing.assert_array_equal(own, np.stack([own[0]] * 3))


def test_gradients_pass_through_a_frozen_network_to_what_is_below():
    class Over(nn.Module):
        @nn.compact
        def __call__(self, z):
            return networks.Frozen(nn.Dense(2), name="above")(nn.Dense(3, name="below")(z))

    z = jnp.ones((1, 2))
    _, weights = networks.start(Over(), KEY, z)

    def total(params):
        return jnp.sum(networks.infer(Over(), weights.replace(params=params), z))

    gradient = jax.grad(total)(weights.params)
    kernel = weights.state["frozen"]["above"]["variables"]["params"]["kernel"]
    np.testing.assert_allclose(gradient["below"]["bias"], kernel.sum(axis=1), rtol=1e-6)


def test_a_frozen_network_may_be_one_of_a_trained_player_s():
    frozen = networks.Frozen(Stage())
    _, weights = networks.start(frozen, KEY, jnp.ones((1, 2)))
    _, after = networks.train(frozen, weights, KEY, jnp.ones((4, 2)))
    chex.assert_trees_all_equal(after, weights)
    put = networks.freeze(weights, frozen_first())
    low = networks.infer(Stage(), frozen_first(), jnp.ones((4, 2)))
    np.testing.assert_array_equal(networks.infer(frozen, put, jnp.ones((4, 2))), low)


@pytest.mark.parametrize("path", [(), ("second",), ("first", "variables", "params", "x", "y")])
def test_only_a_frozen_module_of_the_same_network_takes_weights(path):
    _, weights = networks.start(Above(), KEY, jnp.ones((1, 2)))
    with pytest.raises(ValueError, match=r"There is no Frozen module at .*give the names"):
        networks.freeze(weights, frozen_first(), *path)
    _, other = networks.start(Stage(), KEY, jnp.ones((1, 5)))
    with pytest.raises(ValueError, match="There is no Frozen module at first that holds"):
        networks.freeze(weights, other, "first")
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), frozen_first())
    with pytest.raises(ValueError, match="There is no Frozen module at first that holds"):
        networks.freeze(weights, half, "first")
