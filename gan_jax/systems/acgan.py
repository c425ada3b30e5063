"""AC-GAN: the discriminator also says which class it sees, and both players want it to be right."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.errors import Refusal
from gan_jax.losses.precision import at_least_float32
from gan_jax.nets.layers import one_hot
from gan_jax.systems.gan import GAN, Round, Term, check_names


def acgan(
    *,
    label: str = "label",
    generator_terms: Mapping[str, Term] = MappingProxyType({}),
    discriminator_terms: Mapping[str, Term] = MappingProxyType({}),
    **arguments: Any,
) -> GAN:
    """Let the generator make examples of given classes that a classifier recognises.

    L_S = E log P(S = real | x) + E log P(S = fake | G(z, c)),
    L_C = E log P(C = c | x) + E log P(C = c | G(z, c)),

    and the discriminator maximises L_C + L_S, the generator L_C - L_S. Here both minimise: -L_S is
    what `loss` says of the logits, and one term for each player, the metric `classes`, adds its
    share of -L_C with weight 1: cross entropies of real and of fake examples for the discriminator,
    of fake ones for the generator. The classes c are the batch's, under `label`. The discriminator
    returns (logits, class logits), as `nets.ACGANDiscriminator` does, and is called with the class
    beside its examples, of which it makes no use. Other arguments and terms are those of `GAN`.

    Odena, Olah & Shlens 2017, equations (2) and (3).

    Raises:
        ValueError: as `GAN`, or a further term is called `classes`; on the first batch, the
            discriminator gives no class logits.
    """
    for player, terms in (("generator", generator_terms), ("discriminator", discriminator_terms)):
        check_names(player, terms, ("classes",))

    def of_fake(r: Round) -> Array:
        return cross_entropy(r.fake_output, r.batch[label])

    def of_both(r: Round) -> Array:
        return cross_entropy(r.real_output, r.batch[label]) + of_fake(r)

    return GAN(
        conditions=(label,),
        generator_terms={"classes": of_fake, **generator_terms},
        discriminator_terms={"classes": of_both, **discriminator_terms},
        **arguments,
    )


def cross_entropy(output: Any, labels: Int[Array, " num"]) -> Float[Array, " num"]:
    """-log P(C = c | x), of a discriminator that returns (logits, class logits)."""
    if not isinstance(output, tuple) or jnp.ndim(output[1]) != 2:
        raise Refusal(
            "The discriminator gives no class logits; it must return (logits, class logits), as "
            "nets.ACGANDiscriminator does."
        )
    classes = jax.nn.log_softmax(at_least_float32(output[1]))
    return -jnp.sum(one_hot(labels, classes.shape[-1]) * classes, axis=-1)
