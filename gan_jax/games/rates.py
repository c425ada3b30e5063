"""The exact eigenvalues of one step of each method on the bilinear game min_x max_y xᵀ M y.

Every function takes the learning rate α of plain gradient descent and the singular values of M, and
returns all eigenvalues of the linear map that one step is (of z, or of z and what the method
remembers). Where M is not square, give a 0 for each singular value that is missing. For σ the
substitution is α ↦ ασ, and γ ↦ γσ or η ↦ ησ for a weight or an inner learning rate; the formulas
below are for σ = 1. `radius` is the factor by which a run grows or shrinks per step in the long
run.
"""

import numpy as np
from jaxtyping import ArrayLike

Eigenvalues = np.ndarray


def radius(eigenvalues: Eigenvalues) -> float:
    """The largest modulus."""
    return float(np.max(np.abs(eigenvalues)))


def simultaneous(learning_rate: float, singular_values: ArrayLike = 1.0) -> Eigenvalues:
    """1 ± iα, of modulus √(1 + α²): diverges. Gidel et al. 2019 (AISTATS), section 3."""
    alpha = learning_rate * np.ravel(singular_values)
    return _conjugates(1 + 1j * alpha)


def alternating(learning_rate: float, singular_values: ArrayLike = 1.0) -> Eigenvalues:
    """λ² - (2 - α²) λ + 1 = 0, of modulus 1 while α ≤ 2: goes round and round."""
    alpha = learning_rate * np.ravel(singular_values)
    return _roots([[1, a**2 - 2, 1] for a in alpha])


def extragradient(learning_rate: float, singular_values: ArrayLike = 1.0) -> Eigenvalues:
    """1 - α² ± iα, of modulus √(1 - α² + α⁴): converges while α < 1, fastest at 1/√2."""
    alpha = learning_rate * np.ravel(singular_values)
    return _conjugates(1 - alpha**2 + 1j * alpha)


def optimistic(learning_rate: float, singular_values: ArrayLike = 1.0) -> Eigenvalues:
    """λ² - (1 - 2iα) λ - iα = 0 and its conjugate: converges while α < 1/√3.

    Optimistic gradient descent, and extrapolation from the past. Daskalakis et al. 2018.
    """
    alpha = learning_rate * np.ravel(singular_values)
    return _conjugates(_roots([[1, 2j * a - 1, -1j * a] for a in alpha]))


def competitive(learning_rate: float, singular_values: ArrayLike = 1.0) -> Eigenvalues:
    """(1 ± iα) / (1 + α²), of modulus 1/√(1 + α²): converges always.

    Competitive gradient descent, and here the proximal point method. Schäfer & Anandkumar 2019.
    """
    alpha = learning_rate * np.ravel(singular_values)
    return _conjugates((1 + 1j * alpha) / (1 + alpha**2))


def consensus(learning_rate: float, weight: float, singular_values: ArrayLike = 1.0) -> Eigenvalues:
    """1 - αγ ± iα: converges while α < 2γ/(1 + γ²). Here the same as symplectic adjustment.

    Mescheder, Nowozin & Geiger 2017; Balduzzi et al. 2018.
    """
    sigma = np.ravel(singular_values)
    alpha, gamma = learning_rate * sigma, weight * sigma
    return _conjugates(1 - alpha * gamma + 1j * alpha)


def simultaneous_momentum(
    learning_rate: float, momentum: float, singular_values: ArrayLike = 1.0
) -> Eigenvalues:
    """λ² - (1 + β - iα) λ + β = 0 and its conjugate: diverges for every |β| < 1."""
    alpha = learning_rate * np.ravel(singular_values)
    return _conjugates(_roots([[1, 1j * a - 1 - momentum, momentum] for a in alpha]))


def alternating_momentum(
    learning_rate: float, momentum: float, singular_values: ArrayLike = 1.0
) -> Eigenvalues:
    """((λ - 1)(λ - β))² + α² λ³ = 0: for -1 < β < 0 it converges while α < 2 (1 + β).

    Gidel et al. 2019 (AISTATS), theorem 5.
    """
    alpha = learning_rate * np.ravel(singular_values)
    square = np.polymul(*2 * [np.poly([1, momentum])])
    return _roots([np.polyadd(square, [a**2, 0, 0, 0]) for a in alpha])


def unrolled(
    learning_rate: float,
    inner_learning_rate: float,
    num_unrolled_steps: int,
    singular_values: ArrayLike = 1.0,
) -> Eigenvalues:
    """Those of [[1 - 2Kαη, -α], [α, 1]], for K inner steps of learning rate η.

    The generator's gradient is y + 2Kηx. Metz et al. 2017.
    """
    sigma = np.ravel(singular_values)
    alpha, inner = learning_rate * sigma, num_unrolled_steps * inner_learning_rate * sigma
    steps = zip(alpha, inner, strict=True)
    return np.ravel([np.linalg.eigvals([[1 - 2 * a * k, -a], [a, 1]]) for a, k in steps])


def lookahead(eigenvalues: Eigenvalues, interval: int, rate: float) -> Eigenvalues:
    """1 - a + a λᵏ, per block of k steps that have the eigenvalues λ. Chavdarova et al. 2021.

    Nested lookahead, the outer one every n blocks, is `lookahead(lookahead(λ, k, a), n, b)`.
    """
    return 1 - rate + rate * np.asarray(eigenvalues) ** interval


def factors(
    learning_rate: float,
    singular_values: ArrayLike = 1.0,
    *,
    weight: float,
    momentum: float,
    num_unrolled_steps: int,
    interval: int,
    rate: float,
) -> dict[str, float]:
    """The factor by which a run of each method grows or shrinks per step in the long run.

    `weight` is that of consensus and symplectic adjustment, `momentum` that of both players in
    alternating play; an unrolled opponent moves at the same learning rate; lookahead, after every
    `interval` steps to `rate` of the way, is on simultaneous play.
    """
    of_steps = {
        "simultaneous": simultaneous(learning_rate, singular_values),
        "alternating": alternating(learning_rate, singular_values),
        "extragradient": extragradient(learning_rate, singular_values),
        "past_extragradient": optimistic(learning_rate, singular_values),
        "optimistic": optimistic(learning_rate, singular_values),
        "negative_momentum": alternating_momentum(learning_rate, momentum, singular_values),
        "consensus": consensus(learning_rate, weight, singular_values),
        "symplectic": consensus(learning_rate, weight, singular_values),
        "competitive": competitive(learning_rate, singular_values),
        "unrolled": unrolled(learning_rate, learning_rate, num_unrolled_steps, singular_values),
    }
    block = lookahead(of_steps["simultaneous"], interval, rate)
    by_method = {name: radius(eigenvalues) for name, eigenvalues in of_steps.items()}
    return by_method | {"lookahead": radius(block) ** (1 / interval)}


def _conjugates(values: np.ndarray) -> Eigenvalues:
    return np.concatenate([values, np.conj(values)])


def _roots(polynomials) -> Eigenvalues:
    return np.concatenate([np.roots(coefficients) for coefficients in polynomials])
