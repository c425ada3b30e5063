"""f-divergences, their Fenchel conjugates, and the adversarial losses that they give.

D_f(P‖Q) = ∫ q f(p/q) with f convex. Its conjugate f*(t) = sup_u (u t - f(u)) gives the bound
D_f(P‖Q) ≥ E_P[T] - E_Q[f*(T)], tight at T* = f'(p/q). A critic's raw output v becomes
T = g_f(v), with an activation g_f onto the domain of f*. The rows are those of Nowozin, Cseke &
Tomioka 2016, tables 1, 2 and 5 (the order of the table's integrals for the two χ² rows is not
followed: f decides).
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Array, Float

from gan_jax.checks import FINITE, INSIDE_SHARE, NOT_NEGATIVE, check_bound, check_choice
from gan_jax.errors import Refusal
from gan_jax.losses.adversarial import AdversarialLoss, Curve, minimax
from gan_jax.losses.inputs import check_same_shape, check_values, nan_outside

LOG_2 = math.log(2)


class FDivergence(NamedTuple):
    """The curves of a divergence, element-wise.

    f on u ≥ 0, `derivative` f', `conjugate` f* on its domain, `activation` g_f. `composed` is
    v ↦ f*(g_f(v)) where computing one after the other would overflow or cancel; None: they are
    composed.
    """

    f: Curve
    derivative: Curve
    conjugate: Curve
    activation: Curve
    composed: Curve | None = None

    def conjugate_of_activation(self, output: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """f*(g_f(v)), stably."""
        if self.composed is None:
            return self.conjugate(self.activation(output))
        return self.composed(output)


def f_gan(
    divergence: FDivergence, *, generator: Literal["minimax", "heuristic"] = "minimax"
) -> AdversarialLoss:
    """Play the variational bound of a divergence.

    F(θ, ω) = E_P[g_f(V_ω)] - E_Qθ[f*(g_f(V_ω))]; the critic ω maximises it. The generator θ
    minimises it ("minimax"), or maximises E_Qθ[g_f(V_ω)] ("heuristic"), which keeps its gradient
    where the critic rejects the fakes.

    >>> import jax.numpy as jnp
    >>> from gan_jax import losses
    >>> kl, p, q = losses.fdivergence.kl(), jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75])
    >>> loss, best = losses.f_gan(kl), kl.derivative(p / q)
    >>> bound = -jnp.sum(p * loss.real(best)) - jnp.sum(q * loss.fake(best))
    >>> print(f"{bound:.4f} {losses.divergence_between(kl, p, q):.4f}")
    0.1438 0.1438

    Nowozin, Cseke & Tomioka 2016, sections 2.2, 2.4 and 3.2.

    Raises:
        ValueError: `generator` is neither.
    """
    check_choice(("minimax", "heuristic"), generator=generator)

    def minus_activation(output):
        return -divergence.activation(output)

    return AdversarialLoss(
        real=minus_activation,
        fake=divergence.conjugate_of_activation,
        generator=minus_activation
        if generator == "heuristic"
        else lambda output: -divergence.conjugate_of_activation(output),
    )


def divergence_between(
    divergence: FDivergence, p: Float[Array, "*batch outcomes"], q: Float[Array, "*batch outcomes"]
) -> Float[Array, "*batch"]:
    """D_f(P‖Q) = Σ_i q_i f(p_i / q_i), exactly, for probabilities on the last axis.

    Where q_i = 0 the term is p_i lim f(u)/u = p_i f'(∞), and 0 where both are 0. It may be +inf,
    also where f(p/q) is too large a number: (p/q)² overflows float32 from p/q = 2e19 on. It is nan
    where what is traced is no probability.

    Raises:
        ValueError: a probability is negative or not finite, or the shapes differ.
    """
    check_same_shape(p=p, q=q)
    check_values(NOT_NEGATIVE, p=p, q=q)
    inside = q > 0
    terms = q * divergence.f(jnp.where(inside, p / jnp.where(inside, q, 1), 1))
    # An infinite slope must not meet a factor of 0, nor its gradient.
    nothing = inside | (p <= 0)
    slope = jnp.where(nothing, 1, divergence.derivative(jnp.full_like(p, jnp.inf)))
    outside = jnp.where(nothing, 0, p) * slope
    total = jnp.sum(jnp.where(inside, terms, outside), axis=-1)
    return nan_outside(NOT_NEGATIVE, nan_outside(NOT_NEGATIVE, total, p), q)


def threshold(divergence: FDivergence) -> Float[Array, ""]:
    """f'(1): the critic takes x for real where T(x) > f'(1), that is where p(x) > q(x).

    Nowozin, Cseke & Tomioka 2016, section 2.
    """
    return divergence.derivative(jnp.ones(()))


def density_ratio(
    divergence: FDivergence, output: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """p/q as a critic knows it: the u with f'(u) = g_f(v), for its raw output v.

    By duality u = (f*)'(g_f(v)) = (f*∘g_f)'(v) / g_f'(v), in float32 for |v| up to 87. The answer
    means nothing for `total_variation`, whose critic knows the sign of p - q alone.
    """
    return _slope(divergence.conjugate_of_activation, output) / _slope(
        divergence.activation, output
    )


def logistic_density_ratio(
    logits: Float[Array, "*shape"], *, real_fraction: float = 0.5
) -> Float[Array, "*shape"]:
    """p/q from the logits a of a logistic discriminator: p/q = e^a (1 - π) / π.

    π is the fraction of real examples among those that it was trained on.

    Goodfellow et al. 2014, proposition 1.

    Raises:
        ValueError: `real_fraction` is not strictly between 0 and 1.
    """
    check_bound(INSIDE_SHARE, real_fraction=real_fraction)
    return jnp.exp(logits) * (1 - real_fraction) / real_fraction


def jensen_shannon_bound(
    real_logits: Float[Array, "*real"], fake_logits: Float[Array, "*fake"]
) -> Float[Array, ""]:
    """log 2 - ½ (E_p softplus(-a) + E_q softplus(a)) ≤ JS(p‖q), from a discriminator's logits a.

    In nats, at most log 2, and JS itself where a = log p/q, as the best discriminator has it. The
    parentheses are its loss in `minimax` and `non_saturating`; theirs alone.

    Goodfellow et al. 2014, theorem 1; Arjovsky, Chintala & Bottou 2017, figure 4.
    """
    loss = minimax()
    cost = jnp.mean(loss.real(real_logits)) + jnp.mean(loss.fake(fake_logits))
    return LOG_2 - cost / 2


def total_variation() -> FDivergence:
    """½ ∫ |p - q|: f = ½|u - 1|, f* = t on [-½, ½], g_f = ½ tanh v."""
    return FDivergence(
        f=lambda u: jnp.abs(u - 1) / 2,
        derivative=lambda u: jnp.sign(u - 1) / 2,
        conjugate=lambda t: t,
        activation=lambda v: jnp.tanh(v) / 2,
    )


def kl() -> FDivergence:
    """∫ p log(p/q): f = u log u, f* = e^(t-1), g_f = v. f* overflows to +inf above t = 89."""
    return FDivergence(
        f=lambda u: xlogy(u, u),
        derivative=lambda u: 1 + jnp.log(u),
        conjugate=lambda t: jnp.exp(t - 1),
        activation=lambda v: v,
    )


def reverse_kl() -> FDivergence:
    """∫ q log(q/p): f = -log u, f* = -1 - log(-t) for t < 0, g_f = -e^(-v).

    f*∘g_f = v - 1. g_f overflows to -inf below v = -88.
    """
    return FDivergence(
        f=lambda u: -jnp.log(u),
        derivative=lambda u: -1 / u,
        conjugate=lambda t: -1 - jnp.log(-t),
        activation=lambda v: -jnp.exp(-v),
        composed=lambda v: v - 1,
    )


def pearson_chi2() -> FDivergence:
    """∫ (p - q)²/q: f = (u - 1)², f* = t²/4 + t, g_f = v.

    Below t = -2, which no T* reaches, the supremum over u ≥ 0 is -1; there the paper's form, kept
    here, is the looser bound, and a critic that strays is still pulled back.
    """
    return FDivergence(
        f=lambda u: jnp.square(u - 1),
        derivative=lambda u: 2 * (u - 1),
        conjugate=lambda t: jnp.square(t) / 4 + t,
        activation=lambda v: v,
    )


def neyman_chi2() -> FDivergence:
    """∫ (q - p)²/p: f = (1 - u)²/u, f* = 2 - 2√(1 - t) for t < 1, g_f = 1 - e^(-v).

    f*∘g_f = 2 - 2e^(-v/2). Below v = -88 g_f overflows, below -176 both do.
    """
    return FDivergence(
        f=lambda u: jnp.square(1 - u) / u,
        derivative=lambda u: 1 - 1 / jnp.square(u),
        conjugate=lambda t: 2 - 2 * jnp.sqrt(1 - t),
        activation=lambda v: -_expm1(-v),
        composed=lambda v: -2 * _expm1(-v / 2),
    )


def squared_hellinger() -> FDivergence:
    """∫ (√p - √q)²: f = (√u - 1)², f* = t/(1 - t) for t < 1, g_f = 1 - e^(-v).

    f*∘g_f = e^v - 1. It overflows above v = 88, and g_f below -88.
    """
    return FDivergence(
        f=lambda u: jnp.square(jnp.sqrt(u) - 1),
        derivative=lambda u: 1 - 1 / jnp.sqrt(u),
        conjugate=lambda t: jnp.where(t >= 1, jnp.inf, t / (1 - t)),
        activation=lambda v: -_expm1(-v),
        composed=_expm1,
    )


def jeffrey() -> FDivergence:
    """∫ (p - q) log(p/q) = KL + reverse KL: f = (u - 1) log u, g_f = v.

    f* = W(e^(1-t)) + 1/W(e^(1-t)) + t - 2 with Lambert's W = 1/u at the u of f'(u) = t, so that
    f* = u + log u - 1. It overflows above t = 89.
    """
    return FDivergence(
        f=lambda u: (u - 1) * jnp.log(u),
        derivative=lambda u: 1 - 1 / u + jnp.log(u),
        conjugate=_jeffrey_conjugate,
        activation=lambda v: v,
    )


def jensen_shannon() -> FDivergence:
    """Twice the Jensen-Shannon divergence: f = u log u - (u + 1) log((u + 1)/2).

    f* = -log(2 - e^t) for t < log 2, g_f = log 2 - softplus(-v), f*∘g_f = softplus(v) - log 2. The
    paper calls this row Jensen-Shannon, and its published values lack the ½ too:
    ∫ p log(2p/(p+q)) + q log(2q/(p+q)).
    """
    return FDivergence(
        f=lambda u: xlogy(u, u) - (u + 1) * jnp.log((u + 1) / 2),
        derivative=lambda u: LOG_2 - jnp.log1p(1 / u),
        conjugate=lambda t: -jnp.log1p(-jnp.expm1(t)),
        activation=lambda v: LOG_2 - jax.nn.softplus(-v),
        composed=lambda v: jax.nn.softplus(v) - LOG_2,
    )


def weighted_jensen_shannon(weight: float) -> FDivergence:
    """π KL(p‖m) + (1 - π) KL(q‖m) with m = π p + (1 - π) q, for π = `weight` in (0, 1).

    f = π u log u - (1 - π + π u) log(1 - π + π u), g_f = -π log π - softplus(-v),
    f* = (1 - π) log((1 - π)/(1 - π e^(t/π))) for t < -π log π.

    Raises:
        ValueError: `weight` is not strictly between 0 and 1.
    """
    check_bound(INSIDE_SHARE, weight=weight)
    pi, log_pi, log_rest = weight, math.log(weight), math.log1p(-weight)

    def f(u):
        mixed = 1 - pi + pi * u
        return pi * xlogy(u, u) - xlogy(mixed, mixed)

    return FDivergence(
        f=f,
        derivative=lambda u: -pi * jnp.log((1 - pi) / u + pi),
        conjugate=lambda t: (1 - pi) * (log_rest - jnp.log1p(-pi * jnp.exp(t / pi))),
        activation=lambda v: -pi * log_pi - jax.nn.softplus(-v),
        composed=lambda v: (1 - pi) * (log_rest - _log1mexp_softplus(v, 1 / pi)),
    )


def gan() -> FDivergence:
    """2 JS - log 4, the game of the first paper: f = u log u - (u + 1) log(u + 1).

    f* = -log(1 - e^t) for t < 0, g_f = -softplus(-v) = log σ(v), f*∘g_f = softplus(v), so that
    `f_gan(gan())` is `minimax()`. Not 0 but -log 4 at p = q, for f(1) = -log 4.
    """
    return FDivergence(
        f=lambda u: xlogy(u, u) - (u + 1) * jnp.log1p(u),
        derivative=lambda u: -jnp.log1p(1 / u),
        conjugate=lambda t: -jnp.log(-jnp.expm1(t)),
        activation=lambda v: -jax.nn.softplus(-v),
        composed=jax.nn.softplus,
    )


def alpha(alpha: float | int) -> FDivergence:
    """(1/(α(α-1))) ∫ (p^α q^(1-α) - q - α(p - q)): f = (u^α - 1 - α(u - 1))/(α(α - 1)).

    f* = ((1 + (α-1)t)^(α/(α-1)) - 1)/α, and -1/α where the base would be negative (α > 1). g_f = v
    for α > 1 and 1/(1-α) - softplus(-v) for α < 1. α = 2 is half of Pearson's χ², α = -1 half of
    Neyman's, α = ½ twice the squared Hellinger. For 0 < α < 1, f*∘g_f overflows above
    v = 88(1-α)/α; for α > 1 where (α-1)v to the power α/(α-1) does.

    Raises:
        ValueError: α is not finite, or 0 or 1, whose limits are `reverse_kl` and `kl`.
    """
    check_bound(FINITE, alpha=alpha)
    if alpha in (0, 1):
        limit = "reverse_kl()" if alpha == 0 else "kl()"
        raise Refusal(f"alpha is {alpha}; that limit is {limit}.")
    power = alpha / (alpha - 1)

    def conjugate(t):
        base = 1 + (alpha - 1) * t
        outside = base <= 0
        raised = jnp.where(outside, 1, base) ** power
        return jnp.where(outside, -1 / alpha if alpha > 1 else jnp.inf, (raised - 1) / alpha)

    def composed(v):
        log_base = math.log1p(-alpha) + _log_softplus(-v)
        return _expm1(power * log_base) / alpha

    below = alpha < 1
    return FDivergence(
        f=lambda u: (u**alpha - 1 - alpha * (u - 1)) / (alpha * (alpha - 1)),
        derivative=lambda u: (u ** (alpha - 1) - 1) / (alpha - 1),
        conjugate=conjugate,
        activation=(lambda v: 1 / (1 - alpha) - jax.nn.softplus(-v)) if below else lambda v: v,
        composed=composed if below else None,
    )


def _slope(curve: Curve, x: Array) -> Array:
    return jax.jvp(curve, (x,), (jnp.ones_like(x),))[1]


@jax.custom_jvp
def _expm1(x) -> Array:
    """e^x - 1, with the derivative e^x where JAX has (e^x - 1) + 1, which is 0 below -17."""
    return jnp.expm1(x)


@_expm1.defjvp
def _(primals, tangents):
    return _expm1(*primals), jnp.exp(primals[0]) * tangents[0]


def _log_softplus(x: Array) -> Array:
    """log log(1 + e^x), which is x where e^x would be lost."""
    lost = x < -40
    return jnp.where(lost, x, jnp.log(jax.nn.softplus(jnp.where(lost, 0, x))))


def _log1mexp_softplus(v: Array, scale: float) -> Array:
    """log(1 - exp(-c softplus(-v))), which is log c - v where softplus(-v) would be lost."""
    lost = v > 40
    x = scale * jax.nn.softplus(-jnp.where(lost, 0, v))
    return jnp.where(lost, math.log(scale) - v, jnp.log(-_expm1(-x)))


@jax.custom_jvp
def _jeffrey_log_ratio(t) -> Array:
    """The z = log u that solves f'(u) = 1 - e^(-z) + z = t, by Newton's method.

    The function is concave, so the steps approach from below after the first; seven reach
    float64's precision from these starts.
    """
    below = -jnp.log1p(-jnp.minimum(t, 0))
    z = jnp.where(t < 0, below, jnp.where(t > 2, t - 1, t / 2))
    for _ in range(7):
        z = z - (1 - jnp.exp(-z) + z - t) * jax.nn.sigmoid(z)
    return z


@_jeffrey_log_ratio.defjvp
def _(primals, tangents):
    z = _jeffrey_log_ratio(*primals)
    return z, jax.nn.sigmoid(z) * tangents[0]


@jax.custom_jvp
def _jeffrey_conjugate(t) -> Array:
    z = _jeffrey_log_ratio(t)
    return jnp.exp(z) + z - 1


@_jeffrey_conjugate.defjvp
def _(primals, tangents):
    return _jeffrey_conjugate(*primals), jnp.exp(_jeffrey_log_ratio(*primals)) * tangents[0]
