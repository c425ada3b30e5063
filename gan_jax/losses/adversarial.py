"""Adversarial losses: three element-wise curves on the critic's raw output a = D(x).

D minimises E_x real(D(x)) + E_z fake(D(G(z))), G minimises E_z generator(D(G(z))). A curve maps
logits of any shape to losses of the same shape; the caller takes the mean. So a critic that
returns a map of logits (PatchGAN) needs nothing else. With the probability σ(a),
-log σ(a) = softplus(-a) and -log(1 - σ(a)) = softplus(a), which is how every logarithm is computed.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import SHARE, check_bound
from gan_jax.losses.inputs import check_same_shape

Curve: TypeAlias = Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]
PairCurve: TypeAlias = Callable[
    [Float[Array, "*shape"], Float[Array, "*shape"]], Float[Array, "*shape"]
]


class AdversarialLoss(NamedTuple):
    """The curves that define a game; `loss._replace(generator=...)` makes another.

    >>> import jax.numpy as jnp
    >>> from gan_jax import losses
    >>> loss = losses.minimax()._replace(generator=losses.hinge().generator)
    >>> real, fake = jnp.array([2.0, 0.0]), jnp.array([-2.0, 0.0])  # logits of two examples each
    >>> cost = jnp.mean(loss.real(real)) + jnp.mean(loss.fake(fake))
    >>> print(f"{cost:.4f} {jnp.mean(loss.generator(fake)):.4f}")
    0.8201 1.0000
    """

    real: Curve
    fake: Curve
    generator: Curve


def minimax() -> AdversarialLoss:
    """Play the zero-sum game of the original paper.

    V(G, D) = E_x log σ(D(x)) + E_z log(1 - σ(D(G(z)))), D maximises and G minimises it.
    The generator's curve is -softplus(a): its slope -σ(a) vanishes where D rejects the fake.

    The tutorial (Goodfellow 2016, section 3.2) writes ½ before D's cost and before all three of
    G's, of which this is the first, `non_saturating` the second and `maximum_likelihood` the
    third. Here none has it: a learning rate of the tutorial's is halved to make the same move.

    Goodfellow et al. 2014, equation (1).
    """
    return AdversarialLoss(
        real=lambda logits: jax.nn.softplus(-logits),
        fake=jax.nn.softplus,
        generator=lambda logits: -jax.nn.softplus(logits),
    )


def non_saturating() -> AdversarialLoss:
    """Let G maximise E_z log σ(D(G(z))), so that its gradient is strong where D rejects the fake.

    D plays as in `minimax`; the game is no longer zero-sum. The generator's slope is -(1 - σ(a)).

    Goodfellow et al. 2014, section 3; Goodfellow 2016 (tutorial), section 3.2.3.
    """
    return minimax()._replace(generator=lambda logits: jax.nn.softplus(-logits))


def maximum_likelihood() -> AdversarialLoss:
    """Let G minimise -E_z exp(D(G(z))): maximum likelihood where D is optimal.

    D plays as in `minimax`. exp overflows, and the value is -inf, above a logit of 88 in float32.

    Goodfellow 2016 (tutorial), section 3.2.4.
    """
    return minimax()._replace(generator=lambda logits: -jnp.exp(logits))


def wasserstein() -> AdversarialLoss:
    """Let the critic maximise E_x D(x) - E_z D(G(z)), and G maximise E_z D(G(z)).

    The supremum over 1-Lipschitz critics is the Wasserstein-1 distance; the constraint itself
    (clipping, a gradient penalty) is added elsewhere.

    Arjovsky, Chintala & Bottou 2017, equations (2) and (3).
    """
    return AdversarialLoss(
        real=lambda logits: -logits,
        fake=lambda logits: logits,
        generator=lambda logits: -logits,
    )


def hinge() -> AdversarialLoss:
    """Let D minimise E_x max(0, 1 - D(x)) + E_z max(0, 1 + D(G(z))), and G minimise -E_z D(G(z)).

    Lim & Ye 2017; Miyato et al. 2018, equations (16) and (17).
    """
    return AdversarialLoss(
        real=lambda logits: jax.nn.relu(1 - logits),
        fake=lambda logits: jax.nn.relu(1 + logits),
        generator=lambda logits: -logits,
    )


def least_squares() -> AdversarialLoss:
    """Let D regress 1 on real and 0 on fake, and G pull its fakes to 1.

    D minimises ½ E_x (D(x) - 1)² + ½ E_z D(G(z))², G minimises ½ E_z (D(G(z)) - 1)².

    Mao et al. 2017, equation (9): the 0-1 coding a = 0, b = c = 1.
    """
    return AdversarialLoss(
        real=lambda logits: jnp.square(logits - 1) / 2,
        fake=lambda logits: jnp.square(logits) / 2,
        generator=lambda logits: jnp.square(logits - 1) / 2,
    )


def smooth_labels(
    loss: AdversarialLoss, *, real: float = 1.0, fake: float = 0.0
) -> AdversarialLoss:
    """Let D aim at the labels `real` and `fake` instead of 1 and 0; G plays as before.

    On real examples D minimises α real(a) + (1 - α) fake(a), on fakes β real(a) + (1 - β) fake(a),
    so that with cross-entropy σ(D*) = (α p + β q)/(p + q). One-sided smoothing, the advice of the
    paper, is `real=0.9` alone: with β > 0 fakes attract D where there are no data.

    Salimans et al. 2016, section 3.4.

    Raises:
        ValueError: a label outside [0, 1].
    """
    check_bound(SHARE, real=real, fake=fake)

    def towards(label: float) -> Curve:
        if label in (0, 1):  # where one curve overflows, 0 times it is no number
            return loss.real if label else loss.fake
        return lambda logits: label * loss.real(logits) + (1 - label) * loss.fake(logits)

    return loss._replace(real=towards(real), fake=towards(fake))


class RelativisticLoss(NamedTuple):
    """Losses of paired logits: (real, fake), of one shape, to one number per pair.

    D minimises E discriminator(D(x), D(G(z))), G minimises E generator(D(x), D(G(z))): unlike an
    `AdversarialLoss`, both depend on both, since realness is a matter of comparison. Both curves
    raise ValueError where the shapes differ.
    """

    discriminator: PairCurve
    generator: PairCurve


def relativistic(loss: AdversarialLoss) -> RelativisticLoss:
    """Compare each real example with its fake: D minimises E real(D(x) - D(G(z))), G the reverse.

    With `non_saturating()` (or `minimax()`, whose generator is not used) it is RSGAN:
    softplus(-(D(x) - D(G(z)))).

    Jolicoeur-Martineau 2019.
    """
    return _compared(lambda one, other: loss.real(one - other))


def relativistic_average(loss: AdversarialLoss) -> RelativisticLoss:
    """Compare each example with the mean of its opponents.

    D minimises E_x real(D(x) - E_z D(G(z))) + E_z fake(D(G(z)) - E_x D(x)); G the same with the
    roles of real and fake exchanged. The inner means are those of the batch, over all axes, so
    under `pmap` those of each device. With `non_saturating()` it is RaSGAN, with `least_squares()`
    RaLSGAN but for its labels, which are 1 and -1 in the paper.

    Jolicoeur-Martineau 2019.
    """

    def compare(one, other):
        return loss.real(one - jnp.mean(other)) + loss.fake(other - jnp.mean(one))

    return _compared(compare)


def _compared(compare: PairCurve) -> RelativisticLoss:
    """Let D play `compare(real, fake)` and G the reverse."""

    def discriminator(real, fake):
        check_same_shape(real=real, fake=fake)
        return compare(real, fake)

    def generator(real, fake):
        check_same_shape(real=real, fake=fake)
        return compare(fake, real)

    return RelativisticLoss(discriminator, generator)
