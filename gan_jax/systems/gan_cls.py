"""GAN-CLS and GAN-INT: a critic that also sees real examples under a wrong condition, and texts
between those of the data."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gan_jax.checks import SHARE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses import AdversarialLoss
from gan_jax.systems.checks import check_made
from gan_jax.systems.gan import GAN, OTHER_LOSSES, Round, Term, check_names
from gan_jax.systems.networks import first


def gan_cls(
    *,
    loss: AdversarialLoss,
    condition: str = "text",
    interpolation: float | None = None,
    generator_terms: Mapping[str, Term] = MappingProxyType({}),
    discriminator_terms: Mapping[str, Term] = MappingProxyType({}),
    **arguments: Any,
) -> GAN:
    """Let the critic reject what is real but goes with another condition, as it rejects fakes.

    L_D = mean real(D(x, t)) + ½ mean fake(D(x, t')) + ½ mean fake(D(G(z, t), t)),

    t the batch's `condition`, of any shape and type, and t' that of its neighbour, the example
    before. A neighbour with the same condition makes no wrong pair: it counts 0, and the fake of
    its place 1 instead of ½. So there is always as much to reject as to accept, without which the
    loss of a critic such as Wasserstein's could fall without end; and under one condition for all
    it is the GAN. Where all neighbours differ the best critic is σ(D) = p/(p + ½ p_wrong + ½ q).
    Conditions that differ in one number differ: where "wrong" is to mean another class, condition
    on the class, or see to it in the batch. Under `pmap` neighbours are those of one device.

    L_G is the GAN's, plus what `interpolated` adds where `interpolation`, its β, is a number. The
    metrics are `wrong` and `fake`, the two last terms of L_D, and `interpolation`. Other arguments
    and terms are those of `GAN`.

    Reed et al. 2016, Algorithm 1 (GAN-CLS) and equation (5) (GAN-INT). The authors' code has a
    wrong image, of another class, in place of the wrong text: the pairs are the same.

    >>> from gan_jax import losses, nets
    >>> from gan_jax.systems import gan_cls, networks
    >>> system = gan_cls(
    ...     generator=nets.TextToImageGenerator(32, 3), latents=networks.normal(100),
    ...     discriminator=nets.TextToImageDiscriminator(), loss=losses.non_saturating(),
    ...     interpolation=0.5)
    >>> system.conditions, [*system.discriminator_terms, *system.generator_terms]
    (('text',), ['wrong', 'fake', 'interpolation'])

    Raises:
        ValueError: `interpolation` is not in [0, 1], a further term is called as one of these, or
            as `GAN` and `interpolated`.
    """
    check_made(AdversarialLoss, "losses.non_saturating()", OTHER_LOSSES, loss=loss)
    check_names("generator", generator_terms, ("interpolation",))
    check_names("discriminator", discriminator_terms, ("wrong", "fake"))
    between = {} if interpolation is None else {"interpolation": interpolated(loss, interpolation)}

    def wrong(r: Round) -> Array:
        (right,) = r.conditions
        other = neighbours(right)
        judged = loss.fake(r.judge(r.real, other))
        return per_example(differ(right, other), judged) * judged / 2

    def fake(r: Round) -> Array:
        (right,) = r.conditions
        judged = loss.fake(r.fake_logits)
        return (1 - per_example(differ(right, neighbours(right)), judged) / 2) * judged

    return GAN(
        loss=loss._replace(fake=jnp.zeros_like),  # which its term judges
        conditions=(condition,),
        generator_terms={**between, **generator_terms},
        discriminator_terms={"wrong": wrong, "fake": fake, **discriminator_terms},
        **arguments,
    )


def interpolated(loss: AdversarialLoss, beta: float = 0.5) -> Term:
    """Let the generator answer for conditions between those of the data, too.

    mean generator(D(G(z, m), m)), m = β t + (1 - β) t', with latents of its own, and t' the
    condition of the neighbour, the example before. For β = 1 it is the generator's own loss once
    more, for β = 0 that of the neighbours' conditions: the same in the mean. A term of any `GAN`
    whose conditions are floating-point numbers; with its critic, and not that of `gan_cls`, it is
    GAN-INT. The paper has β = ½ and weight 1, as here; the authors' code takes for it half as many
    examples as the batch has.

    Reed et al. 2016, equation (5).

    Raises:
        ValueError: β is not in [0, 1], or what is given is no loss; on the first batch, a condition
            is no floating-point number.
    """
    check_made(AdversarialLoss, "losses.non_saturating()", OTHER_LOSSES, loss=loss)
    check_bound(SHARE, interpolation=beta)

    def between(condition: Array) -> Array:
        if not jnp.issubdtype(condition.dtype, jnp.floating):
            raise Refusal(
                f"A condition is {condition.dtype}, and nothing lies between two of its values: "
                "interpolate embeddings, or take no interpolation."
            )
        return beta * condition + (1 - beta) * neighbours(condition)

    def term(r: Round) -> Array:
        mixed = [between(condition) for condition in r.conditions]
        return loss.generator(r.judge(first(r.generate(r.key, *mixed)), *mixed))

    return term


def neighbours(condition: Array) -> Array:
    """The condition of the example before; before the first is the last."""
    return jnp.roll(condition, 1, axis=0)


def differ(right: Array, other: Array) -> Bool[Array, " num"]:
    """Whether two conditions are not the same, for each example."""
    return jnp.any((right != other).reshape(len(right), -1), axis=1)


def per_example(values: Array, logits: Array) -> Float[Array, "num *ones"]:
    """One number for each example, to be multiplied with its logit or its map of logits."""
    return values.astype(logits.dtype).reshape(-1, *(1,) * (logits.ndim - 1))
