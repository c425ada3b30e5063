"""The toy games: their fields, their invariants, and what converges on the Dirac-GAN."""

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
    alternating_step,
    clip_params,
    consensus_step,
    get_params,
    init,
    simultaneous_step,
    toy,
    vector_field,
)
from gan_jax.games.analysis import eigenvalues, game_jacobian, trajectory

KEY = jax.random.key(0)
RNG = np.random.default_rng(1)
MATRIX = RNG.normal(size=(2, 3))


def sgd(rate):
    return Optimizers(generator=optax.sgd(rate), discriminator=optax.sgd(rate))


def start(x, y, optimizers=None):
    return init(
        generator=Weights(params=jnp.asarray(x, float)),
        discriminator=Weights(params=jnp.asarray(y, float)),
        optimizers=optimizers or sgd(0.1),
    )


def field(game, x, y, key=KEY):
    return jax.jit(partial(vector_field, game=game))(key, start(x, y), {})[0]


def test_the_bilinear_field_is_the_matrix_s():
    x, y = RNG.normal(size=2), RNG.normal(size=3)
    of_generator, of_discriminator = field(toy.bilinear(MATRIX), x, y)
    np.testing.assert_allclose(of_generator, MATRIX @ y, rtol=1e-5)
    np.testing.assert_allclose(of_discriminator, -MATRIX.T @ x, rtol=1e-5)


def test_one_player_comes_to_rest_where_two_move_apart():
    """Down ½‖z‖² by 1 - α a step, and on ⟨x, y⟩, from the same point, out by √(1 + α²)."""
    rate, num_steps = 0.1, 50
    state = start([1.0], [0.5], sgd(rate))
    lengths = {}
    for name, game in {
        "one": toy.quadratic(potential=np.eye(2), hamiltonian=np.zeros((2, 2))),
        "two": toy.bilinear(),
    }.items():
        step = partial(simultaneous_step, game=game, optimizers=sgd(rate))
        _, path, _ = trajectory(KEY, state, {}, step=step, num_steps=num_steps)
        end = np.concatenate([path.generator[-1], path.discriminator[-1]])
        lengths[name] = np.linalg.norm(end) / np.linalg.norm([1.0, 0.5])
    np.testing.assert_allclose(lengths["one"], (1 - rate) ** num_steps, rtol=1e-5)
    np.testing.assert_allclose(lengths["two"], (1 + rate**2) ** (num_steps / 2), rtol=1e-5)


def test_alternating_play_conserves_the_invariant_of_a_matrix_game():
    with jax.enable_x64(True):
        rate, matrix = 0.3, RNG.normal(size=(3, 3))
        step = partial(alternating_step, game=toy.bilinear(matrix), optimizers=sgd(rate))
        state = start(RNG.normal(size=3), RNG.normal(size=3), sgd(rate))
        _, path, _ = trajectory(KEY, state, {}, step=step, num_steps=300)
        values = jax.vmap(partial(toy.bilinear_invariant, learning_rate=rate, matrix=matrix))(path)
        np.testing.assert_allclose(values, values[0], rtol=1e-9)
        assert np.ptp(np.sum(path.generator**2, axis=1)) > 0.1


def test_the_duality_gap_is_what_best_answers_in_balls_would_gain():
    x, y, radius = RNG.normal(size=2), RNG.normal(size=3), 2.5
    gap = toy.bilinear_duality_gap(Gradients(x, y), radius=radius, matrix=MATRIX)
    best_y = radius * MATRIX.T @ x / np.linalg.norm(MATRIX.T @ x)
    best_x = -radius * MATRIX @ y / np.linalg.norm(MATRIX @ y)
    np.testing.assert_allclose(gap, x @ MATRIX @ best_y - best_x @ MATRIX @ y, rtol=1e-5)
    zero = Gradients(np.zeros(2), np.zeros(3))
    assert float(toy.bilinear_duality_gap(zero, matrix=MATRIX)) == 0
    np.testing.assert_allclose(
        toy.bilinear_duality_gap(Gradients(jnp.array(3.0), jnp.array(-4.0))), 7, rtol=1e-6
    )


def parts(num_x, num_y):
    square = RNG.normal(size=(num_x + num_y,) * 2)
    potential, hamiltonian = square + square.T, square - square.T
    hamiltonian[:num_x, :num_x] = hamiltonian[num_x:, num_x:] = 0
    return potential, hamiltonian


def test_the_quadratic_game_has_the_jacobian_that_was_asked_for():
    potential, hamiltonian = parts(2, 3)
    game = toy.quadratic(potential=potential, hamiltonian=hamiltonian)
    state = start(RNG.normal(size=2), RNG.normal(size=3))
    jacobian = jax.jit(partial(game_jacobian, game=game))(KEY, state, {})
    np.testing.assert_allclose(jacobian, potential + hamiltonian, rtol=1e-4, atol=1e-5)


def test_a_hamiltonian_game_conserves_the_distance_in_continuous_time():
    _, hamiltonian = parts(2, 3)
    game = toy.quadratic(potential=np.zeros((5, 5)), hamiltonian=hamiltonian)
    x, y = RNG.normal(size=2), RNG.normal(size=3)
    v = np.concatenate(field(game, x, y))
    np.testing.assert_allclose(v @ np.concatenate([x, y]), 0, atol=1e-5)
    assert np.linalg.norm(v) > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"potential": np.triu(np.ones((2, 2)))}, "symmetric"),
        ({"potential": np.eye(3)}, "as large as"),
        ({"hamiltonian": np.eye(2)}, "antisymmetric"),
    ],
)
def test_matrices_without_their_symmetry_are_refused(change, message):
    good = {"potential": np.eye(2), "hamiltonian": np.zeros((2, 2))}
    with pytest.raises(ValueError, match=message):
        toy.quadratic(**good | change)


def test_players_that_do_not_fit_the_quadratic_game_are_refused():
    rotation = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 0]], float)
    game = toy.quadratic(potential=np.eye(3), hamiltonian=rotation)
    with pytest.raises(ValueError, match="vectors with 3 entries together"):
        field(game, [1.0], [2.0])
    with pytest.raises(ValueError, match="0 within a player"):
        field(game, [1.0, 2.0], [3.0])
    assert field(game, [1.0], [2.0, 3.0]).generator.shape == (1,)


def terms(num=4):
    return RNG.normal(size=(num, 2, 2)), RNG.normal(size=(num, 2)), RNG.normal(size=(num, 2))


@pytest.mark.slow
def test_the_stochastic_game_s_field_is_0_at_its_equilibrium_and_unbiased():
    data = terms()
    at = toy.stochastic_bilinear_equilibrium(*data)
    for of_player in field(toy.stochastic_bilinear(*data), *at):
        np.testing.assert_allclose(of_player, 0, atol=1e-5)
    x, y = RNG.normal(size=2), RNG.normal(size=2)
    exact = field(toy.stochastic_bilinear(*data), x, y)
    game = toy.stochastic_bilinear(*data, num_samples=2)
    drawn = jax.vmap(lambda key: field(game, x, y, key))(jax.random.split(KEY, 2_000))
    for mean, draws in zip(exact, drawn, strict=True):
        errors = np.std(draws, axis=0) / np.sqrt(len(draws))
        assert (np.abs(np.mean(draws, axis=0) - mean) < 4 * errors).all()
        assert (errors > 0).all()


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: toy.stochastic_bilinear(*terms(), num_samples=0), "num_samples is 0; it must be"),
        (lambda: toy.random_terms(0, num_terms=0), "num_terms is 0; it must be"),
        (lambda: toy.dirac_gan(losses.minimax), "loss is minimax; it must have the curves real"),
        (lambda: toy.dirac_gan(losses.minimax(), instance_noise=np.nan), "instance_noise is nan"),
        (lambda: toy.dirac_gan_eigenvalues(losses.minimax), "loss is minimax; it must have the"),
        (lambda: toy.dirac_gan_eigenvalues(losses.minimax(), r1=-1.0), "r1 is -1.0; it must be"),
        (lambda: toy.bilinear_duality_gap(Gradients(1.0, 1.0), radius=-1.0), "radius is -1.0"),
    ],
)
def test_what_makes_no_game_is_refused(build, said):
    with pytest.raises(ValueError, match=said):
        build()


def test_the_distance_is_euclid_s_over_both_players():
    state = start([3.0, 0.0], [0.0, 5.0])
    equilibrium = Gradients(jnp.zeros(2), jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(toy.distance(state, equilibrium), 5, rtol=1e-6)


R1 = 0.3


def r1(critic, real, fake, key):
    return R1 / 2 * losses.r1(critic, real)


def r2(critic, real, fake, key):
    return R1 / 2 * losses.r2(critic, fake)


def to_target(critic, real, fake, key):
    return losses.gradient_penalty(critic, real, fake, key, target=0.3) / 2


SADDLES = {
    "minimax": (losses.minimax(), {}, {}),
    "non-saturating": (losses.non_saturating(), {}, {}),
    "R1": (losses.minimax(), {"penalty": r1}, {"r1": R1}),
    "R2": (losses.minimax(), {"penalty": r2}, {"r1": R1}),
    "instance noise": (losses.minimax(), {"instance_noise": 0.8}, {"instance_noise": 0.8}),
    "least squares": (losses.least_squares(), {"penalty": r1}, {"r1": R1}),
}


@pytest.mark.parametrize("name", SADDLES)
def test_the_dirac_gan_has_its_eigenvalues_at_the_equilibrium(name):
    loss, options, known = SADDLES[name]
    with jax.enable_x64(True):
        game = toy.dirac_gan(loss, **options)
        state = start(0.0, 0.0)
        jacobian = jax.jit(partial(game_jacobian, batch={}, game=game))(KEY, state)
        expected = np.sort_complex(toy.dirac_gan_eigenvalues(loss, **known))
        np.testing.assert_allclose(np.sort_complex(eigenvalues(jacobian)), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(0.3, [0.15 + 0.47697j, 0.15 - 0.47697j]), (1.0, [0.5, 0.5]), (2.0, [1.8660, 0.1340])],
)
def test_the_eigenvalues_under_r1_are_the_paper_s(weight, expected):
    exact = toy.dirac_gan_eigenvalues(losses.minimax(), r1=weight)
    np.testing.assert_allclose(np.sort_complex(exact), np.sort_complex(expected), atol=5e-5)


def test_consensus_damps_the_dirac_gan_by_a_quarter_of_its_weight():
    with jax.enable_x64(True):
        step = partial(
            consensus_step, game=toy.dirac_gan(losses.minimax()), optimizers=sgd(1.0), weight=0.3
        )
        state = start(0.0, 0.0, sgd(1.0))

        def moved(z):
            at = start(z[0], z[1], sgd(1.0))
            return jnp.stack(get_params(step(KEY, at, {})[0]))

        of_field = np.eye(2) - jax.jit(jax.jacobian(moved))(jnp.stack(get_params(state)))
        damped = np.sort_complex(np.linalg.eigvals(of_field))
        np.testing.assert_allclose(damped, [0.075 - 0.5j, 0.075 + 0.5j], atol=1e-9)


def last_distances(loss, step=alternating_step, optimizers=None, **options):
    """‖(θ, ψ)‖ over the last tenth of a long run with steps of 0.1 from (1, 1)."""
    optimizers = optimizers or sgd(0.1)
    play = partial(step, game=toy.dirac_gan(loss, **options), optimizers=optimizers)
    state = start(1.0, 1.0, optimizers)
    _, path, _ = trajectory(KEY, state, {}, step=play, num_steps=5_000)
    return np.hypot(*path)[-500:]


def test_mescheder_s_table_of_what_converges():
    """GAN, non-saturating, WGAN and WGAN-GP do not; noise, consensus, R1 and R2 do."""
    clipped = Optimizers(
        generator=optax.sgd(0.1), discriminator=optax.chain(optax.sgd(0.1), clip_params(0.3))
    )
    cycles = {
        "GAN": last_distances(losses.minimax()),
        "WGAN": last_distances(losses.wasserstein(), optimizers=clipped),
        "WGAN-GP": last_distances(losses.wasserstein(), penalty=to_target),
        "non-saturating": last_distances(losses.non_saturating()),
    }
    for name, distances in cycles.items():
        assert distances.max() > 0.05, name
    converges = {
        "instance noise": last_distances(losses.minimax(), instance_noise=0.8),
        "consensus": last_distances(losses.minimax(), step=partial(consensus_step, weight=0.3)),
        "R1": last_distances(losses.minimax(), penalty=r1),
        "R2": last_distances(losses.minimax(), penalty=r2),
    }
    for name, distances in converges.items():
        assert distances.max() < 1e-5, name


def test_simultaneous_play_of_the_dirac_gan_gains_energy_and_slow_play_conserves_it():
    game = toy.dirac_gan(losses.minimax())
    energies = []
    for rate, num_steps in ((0.1, 100), (0.01, 1_000)):
        step = partial(simultaneous_step, game=game, optimizers=sgd(rate))
        _, path, _ = trajectory(KEY, start(0.5, 0.5), {}, step=step, num_steps=num_steps)
        energies.append(path.generator[-1] ** 2 + path.discriminator[-1] ** 2 - 0.5)
    assert energies[0] > 0
    np.testing.assert_allclose(energies[0] / energies[1], 10, rtol=0.2)  # first order in the step
