"""Every method on bilinear games, against its exact eigenvalues, and at its neutral value."""

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import (
    Gradients,
    Optimizers,
    Outcome,
    PlayerOutcome,
    Weights,
    alternating_step,
    competitive_step,
    consensus_step,
    exponential_average,
    extragradient_step,
    get_params,
    init,
    lookahead,
    lookahead_memory,
    past_extragradient_memory,
    past_extragradient_step,
    rates,
    simultaneous_step,
    symplectic_step,
    toy,
    unrolled_step,
    vector_field,
)
from gan_jax.games.analysis import spectral_radius, trajectory
from gan_jax.typing import Step

KEY = jax.random.key(0)
MATRIX = np.random.default_rng(0).normal(size=(3, 3)) / 2
SINGULAR_VALUES = np.linalg.svd(MATRIX)[1]
WEIGHT = 0.7


def both(optimizer):
    return Optimizers(generator=optimizer, discriminator=optimizer)


class Method(NamedTuple):
    step: Step
    optimizers: Optimizers
    eigenvalues: np.ndarray
    num_steps: int = 1  # of the method in one step
    memory: object = None


def lookahead_block(step, key, state, batch, num_steps=5):
    for _ in range(num_steps):
        state, metrics = step(key, state, batch)
    return state, metrics


def methods(rate, game, sigma):
    """Each method with its rate on the bilinear game of these singular values."""
    sgd, momentum = both(optax.sgd(rate)), both(optax.sgd(rate, momentum=-0.5))
    optimism = both(optax.optimistic_gradient_descent(rate))

    def play(step, optimizers=sgd, **options):
        return partial(step, game=game, optimizers=optimizers, **options)

    ahead = partial(lookahead_block, lookahead(play(simultaneous_step), interval=5, rate=0.5))
    back = partial(lookahead_block, lookahead(play(alternating_step), interval=5, rate=0.5))
    solved = {"learning_rate": rate, "tolerance": 1e-12}
    return {
        "simultaneous": Method(play(simultaneous_step), sgd, rates.simultaneous(rate, sigma)),
        "alternating": Method(play(alternating_step), sgd, rates.alternating(rate, sigma)),
        "extragradient": Method(play(extragradient_step), sgd, rates.extragradient(rate, sigma)),
        "past extragradient": Method(
            play(past_extragradient_step),
            sgd,
            rates.optimistic(rate, sigma),
            memory=past_extragradient_memory,
        ),
        "optimistic": Method(
            play(simultaneous_step, optimism), optimism, rates.optimistic(rate, sigma)
        ),
        "momentum": Method(
            play(simultaneous_step, momentum),
            momentum,
            rates.simultaneous_momentum(rate, -0.5, sigma),
        ),
        "alternating momentum": Method(
            play(alternating_step, momentum),
            momentum,
            rates.alternating_momentum(rate, -0.5, sigma),
        ),
        "consensus": Method(
            play(consensus_step, weight=WEIGHT), sgd, rates.consensus(rate, WEIGHT, sigma)
        ),
        "symplectic": Method(
            play(symplectic_step, weight=WEIGHT), sgd, rates.consensus(rate, WEIGHT, sigma)
        ),
        "competitive": Method(
            play(competitive_step, **solved), sgd, rates.competitive(rate, sigma)
        ),
        "competitive, zero-sum": Method(
            play(competitive_step, zero_sum=True, **solved), sgd, rates.competitive(rate, sigma)
        ),
        "unrolled": Method(
            play(unrolled_step, num_unrolled_steps=3), sgd, rates.unrolled(rate, rate, 3, sigma)
        ),
        "lookahead": Method(
            ahead,
            sgd,
            rates.lookahead(rates.simultaneous(rate, sigma), 5, 0.5),
            num_steps=5,
            memory=lookahead_memory,
        ),
        "lookahead, alternating": Method(
            back,
            sgd,
            rates.lookahead(rates.alternating(rate, sigma), 5, 0.5),
            num_steps=5,
            memory=lookahead_memory,
        ),
    }


def slow(*values):
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


SECOND_OF_A_FAMILY = ("competitive, zero-sum", "lookahead, alternating")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow if name in SECOND_OF_A_FAMILY else ())
    for name in methods(0.1, toy.bilinear(), 1.0)
]


def start(x, y, optimizers, memory=None):
    state = init(
        generator=Weights(params=jnp.asarray(x, float)),
        discriminator=Weights(params=jnp.asarray(y, float)),
        optimizers=optimizers,
    )
    return state if memory is None else memory(state)


def play(step, state, batch=None, **options):
    return jax.jit(partial(step, **options))(KEY, state, batch or {})


@pytest.mark.parametrize("rate", [0.3, *slow(0.1, 0.5, 1.0)])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "matrix",
    [pytest.param(None, id="scalar", marks=pytest.mark.slow), pytest.param(MATRIX, id="matrix")],
)
def test_the_step_has_the_exact_spectral_radius_at_the_equilibrium(name, rate, matrix):
    with jax.enable_x64(True):
        sigma = 1.0 if matrix is None else SINGULAR_VALUES
        method = methods(rate, toy.bilinear(matrix), sigma)[name]
        origin = 0.0 if matrix is None else np.zeros(3)
        state, step = start(origin, origin, method.optimizers, method.memory), jax.jit(method.step)
        state, _ = step(KEY, state, {})
        radius = spectral_radius(KEY, state, {}, step=step)
        np.testing.assert_allclose(radius, rates.radius(method.eigenvalues), rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_grows_or_shrinks_at_the_exact_rate(name, rate):
    """The slope of log ‖z_t‖, over a run that is long against the transient."""
    with jax.enable_x64(True):
        method = methods(rate, toy.bilinear(), 1.0)[name]
        state = start(1.0, 0.5, method.optimizers, method.memory)
        num_steps = 400 if method.num_steps == 1 else 200
        _, path, _ = trajectory(KEY, state, {}, step=method.step, num_steps=num_steps)
        lengths = np.log(np.hypot(*path))
        slope = np.polyfit(np.arange(num_steps // 2, num_steps), lengths[num_steps // 2 : -1], 1)[0]
        # Where the modes rotate, log ‖z_t‖ wobbles about its line.
        np.testing.assert_allclose(slope, np.log(rates.radius(method.eigenvalues)), atol=6e-3)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_extrapolated_points_of_the_past_method_are_the_optimistic_sequence(rate):
    """From the same start: Optax's first step takes the first gradient for the one before it."""
    with jax.enable_x64(True):
        sgd, game = both(optax.sgd(rate)), toy.bilinear(MATRIX)
        optimism = both(optax.optimistic_gradient_descent(rate))
        optimistic = start([1.0, -2.0, 0.5], [0.3, 0.0, 1.0], optimism)
        first, _ = vector_field(KEY, optimistic, {}, game=game)
        behind = jax.tree.map(lambda z, g: z + rate * g, get_params(optimistic), first)
        state = start(*behind, sgd, past_extragradient_memory)
        state = state.replace(memory=state.memory.replace(**first._asdict()))
        past = jax.jit(partial(past_extragradient_step, game=game, optimizers=sgd))
        step = jax.jit(partial(simultaneous_step, game=game, optimizers=optimism))
        for _ in range(20):
            memory = Gradients(state.memory.generator, state.memory.discriminator)
            ahead = jax.tree.map(lambda z, g: z - rate * g, get_params(state), memory)
            chex.assert_trees_all_close(ahead, get_params(optimistic), rtol=1e-11)
            state, _ = past(KEY, state, {})
            optimistic, _ = step(KEY, optimistic, {})


@pytest.mark.parametrize("zero_sum", [False, True])
def test_competitive_descent_is_the_proximal_point_on_the_scalar_game(zero_sum):
    @jax.jit
    def step(rate):
        sgd = both(optax.sgd(rate))
        options = {"game": toy.bilinear(), "optimizers": sgd, "learning_rate": rate}
        return competitive_step(KEY, start(1.0, 0.5, sgd), {}, zero_sum=zero_sum, **options)

    for rate in (0.1, 1.0, 3.0):
        moved, metrics = step(rate)
        expected = np.array([1 - rate * 0.5, 0.5 + rate * 1]) / (1 + rate**2)
        np.testing.assert_allclose(get_params(moved), expected, rtol=1e-5)
        assert float(metrics["solver/residual"]) <= 1e-5
        assert bool(metrics["solver/converged"])
        assert int(metrics["solver/iterations"]) == 1


def general_game(*, generator, discriminator, batch, key):
    """Neither zero-sum nor linear; x of two numbers, y of three."""
    x, y = generator.params, discriminator.params
    mixed = jnp.tanh(x) @ jnp.asarray(MATRIX[:2], x.dtype) @ jnp.sin(y)
    return Outcome(
        generator=PlayerOutcome(mixed + jnp.sum(x**2) / 3),
        discriminator=PlayerOutcome(-2 * mixed + jnp.sum(jnp.cos(y))),
    )


def general_start(optimizers):
    return start([0.5, -1.0], [1.0, 0.3, -0.2], optimizers)


def test_competitive_descent_solves_the_paper_s_equation_in_a_general_game():
    """Against the dense formula, both players' inverses written out."""
    with jax.enable_x64(True):
        rate, sgd = 0.8, both(optax.sgd(0.8))
        state = general_start(sgd)

        def loss(x, y, player):
            weights = {"generator": Weights(params=x), "discriminator": Weights(params=y)}
            return getattr(general_game(**weights, batch={}, key=KEY), player).loss

        f, g = partial(loss, player="generator"), partial(loss, player="discriminator")

        @jax.jit
        def derivatives(x, y):
            first = jax.grad(f)(x, y), jax.grad(g, 1)(x, y)
            f_xy = jax.jacobian(jax.grad(f), 1)(x, y)
            return *first, f_xy, jax.jacobian(jax.grad(g, 1), 0)(x, y)

        x, y = get_params(state)
        f_x, g_y, f_xy, g_yx = map(np.asarray, derivatives(x, y))
        move_x = -rate * np.linalg.solve(np.eye(2) - rate**2 * f_xy @ g_yx, f_x - rate * f_xy @ g_y)
        move_y = -rate * np.linalg.solve(np.eye(3) - rate**2 * g_yx @ f_xy, g_y - rate * g_yx @ f_x)
        options = {"optimizers": sgd, "learning_rate": rate, "tolerance": 1e-12}
        moved, _ = play(competitive_step, state, game=general_game, **options)
        np.testing.assert_allclose(moved.generator.weights.params, x + move_x, rtol=1e-9)
        np.testing.assert_allclose(moved.discriminator.weights.params, y + move_y, rtol=1e-9)


def test_adjusted_gradients_equal_their_dense_formulas():
    with jax.enable_x64(True):
        sgd = both(optax.sgd(1.0))
        state = general_start(sgd)

        def field(z):
            at = start(z[:2], z[2:], sgd)
            gradients, _ = vector_field(KEY, at, {}, game=general_game)
            return jnp.concatenate(gradients)

        z = np.concatenate(get_params(state))
        v, h = map(np.asarray, jax.jit(lambda z: (field(z), jax.jacobian(field)(z)))(z))
        options = {"game": general_game, "optimizers": sgd, "weight": WEIGHT}
        moved, _ = play(consensus_step, state, **options)
        after = z - (v + WEIGHT * h.T @ v)
        np.testing.assert_allclose(np.concatenate(get_params(moved)), after, rtol=1e-10)
        adjustment = (h.T - h).T @ v / -2
        sign = np.sign((v @ h.T @ v) * (adjustment @ h.T @ v) / len(z) + 0.1)
        for align in (True, False):
            moved, _ = play(symplectic_step, state, align=align, **options)
            after = z - (v + (sign if align else 1) * WEIGHT * adjustment)
            np.testing.assert_allclose(np.concatenate(get_params(moved)), after, rtol=1e-10)


@pytest.mark.parametrize(("scale", "sign"), [(0.39, 1), (1.0, -1), (30.0, -1)])
def test_alignment_turns_the_adjustment_away_from_an_unstable_point(scale, sign):
    """Around a maximum of the potential the sign is negative, once the vector field is long.

    At a scale of .39 it is not: the product is divided by the number of params, 2.
    """
    potential = -np.eye(2)
    hamiltonian = np.array([[0.0, 1.0], [-1.0, 0.0]])
    game = toy.quadratic(potential=potential, hamiltonian=hamiltonian)
    sgd = both(optax.sgd(1.0))
    z = scale * np.array([1.0, 0.5])
    moved, _ = play(
        symplectic_step, start(z[:1], z[1:], sgd), game=game, optimizers=sgd, weight=1.0
    )
    h = potential + hamiltonian
    v, adjustment = h @ z, hamiltonian.T @ h @ z
    alignment = (v @ h.T @ v) * (adjustment @ h.T @ v)
    assert np.sign(alignment / 2 + 0.1) == sign
    assert np.sign(alignment + 0.1) == -1
    after = z - (v + sign * adjustment)
    np.testing.assert_allclose(np.concatenate(get_params(moved)), after, rtol=1e-5, atol=1e-7)


def test_symplectic_adjustment_is_plain_descent_on_a_potential_game():
    potential = np.array([[2.0, 0.3], [0.3, 1.0]])
    game = toy.quadratic(potential=potential, hamiltonian=np.zeros((2, 2)))
    sgd = both(optax.sgd(0.1))
    state = start([1.0], [-0.5], sgd)
    moved, _ = play(symplectic_step, state, game=game, optimizers=sgd, weight=5.0)
    plain, _ = play(simultaneous_step, state, game=game, optimizers=sgd)
    chex.assert_trees_all_close(get_params(moved), get_params(plain), rtol=1e-6)


@pytest.mark.parametrize("num_unrolled_steps", [0, 1, 5])
def test_the_unrolled_gradient_foresees_the_answer(num_unrolled_steps):
    """On f = xy it is y + 2Kηx, with the learning rate η of the discriminator's optimiser."""
    x, y, inner = 1.5, -0.25, 0.3
    optimizers = Optimizers(generator=optax.sgd(1.0), discriminator=optax.sgd(inner))
    moved, _ = play(
        unrolled_step,
        start(x, y, optimizers),
        game=toy.bilinear(),
        optimizers=optimizers,
        num_unrolled_steps=num_unrolled_steps,
    )
    expected = [x - (y + 2 * num_unrolled_steps * inner * x), y + inner * x]
    np.testing.assert_allclose(get_params(moved), expected, rtol=1e-6)


def test_an_unrolled_generator_reports_the_game_that_it_foresees():
    def game(**arguments):
        outcome = toy.bilinear()(**arguments)
        own = outcome.generator._replace(metrics={"value": outcome.generator.loss})
        return outcome._replace(generator=own)

    sgd = both(optax.sgd(0.5))
    options = {"game": game, "optimizers": sgd, "num_unrolled_steps": 2}
    _, metrics = play(unrolled_step, start(1.0, 0.5, sgd), **options)
    np.testing.assert_allclose(metrics["generator/loss"], 1.5, rtol=1e-6)  # y + 2 η x
    np.testing.assert_allclose(metrics["generator/value"], 1.5, rtol=1e-6)


def test_unrolling_through_adam_is_finite_with_eps_root_where_a_gradient_is_0():
    def step(adam):
        optimizers = both(adam)
        state, options = start(0.0, 0.0, optimizers), {"num_unrolled_steps": 3}
        _, metrics = play(
            unrolled_step, state, game=toy.bilinear(), optimizers=optimizers, **options
        )
        return metrics["generator/grad_norm"]

    assert np.isfinite(step(optax.adam(0.1, eps_root=1e-8)))
    assert not np.isfinite(step(optax.adam(0.1)))  # what the docstring warns of


NEUTRAL = (
    partial(consensus_step, weight=0.0),
    partial(symplectic_step, weight=0.0),
    partial(competitive_step, learning_rate=0.0),
    partial(unrolled_step, num_unrolled_steps=0),
)


def test_each_method_is_the_plain_step_at_its_neutral_value():
    sgd = both(optax.sgd(0.1))
    state, options = general_start(sgd), {"game": general_game, "optimizers": sgd}
    plain, expected = play(simultaneous_step, state, **options)
    for step in NEUTRAL:
        moved, metrics = play(step, state, **options)
        chex.assert_trees_all_close(moved, plain, rtol=1e-6)
        chex.assert_trees_all_close({key: metrics[key] for key in expected}, expected, rtol=1e-6)


def test_extragradient_and_its_past_cousin_are_the_plain_step_where_the_field_does_not_change():
    def flat(*, generator, discriminator, batch, key):
        return Outcome(
            generator=PlayerOutcome(jnp.sum(generator.params)),
            discriminator=PlayerOutcome(-3 * jnp.sum(discriminator.params)),
        )

    sgd = both(optax.sgd(0.1))
    state, options = general_start(sgd), {"game": flat, "optimizers": sgd}
    plain, _ = play(simultaneous_step, state, **options)
    ahead, _ = play(extragradient_step, state, **options)
    past, _ = play(past_extragradient_step, past_extragradient_memory(state), **options)
    chex.assert_trees_all_close(get_params(ahead), get_params(plain), rtol=1e-6)
    chex.assert_trees_all_close(get_params(past), get_params(plain), rtol=1e-6)


def test_extra_adam_advances_its_moments_twice_and_moves_from_where_it_stood():
    adam = both(optax.adam(0.1, b1=0.5))
    state = general_start(adam)
    moved, _ = play(extragradient_step, state, game=general_game, optimizers=adam)
    ahead, _ = play(simultaneous_step, state, game=general_game, optimizers=adam)
    gradients, _ = play(vector_field, ahead, game=general_game)
    update = jax.jit(optax.adam(0.1, b1=0.5).update)
    for name in ("generator", "discriminator"):
        before, middle, after = (getattr(s, name) for s in (state, ahead, moved))
        updates, opt_state = update(getattr(gradients, name), middle.opt_state)
        chex.assert_trees_all_close(after.opt_state, opt_state, rtol=1e-6)
        np.testing.assert_allclose(after.weights.params, before.weights.params + updates, rtol=1e-6)


def test_independent_samples_are_two_halves_of_the_batch_with_a_key_each():
    def pulled(*, generator, discriminator, batch, key):
        target = jnp.mean(batch["point"]) + jax.random.normal(key)
        loss = generator.params * target * discriminator.params
        return Outcome(generator=PlayerOutcome(loss), discriminator=PlayerOutcome(-loss))

    sgd, points = both(optax.sgd(0.1)), jnp.array([1.0, 10.0, 3.0, 30.0])
    options = {"game": pulled, "optimizers": sgd, "independent_samples": True}
    state = start(1.0, 0.5, sgd)
    moved, _ = play(extragradient_step, state, {"point": points}, **options)
    first, second = (
        mean + jax.random.normal(key)
        for mean, key in zip((2.0, 20.0), jax.random.split(KEY), strict=True)
    )
    x, y = 1 - 0.1 * first * 0.5, 0.5 + 0.1 * first
    np.testing.assert_allclose(
        get_params(moved), [1 - 0.1 * second * y, 0.5 + 0.1 * second * x], rtol=1e-5
    )
    with pytest.raises(ValueError, match="3 examples does not divide into the 2"):
        extragradient_step(KEY, state, {"point": points[:3]}, **options)


def test_two_time_scales_are_more_steps_of_the_faster_player_to_first_order():
    """One discriminator step of rate nη equals n of rate η, up to terms of second order in η."""
    game, errors = (
        toy.quadratic(
            potential=np.diag([1.0, 2.0]), hamiltonian=np.array([[0.0, 1.0], [-1.0, 0.0]])
        ),
        [],
    )
    with jax.enable_x64(True):
        for rate in (1e-2, 1e-3):
            fast = Optimizers(generator=optax.sgd(rate), discriminator=optax.sgd(3 * rate))
            slow = both(optax.sgd(rate))
            state = start([1.0], [1.5], fast)
            once, _ = play(alternating_step, state, game=game, optimizers=fast)
            often, _ = play(
                alternating_step,
                start([1.0], [1.5], slow),
                {"unused": jnp.zeros(3)},
                game=game,
                optimizers=slow,
                num_discriminator_steps=3,
            )
            errors.append(
                abs(once.discriminator.weights.params - often.discriminator.weights.params)[0]
            )
    np.testing.assert_allclose(errors[0] / errors[1], 100, rtol=0.05)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            partial(consensus_step, weight=-1.0),
            "weight is -1.0; it must be finite",
        ),
        (partial(symplectic_step, weight=np.nan), "weight is nan; it must be finite"),
        (partial(competitive_step, learning_rate=-0.1), "learning_rate is -0.1; it must be finite"),
        (partial(competitive_step, learning_rate=0.1, tolerance=0.0), "tolerance is 0.0; it must"),
        (partial(competitive_step, learning_rate=0.1, max_iterations=0), "max_iterations is 0"),
        (partial(unrolled_step, num_unrolled_steps=-1), "num_unrolled_steps is -1; it must be"),
    ],
)
def test_a_number_out_of_range_is_refused(step, said):
    sgd = both(optax.sgd(0.1))
    with pytest.raises(ValueError, match=said):
        step(KEY, general_start(sgd), {}, game=general_game, optimizers=sgd)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_loss_that_is_no_scalar_is_refused(player):
    def unreduced(*, generator, discriminator, batch, key):
        outcome = toy.bilinear()(
            generator=generator, discriminator=discriminator, batch=batch, key=key
        )
        own = getattr(outcome, player)
        return outcome._replace(**{player: own._replace(loss=jnp.full(3, own.loss))})

    sgd = both(optax.sgd(0.1))
    for step in (simultaneous_step, alternating_step):
        with pytest.raises(ValueError, match=rf"{player}'s loss has shape \(3,\)"):
            step(KEY, start(1.0, 0.5, sgd), {}, game=unreduced, optimizers=sgd)


def test_a_gradient_that_is_not_finite_is_not_solved_away():
    """The loss is finite, its gradient is not: the run is to stop, not to stand still."""

    def game(*, generator, discriminator, batch, key):
        value = jnp.sqrt(generator.params) * discriminator.params
        return Outcome(generator=PlayerOutcome(value), discriminator=PlayerOutcome(-value))

    sgd = both(optax.sgd(0.1))
    options = {"game": game, "optimizers": sgd, "learning_rate": 0.1}
    for zero_sum in (True, False):
        _, metrics = play(competitive_step, start(0.0, 1.0, sgd), zero_sum=zero_sum, **options)
        assert np.isfinite(metrics["generator/loss"])
        assert not np.isfinite(metrics["generator/grad_norm"])


def test_a_memory_that_is_missing_or_another_s_is_named():
    sgd = both(optax.sgd(0.1))
    plain = partial(simultaneous_step, game=general_game, optimizers=sgd)
    past = partial(past_extragradient_step, game=general_game, optimizers=sgd)
    state = general_start(sgd)
    for step, at, name in (
        (past, state, "past_extragradient_memory"),
        (past, lookahead_memory(state), "past_extragradient_memory"),
        (lookahead(plain, interval=2, rate=0.5), state, "lookahead_memory"),
        (exponential_average(plain, decay=0.5), lookahead_memory(state), "exponential_average"),
    ):
        with pytest.raises(ValueError, match=rf"start it with {name}"):
            step(KEY, at, {})


def test_a_memory_is_not_overwritten():
    sgd = both(optax.sgd(0.1))
    with pytest.raises(ValueError, match="has a memory already"):
        past_extragradient_memory(lookahead_memory(general_start(sgd)))
