"""Both orders of play on games whose trajectories are known."""

import inspect
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import (
    Optimizers,
    Outcome,
    PlayerOutcome,
    Weights,
    alternating_step,
    discriminator_step,
    extragradient_step,
    generator_step,
    get_params,
    init,
    simultaneous_step,
    vector_field,
)
from gan_jax.games.steps import move_both
from gan_jax.games.toy import bilinear, dirac_gan
from gan_jax.losses import minimax, non_saturating

KEY = jax.random.key(0)


def sgd(rate):
    return Optimizers(generator=optax.sgd(rate), discriminator=optax.sgd(rate))


def start(x, y, rate, dtype=jnp.float32):
    return init(
        generator=Weights(params=jnp.asarray(x, dtype)),
        discriminator=Weights(params=jnp.asarray(y, dtype)),
        optimizers=sgd(rate),
    )


def point(state):
    return np.array([state.generator.weights.params, state.discriminator.weights.params])


def run(step, state, num_steps):
    return jax.lax.scan(lambda s, _: (step(KEY, s, {})[0], point_of(s)), state, length=num_steps)


def point_of(state):
    return jnp.stack([state.generator.weights.params, state.discriminator.weights.params])


def jacobian(step, state):
    """The 2x2 Jacobian of a step, from (x, y) to the next (x, y)."""

    def moved(z):
        players = {"generator": z[0], "discriminator": z[1]}
        changed = {
            name: getattr(state, name).replace(weights=Weights(params=value))
            for name, value in players.items()
        }
        return point_of(step(KEY, state.replace(**changed), {})[0])

    return jax.jit(jax.jacobian(moved))(point_of(state))


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_simultaneous_descent_spirals_out_by_one_plus_rate_squared(rate):
    with jax.enable_x64(rate != 0.1):
        step = partial(simultaneous_step, game=bilinear(), optimizers=sgd(rate))
        state = start(1.0, 0.5, rate, jnp.float64 if rate != 0.1 else jnp.float32)
        _, path = run(step, state, 501)
        norms = jnp.sum(path**2, axis=1)
        growth = norms[1:] / norms[:-1]
        np.testing.assert_allclose(growth, 1 + rate**2, rtol=1e-6 if rate == 0.1 else 1e-12)
        np.testing.assert_allclose(norms[500] / norms[0] / (1 + rate**2) ** 500, 1, rtol=1e-4)


def test_simultaneous_descent_on_vectors_grows_alike():
    step = partial(simultaneous_step, game=bilinear(), optimizers=sgd(0.1))
    state = start([1.0, 2.0, -1.0], [0.5, 0.0, 3.0], 0.1)
    moved, _ = step(KEY, state, {})
    before, after = np.sum(point(state) ** 2), np.sum(point(moved) ** 2)
    np.testing.assert_allclose(after / before, 1.01, rtol=1e-6)


def test_alternating_descent_conserves_its_ellipse():
    rate = 0.1
    step = partial(alternating_step, game=bilinear(), optimizers=sgd(rate))
    _, path = run(step, start(1.0, 0.5, rate), 2_000)
    x, y = path.T
    np.testing.assert_allclose(x**2 + y**2 + rate * x * y, 1.3, rtol=1e-4)
    assert np.ptp(x**2 + y**2) > 0.05  # the circle itself is not conserved


def test_the_discriminator_moves_first():
    rate = 0.1
    step = partial(alternating_step, game=bilinear(), optimizers=sgd(rate))
    moved, _ = step(KEY, start(1.0, 0.5, rate), {})
    np.testing.assert_allclose(point(moved), [1.0 - rate * (0.5 + rate * 1.0), 0.6], rtol=1e-6)


@pytest.mark.parametrize("loss", [minimax(), non_saturating()])
def test_dirac_gan_rotates_at_its_equilibrium(loss):
    with jax.enable_x64(True):
        state = start(0.0, 0.0, 0.1, jnp.float64)

        def field(z):
            at = start(0.0, 0.0, 0.1, jnp.float64)
            at = at.replace(
                generator=at.generator.replace(weights=Weights(params=z[0])),
                discriminator=at.discriminator.replace(weights=Weights(params=z[1])),
            )
            gradients, _ = vector_field(KEY, at, {}, game=dirac_gan(loss))
            return jnp.stack([gradients.generator, gradients.discriminator])

        eigenvalues = np.linalg.eigvals(jax.jit(jax.jacobian(field))(point_of(state)))
        np.testing.assert_allclose(np.sort_complex(eigenvalues), [-0.5j, 0.5j], atol=1e-12)


@pytest.mark.parametrize("rate", [0.1, 1.0, 3.0])
def test_dirac_gan_expands_by_the_exact_factor_in_simultaneous_play(rate):
    with jax.enable_x64(True):
        state = start(0.0, 0.0, rate, jnp.float64)
        step = partial(simultaneous_step, game=dirac_gan(minimax()), optimizers=sgd(rate))
        radius = np.abs(np.linalg.eigvals(jacobian(step, state)))
        np.testing.assert_allclose(radius, np.sqrt(1 + rate**2 / 4), rtol=1e-12)


@pytest.mark.parametrize(
    ("rate", "num_discriminator_steps"), [(0.1, 1), (1.0, 1), (1.0, 4), (3.0, 2), (5.0, 1)]
)
def test_dirac_gan_has_the_exact_factors_in_alternating_play(rate, num_discriminator_steps):
    with jax.enable_x64(True):
        state = start(0.0, 0.0, rate, jnp.float64)
        step = partial(
            alternating_step,
            game=dirac_gan(minimax()),
            optimizers=sgd(rate),
            num_discriminator_steps=num_discriminator_steps,
        )
        alpha = np.sqrt(num_discriminator_steps) * rate / 2
        half = 1 - alpha**2 / 2
        root = np.sqrt(complex(half**2 - 1))
        factors = np.sort_complex(np.linalg.eigvals(jacobian(step, state)).astype(complex))
        np.testing.assert_allclose(factors, np.sort_complex([half - root, half + root]), atol=1e-7)
        assert np.allclose(np.abs(factors), 1, atol=1e-7) == (alpha <= 2)


def quadratic_game(*, generator, discriminator, batch, key):
    """Each player is pulled to the mean of its batch, and the draw is visible in the metrics."""
    draw = jax.random.normal(key)
    target = jnp.mean(batch["point"])
    return Outcome(
        generator=PlayerOutcome(
            (generator.params - target) ** 2 + 0 * discriminator.params, None, {"draw": draw}
        ),
        discriminator=PlayerOutcome(
            (discriminator.params - target) ** 2, {"seen": batch["point"]}, {"draw": draw}
        ),
    )


def test_every_move_of_the_discriminator_has_its_own_examples_and_key():
    state = start(0.0, 0.0, 0.0)
    state = state.replace(
        discriminator=state.discriminator.replace(
            weights=Weights(params=jnp.zeros(()), state={"seen": jnp.zeros(2)})
        )
    )
    seen, draws = [], []

    def game(**arguments):
        outcome = quadratic_game(**arguments)
        jax.debug.callback(lambda x: seen.append(np.array(x)), arguments["batch"]["point"])
        jax.debug.callback(lambda x: draws.append(float(x)), outcome.discriminator.metrics["draw"])
        return outcome

    alternating_step(
        KEY,
        state,
        {"point": jnp.arange(6.0)},
        game=game,
        optimizers=sgd(0.0),
        num_discriminator_steps=3,
    )
    jax.effects_barrier()
    np.testing.assert_array_equal(seen, [[0, 3], [1, 4], [2, 5], [2, 5]])
    assert len(set(draws)) == 4
    draws.clear()
    alternating_step(KEY, state, {"point": jnp.arange(2.0)}, game=game, optimizers=sgd(0.0))
    jax.effects_barrier()
    assert len(set(draws)) == 2


def test_a_batch_that_does_not_divide_is_refused():
    step = partial(alternating_step, game=quadratic_game, optimizers=sgd(0.1))
    with pytest.raises(ValueError, match="7 examples does not divide into the 2"):
        step(KEY, start(0.0, 0.0, 0.1), {"point": jnp.arange(7.0)}, num_discriminator_steps=2)
    with pytest.raises(ValueError, match="must be an integer, at least 1"):
        step(KEY, start(0.0, 0.0, 0.1), {"point": jnp.arange(7.0)}, num_discriminator_steps=0)


def test_what_all_examples_share_does_not_divide():
    state, batch = start(0.0, 0.0, 0.1), {"point": jnp.arange(4.0), "scale": jnp.ones(())}
    step = partial(alternating_step, game=quadratic_game, optimizers=sgd(0.1))
    step(KEY, state, batch)  # with one move there is nothing to divide
    with pytest.raises(ValueError, match="holds a single number, which does not divide into the 2"):
        step(KEY, state, batch, num_discriminator_steps=2)


def test_the_metrics_are_those_of_the_last_move():
    def stateless(**arguments):
        outcome = quadratic_game(**arguments)
        return outcome._replace(discriminator=outcome.discriminator._replace(state=None))

    state, batch = start(0.0, 0.0, 0.0), {"point": jnp.arange(6.0)}
    _, metrics = alternating_step(
        KEY, state, batch, game=stateless, optimizers=sgd(0.0), num_discriminator_steps=3
    )
    np.testing.assert_allclose(metrics["discriminator/loss"], 3.5**2)  # examples 2 and 5


def test_a_metric_is_one_number():
    def game(**arguments):
        outcome = bilinear()(**arguments)
        return outcome._replace(
            generator=outcome.generator._replace(metrics={"rates": jnp.ones(3)})
        )

    with pytest.raises(ValueError, match=r"metric rates has shape \(3,\); a metric is one number"):
        generator_step(KEY, start(1.0, 0.5, 0.1), {}, game=game, optimizers=sgd(0.1))


def test_an_optimiser_may_ask_for_its_player_s_loss():
    """On the bilinear game L_D = -L_G, both from the same point."""
    told = {}

    def asking(name):
        def update(updates, state, params=None, *, value, grad, **extra):
            told[name] = float(value), float(grad)
            return jax.tree.map(jnp.zeros_like, updates), state

        return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)

    optimizers = Optimizers(generator=asking("generator"), discriminator=asking("discriminator"))
    for step in (simultaneous_step, alternating_step, extragradient_step):
        told.clear()
        step(KEY, start(1.0, 0.5, 0.1), {}, game=bilinear(), optimizers=optimizers)
        assert told == {"generator": (0.5, 0.5), "discriminator": (-0.5, -1.0)}
    plateau = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau())
    state = init(
        generator=Weights(params=jnp.ones(())),
        discriminator=Weights(params=jnp.ones(())),
        optimizers=Optimizers(generator=plateau, discriminator=plateau),
    )
    optimizers = Optimizers(generator=plateau, discriminator=plateau)
    moved, _ = simultaneous_step(KEY, state, {}, game=bilinear(), optimizers=optimizers)
    assert float(moved.generator.opt_state[1].best_value) == 1
    search = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(5))
    optimizers = Optimizers(generator=search, discriminator=search)
    state = init(
        generator=state.generator.weights,
        discriminator=state.discriminator.weights,
        optimizers=optimizers,
    )
    with pytest.raises(ValueError, match="asks for the loss at other points, as a line search"):
        simultaneous_step(KEY, state, {}, game=bilinear(), optimizers=optimizers)


@pytest.mark.parametrize(
    ("optimizers", "said"),
    [
        (optax.sgd(0.1), "The optimizers are a GradientTransformation"),
        ((optax.sgd(0.1), optax.sgd(0.1)), "The optimizers are a tuple; give one for each player"),
        (
            Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd),
            "An optimizer is sgd",
        ),
        (Optimizers(generator=0.1, discriminator=optax.sgd(0.1)), "An optimizer is float; give a"),
    ],
)
def test_each_player_has_an_optimiser(optimizers, said):
    state = start(1.0, 0.5, 0.1)
    weights = {
        "generator": state.generator.weights,
        "discriminator": state.discriminator.weights,
    }
    silent = Outcome(*[PlayerOutcome(jnp.zeros(()))] * 2)
    unchecked_init, unchecked_move = inspect.unwrap(init), inspect.unwrap(move_both)
    for refused in (
        lambda: unchecked_init(**weights, optimizers=optimizers),
        lambda: unchecked_move(state, get_params(state), silent, optimizers=optimizers),
    ):
        with pytest.raises(ValueError, match=said):
            refused()


def test_single_moves_change_one_player_and_leave_the_step():
    state = start(1.0, 0.5, 0.1)
    moved, metrics = discriminator_step(KEY, state, {}, game=bilinear(), optimizers=sgd(0.1))
    chex.assert_trees_all_equal(moved.generator, state.generator)
    np.testing.assert_allclose(point(moved), [1.0, 0.6], rtol=1e-6)
    assert {name.partition("/")[0] for name in metrics} == {"discriminator"}
    moved, metrics = generator_step(KEY, state, {}, game=bilinear(), optimizers=sgd(0.1))
    chex.assert_trees_all_equal(moved.discriminator, state.discriminator)
    np.testing.assert_allclose(point(moved), [0.95, 0.5], rtol=1e-6)
    assert int(moved.step) == 0


@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_whole_steps_count_and_report(step):
    state, metrics = step(KEY, start(1.0, 0.5, 0.1), {}, game=bilinear(), optimizers=sgd(0.1))
    assert int(state.step) == 1
    assert set(metrics) == {
        f"{player}/{name}"
        for player in ("generator", "discriminator")
        for name in ("loss", "grad_norm", "update_norm")
    }
    np.testing.assert_allclose(metrics["discriminator/grad_norm"], 1.0)
    np.testing.assert_allclose(metrics["discriminator/update_norm"], 0.1, rtol=1e-6)


def test_a_non_finite_discriminator_loss_stays_with_the_discriminator():
    def game(*, generator, discriminator, batch, key):
        value = jnp.vdot(generator.params, discriminator.params)
        return Outcome(
            generator=PlayerOutcome(value), discriminator=PlayerOutcome(-value / (value - value))
        )

    gradients, outcome = vector_field(KEY, start(1.0, 0.5, 0.1), {}, game=game)
    assert not np.isfinite(outcome.discriminator.loss)
    assert not np.isfinite(gradients.discriminator)
    np.testing.assert_allclose(gradients.generator, 0.5)


@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_a_step_is_traced_once(step):
    def play(key, state):
        return step(key, state, {}, game=bilinear(), optimizers=sgd(0.1))

    chex.clear_trace_counter()
    traced = jax.jit(chex.assert_max_traces(play, n=1))
    state = start(1.0, 0.5, 0.1)
    for t in range(10):
        state, _ = traced(jax.random.fold_in(KEY, t), state)
    assert int(state.step) == 10


def test_init_copies_and_checks():
    params = jnp.ones(3)
    state = init(
        generator=Weights(params=params),
        discriminator=Weights(params=params),
        optimizers=sgd(0.1),
    )
    jax.jit(lambda s: s.replace(step=s.step + 1), donate_argnums=0)(state)
    np.testing.assert_array_equal(params, 1)
    itself = optax.GradientTransformation(lambda params: params, optax.sgd(0.1).update)
    state = init(
        generator=Weights(params=(params, params)),
        discriminator=Weights(params=params),
        optimizers=Optimizers(generator=itself, discriminator=itself),
    )
    jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)(state)  # no array twice
    good = Weights(params=params)
    with pytest.raises(TypeError, match=r"generator's params\['w'\] are int(32|64)"):
        init(
            generator=Weights(params={"w": jnp.arange(3)}),
            discriminator=good,
            optimizers=sgd(0.1),
        )
    with pytest.raises(ValueError, match="discriminator has no params"):
        init(generator=good, discriminator=Weights(params={}), optimizers=sgd(0.1))
