"""VGAN: a GAN of clips whose generator pays for what it lets move."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.checks import NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.systems.gan import GAN, Round, Term, check_names
from gan_jax.systems.pix2pix import distance


def vgan(
    *,
    mask_weight: float = 0.1,
    field: str = "video",
    generator_terms: Mapping[str, Term] = MappingProxyType({}),
    **arguments: Any,
) -> GAN:
    """Let a generator make clips of a moving foreground, and show no more of it than it must.

    L_G = mean generator(D(G(z))) + λ ‖m(z)‖₁, λ the `mask_weight`, and the metric `mask` has it
    included. The generator returns (clips, masks), as `nets.TwoStreamGenerator` does. One without
    masks has nothing to pay for: play it by `GAN(field="video", ...)`, which is the one-stream
    version.

    The norm is a mean over a mask's numbers, 1 where all is foreground, as in the authors' code: so
    λ means the same for clips of any size. As a sum it could be 131,072 for 32 frames of 64x64, and
    with λ = 0.1 nothing else would count. The authors play by what is `losses.non_saturating()`
    with the critic's loss halved, which Adam does not see but for its ε.

    Vondrick, Pirsiavash & Torralba 2016, section 2.

    >>> from gan_jax import losses, nets
    >>> from gan_jax.systems import networks, vgan
    >>> system = vgan(
    ...     generator=nets.TwoStreamGenerator(16, 32, 3), discriminator=nets.VideoDiscriminator(),
    ...     loss=losses.non_saturating(), latents=networks.normal(100))
    >>> system.field, list(system.generator_terms)
    ('video', ['mask'])

    Raises:
        ValueError: `mask_weight` is negative, a further term is called `mask`, or as `GAN`; on the
            first batch, the generator gives no masks.
    """
    check_bound(NOT_NEGATIVE, mask_weight=mask_weight)
    check_names("generator", generator_terms, ("mask",))

    def mask(r: Round) -> Float[Array, " num"]:
        masks = masks_of(r.generated)
        return mask_weight * jnp.mean(jnp.abs(masks), axis=tuple(range(1, masks.ndim)))

    return GAN(field=field, generator_terms={"mask": mask, **generator_terms}, **arguments)


def conditional_vgan(
    *,
    first_frame_weight: float = 10.0,
    condition: str = "condition",
    generator_terms: Mapping[str, Term] = MappingProxyType({}),
    **arguments: Any,
) -> GAN:
    """Let a generator continue images, the batch's `condition`, as clips that begin with them.

    L_G is that of `vgan`, plus λ ‖G(x)₀ - x‖₁, λ the `first_frame_weight`: the mean absolute
    difference of an image's numbers, as in the authors' code, and the metric `first_frame` has λ
    included. There are no latents. The critic is called with the image beside the clip;
    `nets.Unconditional` makes one that looks at the clip alone, as the authors' does. Their code
    has no penalty of the mask here, which is `mask_weight` 0. Other arguments are those of `vgan`.

    Vondrick, Pirsiavash & Torralba 2016.

    >>> from gan_jax import losses, nets
    >>> from gan_jax.systems import conditional_vgan
    >>> system = conditional_vgan(
    ...     generator=nets.ConditionalTwoStreamGenerator(16), loss=losses.non_saturating(),
    ...     discriminator=nets.Unconditional(nets.VideoDiscriminator()))
    >>> system.conditions, list(system.generator_terms)
    (('condition',), ['mask', 'first_frame'])

    Raises:
        ValueError: `first_frame_weight` is negative, a further term is called `first_frame`, or as
            `vgan`.
    """
    check_bound(NOT_NEGATIVE, first_frame_weight=first_frame_weight)
    check_names("generator", generator_terms, ("first_frame",))

    def first_frame(r: Round) -> Float[Array, " num"]:
        (image,) = r.conditions
        return first_frame_weight * distance(r.fake[:, 0], image)

    return vgan(
        latents=None,
        conditions=(condition,),
        generator_terms={"first_frame": first_frame, **generator_terms},
        **arguments,
    )


def masks_of(generated: Any) -> Array:
    """The masks of a generator that returns (clips, masks)."""
    if isinstance(generated, tuple) and len(generated) == 2:
        return generated[1]
    raise Refusal(
        "The generator gives no masks; it must return (clips, masks), as nets.TwoStreamGenerator "
        'does. One without is played by GAN(field="video").'
    )
