"""pix2pix: a GAN whose generator is told all but what the answer leaves open, and is near it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import NOT_NEGATIVE, check_bound
from gan_jax.losses import AdversarialLoss
from gan_jax.losses.adversarial import Curve
from gan_jax.systems.checks import check_made
from gan_jax.systems.gan import GAN, OTHER_LOSSES, Round, Term, check_names


def pix2pix(
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    loss: AdversarialLoss,
    weight: float = 100.0,
    field: str = "target",
    condition: str = "condition",
    generator_terms: Mapping[str, Term] = MappingProxyType({}),
    **arguments: Any,
) -> GAN:
    """Let the generator make of each condition x what goes with it, y.

    G* = arg min_G max_D L_cGAN(G, D) + λ L_L1(G), L_L1 = E ‖y - G(x, z)‖₁,

    with λ the `weight`, the norm a mean over an image's numbers (as in the authors' code, whose λ
    is 100), and the discriminator's objective halved, which slows it down relative to the
    generator. There are no latents: z is the dropout inside the generator. The term is the metric
    `l1`, weight included. The critic is called with the condition beside the image;
    `nets.Unconditional` makes one that does not look at it, the paper's comparison.

    Isola, Zhu, Zhou & Efros 2017, equations (1), (3) and (4), and section 3.3.

    >>> import jax
    >>> from gan_jax import losses, nets
    >>> from gan_jax.systems import pix2pix
    >>> system = pix2pix(
    ...     generator=nets.UNet(1, width=4), discriminator=nets.PatchDiscriminator(1, width=4),
    ...     loss=losses.non_saturating())
    >>> system.field, system.conditions, system.latents
    ('target', ('condition',), None)

    Raises:
        ValueError: `weight` is negative, a further term is called `l1`, or as `GAN`.
    """
    check_bound(NOT_NEGATIVE, weight=weight)
    check_made(AdversarialLoss, "losses.non_saturating()", OTHER_LOSSES, loss=loss)
    check_names("generator", generator_terms, ("l1",))

    def l1(r: Round) -> Float[Array, " num"]:
        return weight * distance(r.batch[field], r.fake)

    return GAN(
        generator=generator,
        discriminator=discriminator,
        loss=halved_for_discriminator(loss),
        latents=None,
        field=field,
        conditions=(condition,),
        generator_terms={"l1": l1, **generator_terms},
        **arguments,
    )


def distance(a: Float[Array, "num *shape"], b: Float[Array, "num *shape"]) -> Float[Array, " num"]:
    """Mean absolute difference of the numbers of each pair of examples."""
    return jnp.mean(jnp.abs(a - b), axis=tuple(range(1, a.ndim)))


def halved_for_discriminator(loss: AdversarialLoss) -> AdversarialLoss:
    """Halve what the discriminator minimises, which slows it down relative to the generator."""

    def halved(curve: Curve) -> Curve:
        return lambda logits: curve(logits) / 2

    return loss._replace(real=halved(loss.real), fake=halved(loss.fake))
