"""StackGAN: images of a text in two stages, each a matching-aware GAN on augmented conditions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jaxtyping import Array, Float

from gan_jax import losses
from gan_jax.checks import NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.systems.gan import GAN, Round, Term, check_names
from gan_jax.systems.gan_cls import gan_cls

AUTHORS_WEIGHT = 2.0 / 128
"""The authors' code: 2 times the mean over 128 dimensions."""


def stackgan(
    *,
    weight: float = AUTHORS_WEIGHT,
    generator_terms: Mapping[str, Term] = MappingProxyType({}),
    **arguments: Any,
) -> GAN:
    """Play one stage: GAN-CLS, whose generator draws the condition that it goes by.

    L_D is that of `gan_cls`; L_G = mean generator(D(G(z, ĉ), t)) + λ KL(N(μ(t), σ²(t)) ‖ N(0, I)),
    λ the `weight`, and the metric `kl` has it included. The generator returns (images, (mean,
    log-variance)), as `nets.StageOneGenerator` and `nets.StageTwoGenerator` do. Without their
    augmentation they return images alone: play them by `gan_cls`.

    The KL is the sum over dimensions that it is. The paper says λ = 1; the code with which its
    numbers were made has 2 times the mean over the 128 dimensions, a 64th of it, which is the
    default: for d dimensions the same strength is 2/d. The paper's generator minimises log(1 - D),
    the code's maximises log D, which is `losses.non_saturating()`.

    The second stage is another system of this kind: a generator that holds the first as
    `networks.Frozen(stage_one)`, and images of its own size. The latents are the first stage's.
    Start it, and put the first stage's weights in by
    `networks.freeze(weights, stage_one_weights, "stage_one")`.

    Zhang et al. 2017, equations (3) to (6).

    >>> from gan_jax import losses, nets
    >>> from gan_jax.systems import networks, stackgan
    >>> one = nets.StageOneGenerator(32, 3)
    >>> critic, latents = nets.TextToImageDiscriminator(), networks.normal(100)
    >>> told = {"discriminator": critic, "latents": latents, "loss": losses.non_saturating()}
    >>> first_stage = stackgan(generator=one, **told)
    >>> second_stage = stackgan(
    ...     generator=nets.StageTwoGenerator(networks.Frozen(one), num_doublings=1), **told)

    Raises:
        ValueError: `weight` is negative, a further term is called `kl`, or as `gan_cls`; on the
            first batch, the generator gives no mean and log-variance.
    """
    check_bound(NOT_NEGATIVE, weight=weight)
    check_names("generator", generator_terms, ("kl",))

    def kl(r: Round) -> Float[Array, " num"]:
        return weight * losses.gaussian_kl(*gaussian_of(r.generated))

    return gan_cls(generator_terms={"kl": kl, **generator_terms}, **arguments)


def gaussian_of(generated: Any) -> tuple[Array, Array]:
    """The mean and the log-variance of a generator that returns (images, (mean, log-variance))."""
    if isinstance(generated, tuple) and len(generated) == 2:
        gaussian = generated[1]
        if isinstance(gaussian, tuple) and len(gaussian) == 2:
            return gaussian
    raise Refusal(
        "The generator gives no mean and log-variance; it must return (images, (mean, "
        "log-variance)), as nets.StageOneGenerator does. Without augmentation play it by gan_cls."
    )
