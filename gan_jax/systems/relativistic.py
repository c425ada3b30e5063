"""The relativistic GAN: the discriminator compares real examples with fake ones."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp

from gan_jax.losses import AdversarialLoss, RelativisticLoss
from gan_jax.systems.checks import check_made
from gan_jax.systems.gan import GAN, Term, check_names


def relativistic_gan(
    *,
    loss: RelativisticLoss,
    generator_terms: Mapping[str, Term] = MappingProxyType({}),
    discriminator_terms: Mapping[str, Term] = MappingProxyType({}),
    **arguments: Any,
) -> GAN:
    """Play a loss of paired logits: one term for each player beside curves that are 0.

    L_D = mean discriminator(D(x), D(G(z))), L_G = mean generator(D(x), D(G(z))), each real example
    beside the fake in the same place of its batch. Other arguments and terms are those of `GAN`;
    the metric is `relativistic`.

    Jolicoeur-Martineau 2019.

    Raises:
        ValueError: as `GAN`, the loss is no relativistic one, or a further term is called
            `relativistic`.
    """
    adversarial = {AdversarialLoss: "compare its logits by losses.relativistic(loss)"}
    example = "losses.relativistic(losses.non_saturating())"
    check_made(RelativisticLoss, example, adversarial, loss=loss)
    for player, terms in (("generator", generator_terms), ("discriminator", discriminator_terms)):
        check_names(player, terms, ("relativistic",))
    silent = AdversarialLoss(jnp.zeros_like, jnp.zeros_like, jnp.zeros_like)
    return GAN(
        loss=silent,
        generator_terms={
            "relativistic": lambda r: loss.generator(r.real_logits, r.fake_logits),
            **generator_terms,
        },
        discriminator_terms={
            "relativistic": lambda r: loss.discriminator(r.real_logits, r.fake_logits),
            **discriminator_terms,
        },
        **arguments,
    )
