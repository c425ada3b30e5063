"""Games whose dynamics are known exactly. They need no network and ignore their batch.

The eigenvalues of each method's step on the bilinear game are in `gan_jax.games.rates`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from gan_jax.checks import AT_LEAST_1, NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.games.core import Game, GameState, Gradients, Outcome, PlayerOutcome, get_params
from gan_jax.typing import KeyArray, Scalar

NUM_NODES = 40  # of Gauss-Hermite quadrature: exact for polynomials of degree 79


def bilinear(matrix: ArrayLike | None = None) -> Game:
    """min_x max_y xᵀ M y: the generator holds x, the discriminator y, vectors.

    Without `matrix`, which has a row for each entry of x and a column for each of y, it is ⟨x, y⟩,
    and the players hold scalars or vectors of one shape. The vector field is (M y, -Mᵀ x), the
    eigenvalues of its Jacobian ±iσ for the singular values σ of M (and 0 where M is not square).
    With learning rate α, simultaneous gradient descent multiplies ‖x‖² + ‖y‖² by exactly 1 + α² in
    each step of the game without a matrix; alternating descent (y first) conserves
    `bilinear_invariant`.
    """

    def game(*, generator, discriminator, batch, key):
        x, y = generator.params, discriminator.params
        value = jnp.vdot(x, y if matrix is None else jnp.asarray(matrix, y.dtype) @ y)
        return Outcome(generator=PlayerOutcome(value), discriminator=PlayerOutcome(-value))

    return game


def bilinear_invariant(
    point: Gradients, *, learning_rate: float, matrix: ArrayLike | None = None
) -> Scalar:
    """What alternating gradient descent (y first) conserves: ‖x‖² + ‖y‖² + α xᵀ M y."""
    x, y = map(jnp.asarray, point)
    answer = y if matrix is None else jnp.asarray(matrix, y.dtype) @ y
    return jnp.vdot(x, x) + jnp.vdot(y, y) + learning_rate * jnp.vdot(x, answer)


def bilinear_duality_gap(
    point: Gradients, *, radius: float = 1.0, matrix: ArrayLike | None = None
) -> Scalar:
    """How much both players together could gain, moving within balls: r (‖Mᵀ x‖ + ‖M y‖).

    max_{‖y'‖ ≤ r} xᵀ M y' - min_{‖x'‖ ≤ r} x'ᵀ M y, which is 0 at the equilibrium 0 alone where M
    is invertible.
    """
    check_bound(NOT_NEGATIVE, radius=radius)
    x, y = map(jnp.asarray, point)
    of_x = x if matrix is None else jnp.asarray(matrix, x.dtype).T @ x
    of_y = y if matrix is None else jnp.asarray(matrix, y.dtype) @ y
    return radius * (jnp.linalg.norm(jnp.ravel(of_x)) + jnp.linalg.norm(jnp.ravel(of_y)))


def quadratic(*, potential: ArrayLike, hamiltonian: ArrayLike) -> Game:
    """The game whose vector field is (S + A) z, z = (x, y) holding both players' vectors.

    S = `potential` is symmetric and A = `hamiltonian` antisymmetric, both over x and y together, x
    first. With H = S + A the losses are ½ xᵀH_xx x + xᵀH_xy y and ½ yᵀH_yy y + yᵀH_yx x. A must be
    0 within a player: no player's own loss makes it rotate. With A = 0 both descend ½ zᵀ S z; with
    S = 0 descent conserves ‖z‖ in continuous time. The equilibrium is 0.

    Balduzzi et al. 2018, definition 2 and section 2.2 (Helmholtz's decomposition).

    Raises:
        ValueError: a matrix lacks its symmetry, their shapes differ, or, when played, A is not 0
            within a player or the players' sizes do not add up.
    """
    potential, hamiltonian = np.asarray(potential), np.asarray(hamiltonian)
    if potential.shape != hamiltonian.shape or not np.array_equal(potential, potential.T):
        raise Refusal("potential must be a symmetric matrix, and as large as hamiltonian.")
    if not np.array_equal(hamiltonian, -hamiltonian.T):
        raise Refusal("hamiltonian must be antisymmetric: equal to minus its transpose.")

    def game(*, generator, discriminator, batch, key):
        x, y = generator.params, discriminator.params
        if x.ndim != 1 or y.ndim != 1 or x.size + y.size != len(potential):
            raise Refusal(
                f"The players hold arrays of shapes {x.shape} and {y.shape}; this game needs two "
                f"vectors with {len(potential)} entries together."
            )
        own_x, own_y = hamiltonian[: x.size, : x.size], hamiltonian[x.size :, x.size :]
        if np.any(own_x) or np.any(own_y):
            raise Refusal("hamiltonian must be 0 within a player: in its diagonal blocks.")
        field = jnp.asarray(potential + hamiltonian, x.dtype)
        of_x, of_y = field[: x.size], field[x.size :]
        return Outcome(
            generator=PlayerOutcome(x @ of_x[:, : x.size] @ x / 2 + x @ of_x[:, x.size :] @ y),
            discriminator=PlayerOutcome(y @ of_y[:, x.size :] @ y / 2 + y @ of_y[:, : x.size] @ x),
        )

    return game


def stochastic_bilinear(
    matrices: Float[ArrayLike, "terms m n"],
    x_terms: Float[ArrayLike, "terms m"],
    y_terms: Float[ArrayLike, "terms n"],
    *,
    num_samples: int | None = None,
) -> Game:
    """min_x max_y of the mean over terms i of xᵀ M_i y + xᵀ a_i + yᵀ b_i, seen through a sample.

    Every round draws `num_samples` terms with replacement, or takes them all. The equilibrium is
    `stochastic_bilinear_equilibrium`.

    Chavdarova et al. 2019, section 4 (and 2021, section 5.1): M_i = e_i e_iᵀ, a and b from
    N(0, I/100), 100 terms in 100 dimensions.

    Raises:
        ValueError: `num_samples` is below 1.
    """
    if num_samples is not None:
        check_bound(AT_LEAST_1, num_samples=num_samples)

    def game(*, generator, discriminator, batch, key):
        x, y = generator.params, discriminator.params
        chosen = slice(None)
        if num_samples is not None:
            chosen = jax.random.randint(key, (num_samples,), 0, np.shape(x_terms)[0])
        m, a, b = (jnp.asarray(part, x.dtype)[chosen] for part in (matrices, x_terms, y_terms))
        value = jnp.mean(jnp.einsum("m,imn,n->i", x, m, y) + a @ x + b @ y)
        return Outcome(generator=PlayerOutcome(value), discriminator=PlayerOutcome(-value))

    return game


def stochastic_bilinear_equilibrium(
    matrices: Float[ArrayLike, "terms n n"],
    x_terms: Float[ArrayLike, "terms n"],
    y_terms: Float[ArrayLike, "terms n"],
) -> Gradients:
    """Where M y = -a and Mᵀ x = -b, for the means of the terms and invertible M."""
    matrix, a, b = (np.mean(part, axis=0) for part in (matrices, x_terms, y_terms))
    return Gradients(
        generator=jnp.asarray(np.linalg.solve(matrix.T, -b)),
        discriminator=jnp.asarray(np.linalg.solve(matrix, -a)),
    )


def random_terms(
    seed: int, *, num_terms: int = 20, dim: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw terms of a stochastic bilinear game, whose mean matrix is the identity.

    M_i = I + N_i with entries of deviation 1/(2√n) but for their mean, a_i and b_i from N(0, I/n).
    """
    check_bound(AT_LEAST_1, num_terms=num_terms, dim=dim)
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(num_terms, dim, dim)) / (2 * np.sqrt(dim))
    x_terms, y_terms = rng.normal(size=(2, num_terms, dim)) / np.sqrt(dim)
    return np.eye(dim) + noise - noise.mean(axis=0), x_terms, y_terms


def dirac_gan(
    loss,
    *,
    penalty: Callable[[Callable[[Array], Array], Array, Array, KeyArray], Array] | None = None,
    instance_noise: float = 0.0,
) -> Game:
    """The Dirac-GAN: data δ_0, generator δ_θ, discriminator D(x) = ψ x; both players hold scalars.

    L_D(θ, ψ) = real(ψ·0) + fake(ψ θ) + penalty,  L_G(θ, ψ) = generator(ψ θ), with the three curves
    of an `AdversarialLoss`. `penalty(critic, real, fake, key)` gives one number per example, its
    weight included, as in `gan_jax.systems.gan`: with `lambda critic, real, fake, key: γ/2 *
    r1(critic, real)` it adds γψ²/2. `instance_noise` σ adds noise from N(0, σ²) to data and
    generator, and the expectation is taken, by quadrature.

    Under `minimax` without a penalty θ² + ψ² is conserved in continuous time; simultaneous gradient
    descent of step h expands at the equilibrium (0, 0) by √(1 + h²/4). The vector field's Jacobian
    there has the eigenvalues `dirac_gan_eigenvalues`.

    Mescheder, Geiger & Nowozin 2018, definition 2.1 and sections 2 and 3.

    Raises:
        ValueError: `loss` is not three curves, or `instance_noise` is negative or not finite.
    """
    _check_curves(loss)
    check_bound(NOT_NEGATIVE, instance_noise=instance_noise)
    nodes, masses = np.polynomial.hermite_e.hermegauss(NUM_NODES)
    if instance_noise == 0:
        nodes, masses = np.zeros(1), np.ones(1)

    def game(*, generator, discriminator, batch, key):
        theta, psi = generator.params, discriminator.params
        noise = jnp.asarray(instance_noise * nodes, theta.dtype)

        def expected(values):
            return jnp.vdot(jnp.asarray(masses / masses.sum(), theta.dtype), values)

        real_logits, fake_logits = psi * noise, psi * (theta + noise)
        cost = expected(loss.real(real_logits)) + expected(loss.fake(fake_logits))
        if penalty is not None:
            real, fake = jnp.zeros((1, 1), theta.dtype), theta.reshape(1, 1)
            cost += jnp.mean(penalty(lambda x: psi * x[:, 0], real, fake, key))
        return Outcome(
            generator=PlayerOutcome(expected(loss.generator(fake_logits))),
            discriminator=PlayerOutcome(cost),
        )

    return game


def dirac_gan_eigenvalues(loss, *, r1: float = 0.0, instance_noise: float = 0.0) -> np.ndarray:
    """The eigenvalues of the vector field's Jacobian at (0, 0): d/2 ± √(d²/4 + f'(0) g'(0)).

    f and g are the curves `fake` and `generator`; the damping d is γ under R1 (or R2, the same
    here) with weight γ/2, and σ² (real''(0) + f''(0)) under instance noise. The paper's are those
    of -v, and so minus these. Play is locally stable where the real parts are positive and the
    steps small enough; where they are 0, linear analysis does not say.

    Mescheder, Geiger & Nowozin 2018, lemma 2.3 and section 4.

    Raises:
        ValueError: `loss` is not three curves, or a number is negative or not finite.
    """
    _check_curves(loss)
    check_bound(NOT_NEGATIVE, r1=r1, instance_noise=instance_noise)

    def second(curve):
        return jax.grad(jax.grad(curve))(0.0)

    damping = r1 + instance_noise**2 * float(second(loss.real) + second(loss.fake))
    product = float(jax.grad(loss.fake)(0.0) * jax.grad(loss.generator)(0.0))
    root = np.sqrt(complex(damping**2 / 4 + product))
    return np.array([damping / 2 - root, damping / 2 + root])


def _check_curves(loss) -> None:
    if not all(callable(getattr(loss, name, None)) for name in ("real", "fake", "generator")):
        said = getattr(loss, "__name__", type(loss).__name__)
        raise Refusal(
            f"loss is {said}; it must have the curves real, fake and generator, as what "
            "losses.non_saturating() returns has."
        )


def distance(state: GameState, equilibrium: Gradients) -> Scalar:
    """‖z - z*‖, over both players' params."""
    squares = jax.tree.map(
        lambda at, target: jnp.sum((at - target) ** 2),
        get_params(state),
        equilibrium,
    )
    return jnp.sqrt(jax.tree.reduce(jnp.add, squares))
