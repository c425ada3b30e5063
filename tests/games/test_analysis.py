"""Jacobians, spectra and whole runs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.games import (
    Gradients,
    Optimizers,
    Weights,
    analysis,
    get_params,
    init,
    rates,
    simultaneous_step,
    toy,
)
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.systems import GAN, networks

KEY = jax.random.key(0)
RNG = np.random.default_rng(2)


def sgd(rate):
    return Optimizers(generator=optax.sgd(rate), discriminator=optax.sgd(rate))


def start(x, y, optimizers):
    return init(
        generator=Weights(params=jax.tree.map(jnp.asarray, x)),
        discriminator=Weights(params=jax.tree.map(jnp.asarray, y)),
        optimizers=optimizers,
    )


def network(width=4):
    system = GAN(
        generator=MLPGenerator((2,), (width,), activation=jnp.tanh),
        discriminator=MLPDiscriminator((width,), activation=jnp.tanh),
        loss=losses.minimax(),
        latents=networks.normal(2),
        field="point",
    )
    batch = {"point": jax.random.normal(KEY, (16, 2))}
    init_system = jax.jit(partial(system.init, optimizers=sgd(0.1)))
    return system.game, init_system(jax.random.key(1), batch), batch


def dense_jacobian(game, state, batch):
    return jax.jit(partial(analysis.game_jacobian, game=game))(KEY, state, batch)


def test_the_jacobian_has_the_generator_first_and_its_blocks_are_second_derivatives():
    def game(*, generator, discriminator, batch, key):
        x, y = generator.params["x"], discriminator.params["y"]
        bilinear = toy.bilinear(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
        outcome = bilinear(
            generator=Weights(params=x), discriminator=Weights(params=y), batch={}, key=key
        )
        own = outcome.generator
        return outcome._replace(generator=own._replace(loss=own.loss + 7 * x[0] ** 2))

    state = start({"x": np.ones(2)}, {"y": np.ones(3)}, sgd(0.1))
    jacobian = dense_jacobian(game, state, {})
    m = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    expected = np.block([[np.diag([14.0, 0.0]), m], [-m.T, np.zeros((3, 3))]])
    np.testing.assert_allclose(jacobian, expected, rtol=1e-5)


@pytest.mark.slow
def test_products_equal_the_dense_jacobian_s_and_its_transpose_s():
    game, state, batch = network()
    jacobian = dense_jacobian(game, state, batch)
    vector = jax.tree.map(
        lambda leaf: jnp.asarray(RNG.normal(size=leaf.shape), leaf.dtype), get_params(state)
    )
    flat, _ = jax.flatten_util.ravel_pytree(vector)
    product, transposed = (
        jax.jit(partial(of, game=game))(KEY, state, batch, vector)
        for of in (analysis.jacobian_vector_product, analysis.vector_jacobian_product)
    )
    for of_vector, dense in ((product, jacobian @ flat), (transposed, jacobian.T @ flat)):
        np.testing.assert_allclose(
            jax.flatten_util.ravel_pytree(of_vector)[0], dense, rtol=1e-3, atol=1e-5
        )


def test_the_parts_add_up_and_share_the_game():
    potential = np.array([[2.0, 0.5], [0.5, -1.0]])
    rotation = np.array([[0.0, 3.0], [-3.0, 0.0]])
    jacobian = jnp.asarray(potential + rotation)
    np.testing.assert_allclose(analysis.potential_part(jacobian), potential)
    np.testing.assert_allclose(analysis.hamiltonian_part(jacobian), rotation)
    share = 18 / (18 + 4 + 1 + 0.5)
    np.testing.assert_allclose(analysis.rotation_share(jacobian), share, rtol=1e-6)


def test_arnoldi_finds_the_leading_eigenvalues_of_a_network_s_game():
    game, state, batch = network()
    dense = analysis.eigenvalues(dense_jacobian(game, state, batch))
    leading = analysis.leading_eigenvalues(KEY, state, batch, game=game, num=6)
    np.testing.assert_allclose(np.abs(leading), np.abs(dense[:6]), rtol=1e-3)
    most = analysis.leading_eigenvalues(KEY, state, batch, game=game, num=2, which="LR")
    np.testing.assert_allclose(most.real.max(), dense.real.max(), rtol=1e-3)
    with pytest.raises(ValueError, match="which is 'largest'; it must be one of 'LM', 'LR'"):
        analysis.leading_eigenvalues(KEY, state, batch, game=game, num=2, which="largest")
    with pytest.raises(ValueError, match="for all eigenvalues"):
        analysis.leading_eigenvalues(KEY, state, batch, game=game, num=100)


def test_the_step_s_jacobian_includes_the_optimiser_s_memory():
    rate, beta = 0.3, 0.5
    momentum = optax.sgd(rate, momentum=beta)
    optimizers = Optimizers(generator=momentum, discriminator=momentum)
    step = jax.jit(partial(simultaneous_step, game=toy.bilinear(), optimizers=optimizers))
    state = start(0.0, 0.0, optimizers)
    jacobian = analysis.step_jacobian(KEY, state, {}, step=step)
    assert jacobian.shape == (4, 4)
    np.testing.assert_allclose(
        analysis.spectral_radius(KEY, state, {}, step=step),
        rates.radius(rates.simultaneous_momentum(rate, beta)),
        rtol=1e-5,
    )


def test_a_trajectory_is_the_steps_one_after_the_other():
    step = partial(simultaneous_step, game=toy.bilinear(), optimizers=sgd(0.1))
    state = start(1.0, 0.5, sgd(0.1))
    end, path, metrics = analysis.trajectory(KEY, state, {}, step=step, num_steps=4)
    assert int(end.step) == 4
    z = np.array([1.0, 0.5])
    for t in range(5):
        np.testing.assert_allclose([path.generator[t], path.discriminator[t]], z, rtol=1e-5)
        z = np.array([[1, -0.1], [0.1, 1]]) @ z
    assert metrics["generator/loss"].shape == (4,)
    with pytest.raises(ValueError, match="num_steps is -1"):
        analysis.trajectory(KEY, state, {}, step=step, num_steps=-1)


def test_trajectories_run_over_seeds_starts_and_step_sizes_at_once():
    def run(key, x, rate):
        optimizers = sgd(rate)
        step = partial(simultaneous_step, game=toy.bilinear(), optimizers=optimizers)
        state = start(x, 0.5, optimizers)
        return analysis.trajectory(key, state, {}, step=step, num_steps=3)[1]

    xs, step_sizes = jnp.array([1.0, -2.0]), jnp.array([0.1, 0.3])
    paths = jax.jit(jax.vmap(run))(jax.random.split(KEY, 2), xs, step_sizes)
    run_alone = jax.jit(run)
    for index in (0, 1):
        alone = run_alone(KEY, xs[index], step_sizes[index])
        np.testing.assert_allclose(paths.generator[index], alone.generator, rtol=1e-5)


def test_batches_are_played_in_order():
    def game(*, generator, discriminator, batch, key):
        value = generator.params * discriminator.params * batch["scale"]
        return toy.bilinear()(
            generator=Weights(params=value), discriminator=discriminator, batch={}, key=key
        )

    step = partial(simultaneous_step, game=game, optimizers=sgd(0.1))
    state = start(1.0, 1.0, sgd(0.1))
    batches = {"scale": jnp.array([1.0, 0.0])}
    _, path, _ = analysis.trajectory(KEY, state, batches, step=step, num_steps=2)
    assert path.generator[1] != path.generator[0]
    assert path.generator[2] == path.generator[1]


def test_the_phase_portrait_is_minus_the_field_by_quadrants():
    """The table of signs: where x, y > 0, x falls and y rises, and so on round the circle."""
    state = start(0.0, 0.0, sgd(0.1))
    flow = analysis.phase_portrait(
        KEY,
        state,
        {},
        game=toy.bilinear(),
        generator=jnp.array([-2.0, 1.0, 3.0]),
        discriminator=jnp.array([-1.0, 1.0]),
    )
    x, y = np.meshgrid([-2.0, 1.0, 3.0], [-1.0, 1.0])
    np.testing.assert_allclose(flow.generator, -y)
    np.testing.assert_allclose(flow.discriminator, x)
    assert isinstance(flow, Gradients)
    vectors = start(np.ones(2), np.ones(2), sgd(0.1))
    with pytest.raises(ValueError, match="room for one each"):
        analysis.phase_portrait(
            KEY,
            vectors,
            {},
            game=toy.bilinear(),
            generator=jnp.zeros(2),
            discriminator=jnp.zeros(2),
        )
