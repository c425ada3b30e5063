"""The dynamics of a game near a point, and along a run."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Complex, Float, Inexact

from gan_jax.checks import AT_LEAST_0, check_bound, check_choice
from gan_jax.errors import Refusal
from gan_jax.games.core import Game, GameState, Gradients, field_at, get_params
from gan_jax.typing import Batch, KeyArray, Metrics, Step


def game_jacobian(
    key: KeyArray, state: GameState, batch: Batch, *, game: Game
) -> Float[Array, "params params"]:
    """The Jacobian H = ∂v/∂z of the `vector_field`, dense: for games of few params.

    Both players' params are raveled into z, the generator's first:
    H = [[∇²_θθ L_G, ∇²_θψ L_G], [∇²_ψθ L_D, ∇²_ψψ L_D]].

    Mescheder, Nowozin & Geiger 2017, equation (4) (theirs is -H).
    """
    point, unravel = ravel_pytree(get_params(state))
    return jax.jacfwd(_flat_field(key, state, batch, game, unravel))(point)


def jacobian_vector_product(
    key: KeyArray, state: GameState, batch: Batch, vector: Gradients, *, game: Game
) -> Gradients:
    """H u for a direction u of both players' params, at the price of a few vector fields."""
    field = field_at(key, state, batch, game=game)
    return jax.jvp(field, (get_params(state),), (vector,), has_aux=True)[1]


def vector_jacobian_product(
    key: KeyArray, state: GameState, batch: Batch, vector: Gradients, *, game: Game
) -> Gradients:
    """Hᵀ u for a direction u of both players' params, at the price of a few vector fields."""
    field = field_at(key, state, batch, game=game)
    return jax.vjp(field, get_params(state), has_aux=True)[1](vector)[0]


def potential_part(jacobian: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """S = (H + Hᵀ)/2: what of the game is descent on one function."""
    return (jacobian + jacobian.T) / 2


def hamiltonian_part(jacobian: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """A = (H - Hᵀ)/2: what of the game is rotation. H = S + A, Balduzzi et al. 2018, lemma 1."""
    return (jacobian - jacobian.T) / 2


def rotation_share(jacobian: Float[Array, "n n"]) -> Float[Array, ""]:
    """‖A‖² / (‖S‖² + ‖A‖²) in Frobenius norms: 0 in a potential game, 1 in a Hamiltonian one."""
    rotation = jnp.sum(hamiltonian_part(jacobian) ** 2)
    return rotation / (rotation + jnp.sum(potential_part(jacobian) ** 2))


def eigenvalues(matrix: Inexact[Any, "n n"]) -> Complex[np.ndarray, " n"]:
    """All eigenvalues of a dense matrix, the largest modulus first. Computed on the host."""
    values = np.linalg.eigvals(np.asarray(matrix)).astype(complex)
    return values[np.argsort(-np.abs(values), kind="stable")]


def leading_eigenvalues(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    num: int = 10,
    which: str = "LM",
) -> Complex[np.ndarray, " num"]:
    """Some eigenvalues of the game's Jacobian, from products alone: for networks.

    `which` asks for those of the largest modulus ("LM"), of the largest or smallest real part
    ("LR", "SR") or of the largest imaginary part ("LI"). By SciPy's ARPACK (implicitly restarted
    Arnoldi), on the host, the products compiled.

    Raises:
        scipy.sparse.linalg.ArpackNoConvergence: fewer than `num` were found.
        ValueError: `which` is unknown, or `num` is not below the number of params by two or more.
    """
    check_choice(("LM", "LR", "SR", "LI"), which=which)
    point, unravel = ravel_pytree(get_params(state))
    if not 1 <= num < point.size - 1:
        raise Refusal(
            f"num is {num}, with {point.size} params; it must be between 1 and {point.size - 2}: "
            "for all eigenvalues take eigenvalues(game_jacobian(...))."
        )
    field = _flat_field(key, state, batch, game, unravel)
    product = jax.jit(lambda u: jax.jvp(field, (point,), (u,))[1])
    operator = scipy.sparse.linalg.LinearOperator(
        dtype=point.dtype,
        shape=(point.size, point.size),
        matvec=lambda u: np.asarray(product(jnp.asarray(np.ravel(u)))),  # pyright: ignore
    )
    start = np.random.default_rng(0).normal(size=point.size).astype(point.dtype)
    values = scipy.sparse.linalg.eigs(
        operator, k=num, which=which, v0=start, return_eigenvectors=False
    )
    return np.asarray(values[np.argsort(-np.abs(values), kind="stable")], complex)


def step_jacobian(
    key: KeyArray, state: GameState, batch: Batch, *, step: Step
) -> Float[Array, "numbers numbers"]:
    """The Jacobian of a whole step, by differentiating the step itself.

    Of all floating-point numbers in the state: both players' params, their optimisers' moments,
    and what the method remembers; what is not floating-point stays fixed. At an equilibrium its
    spectral radius says whether play converges there. A method that starts specially (optimism has
    no past gradient) is to be asked about a state that has made a step.
    """
    leaves, structure = jax.tree.flatten(state)
    floating = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
    start, unravel = ravel_pytree(_where(leaves, floating))

    def moved(numbers):
        inner = iter(unravel(numbers))
        at = [next(inner) if f else leaf for leaf, f in zip(leaves, floating, strict=True)]
        after, _ = step(key, jax.tree.unflatten(structure, at), batch)
        return ravel_pytree(_where(jax.tree.leaves(after), floating))[0]

    return jax.jacfwd(moved)(start)


def spectral_radius(key: KeyArray, state: GameState, batch: Batch, *, step: Step) -> float:
    """The largest modulus among the eigenvalues of `step_jacobian`: below 1, play converges."""
    return float(np.abs(eigenvalues(step_jacobian(key, state, batch, step=step))[0]))


def trajectory(
    key: KeyArray, state: GameState, batches: Batch, *, step: Step, num_steps: int
) -> tuple[GameState, Gradients, Metrics]:
    """A whole run as one `scan`: where it ends, the points on its way, and its metrics.

    The path's leaves have a leading axis of `num_steps` + 1 points, the start first; the metrics'
    of `num_steps`. So have the leaves of `batches`, which may be an empty dict. Step t takes
    fold_in(key, t), as in training. It is a pure function: `vmap` it over keys (seeds), states
    (starting points), or step sizes that `step` is built from.

    Raises:
        ValueError: `num_steps` is negative.
    """
    check_bound(AT_LEAST_0, num_steps=num_steps)

    def play(state, batch):
        state, metrics = step(jax.random.fold_in(key, state.step), state, batch)
        return state, (get_params(state), metrics)

    end, (path, metrics) = jax.lax.scan(play, state, batches, length=num_steps)
    path = jax.tree.map(
        lambda start, rest: jnp.concatenate([start[None], rest]), get_params(state), path
    )
    return end, path, metrics


def phase_portrait(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    generator: Float[Array, " columns"],
    discriminator: Float[Array, " rows"],
) -> Gradients:
    """Where descent flows: -v over a grid of two players that hold one number each.

    Leaves are (rows, columns), a row for each value of the discriminator's param.

    Raises:
        ValueError: a player holds more than one number.
    """
    point, unravel = ravel_pytree(get_params(state))
    if point.size != 2:
        raise Refusal(f"The players hold {point.size} numbers; a plane has room for one each.")
    field = _flat_field(key, state, batch, game, unravel)
    grid = jnp.stack(jnp.meshgrid(generator, discriminator), axis=-1).astype(point.dtype)
    flow = -jax.vmap(jax.vmap(field))(grid)
    return Gradients(generator=flow[..., 0], discriminator=flow[..., 1])


def _flat_field(key, state, batch, game, unravel):
    field = field_at(key, state, batch, game=game)
    return lambda point: ravel_pytree(field(unravel(point))[0])[0]


def _where(leaves: list, chosen: list[bool]) -> list:
    return [leaf for leaf, taken in zip(leaves, chosen, strict=True) if taken]


class SpectrumExtent(NamedTuple):
    """How far a spectrum reaches: left is -min Re λ, right max Re λ, height max |Im λ|.

    angle: the largest |Im λ| / |λ| of the eigenvalues above a thousandth of the largest modulus; 1
    is a pure rotation.
    """

    left: float
    right: float
    height: float
    angle: float


def spectrum_extent(values: Complex[np.ndarray, " num"]) -> SpectrumExtent:
    """Measure a spectrum: of a game's field, what lies left of the imaginary axis repels."""
    large = values[np.abs(values) > 1e-3 * np.abs(values).max()]
    return SpectrumExtent(
        left=float(-np.real(values).min()),
        right=float(np.real(values).max()),
        height=float(np.abs(np.imag(values)).max()),
        angle=float(np.max(np.abs(np.imag(large)) / np.abs(large))),
    )


def growth_factor(distances: Float[Any, " steps"], *, round_off: float = 1e-30) -> float:
    """The factor per step of a run to or from its equilibrium, from its distances on the way.

    That of the line through the logarithms over the second half of the run, without what is not
    above `round_off`.
    """
    distances = np.asarray(distances, float)
    logarithms = np.log(distances[distances > round_off])
    half = len(logarithms) // 2
    return float(np.exp(np.polyfit(np.arange(half, len(logarithms)), logarithms[half:], 1)[0]))
