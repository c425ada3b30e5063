"""Text to video with a gist: a CVAE of first frames and a GAN of clips, trained as one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jaxtyping import Array, Float

from gan_jax import losses
from gan_jax.checks import AT_LEAST_1, NOT_NEGATIVE, POSITIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses import AdversarialLoss
from gan_jax.nets.gist import Gist
from gan_jax.systems.checks import check_made
from gan_jax.systems.cvae import flat
from gan_jax.systems.gan import GAN, OTHER_LOSSES, Round, Term, check_names
from gan_jax.systems.gan_cls import gan_cls
from gan_jax.systems.networks import normal
from gan_jax.systems.pix2pix import distance


def text_to_video(
    *,
    loss: AdversarialLoss,
    latent_dim: int,
    cvae_weight: float = 1.0,
    gan_weight: float = 1.0,
    reconstruction_weight: float = 1.0,
    gist_variance: float = 0.1,
    field: str = "video",
    generator_terms: Mapping[str, Term] = MappingProxyType({}),
    **arguments: Any,
) -> GAN:
    """Let a generator make of a text an image, the gist, and of both a clip, all at once.

    L = γ₁ L_CVAE + γ₂ L_GAN + γ₃ L_RECON, for clips v with the first frame v₀:

    L_CVAE = (-E_q log p(v₀ | z_g, t) + KL(q(z_g | v₀, t) ‖ N(0, I))) / n,
    L_GAN = mean generator(D(G(z, t), t)), L_RECON = E_q ‖v - G(z_q, t)‖₁,

    where z = (z_g, z_v) ~ N(0, I) are `latent_dim` numbers, and z_q has z_g ~ q(z_g | v₀, t). γ are
    `cvae_weight`, `gan_weight` and `reconstruction_weight`, and the metrics `gist`, `kl` (the two
    parts of L_CVAE) and `reconstruction` have them included; each draws a z_g of its own. p is a
    Gaussian of the mean that the decoder gives and of one variance, `gist_variance`. A frame has n
    numbers, and the norm is a mean over those of a whole clip: so γ mean the same for clips of any
    size. γ₂ weighs what `interpolation` adds, too. The critic's loss is that of `gan_cls`, with
    wrong pairs, whatever γ₂ is.

    The generator returns (clips, `nets.gist.Gist`), as `nets.GistGenerator` does, and is called
    with (latents, text, first frames) for what is drawn from q. `sample(key, weights, num, text)`
    does not read the encoder's weights. Other arguments are those of `gan_cls`.

    Li, Min, Shen, Carlson & Carin 2018. The paper's γ are not known, nor its distances: these are
    our choice, and so is the critic's loss without γ₂.

    >>> from gan_jax import losses, nets
    >>> from gan_jax.systems import text_to_video
    >>> system = text_to_video(
    ...     generator=nets.GistGenerator(16, 32, 3), latent_dim=120,
    ...     discriminator=nets.TextToVideoDiscriminator(), loss=losses.non_saturating())
    >>> system.conditions, [*system.generator_terms], [*system.discriminator_terms]
    (('text',), ['gist', 'kl', 'reconstruction'], ['wrong', 'fake'])

    Raises:
        ValueError: a weight is negative, `gist_variance` not positive, `latent_dim` below 1; a
            further term is called as one of these, or as `gan_cls`; on the first batch, the
            generator gives no gist.
    """
    check_made(AdversarialLoss, "losses.non_saturating()", OTHER_LOSSES, loss=loss)
    check_bound(AT_LEAST_1, latent_dim=latent_dim)
    check_bound(NOT_NEGATIVE, cvae_weight=cvae_weight, gan_weight=gan_weight)
    check_bound(NOT_NEGATIVE, reconstruction_weight=reconstruction_weight)
    check_bound(POSITIVE, gist_variance=gist_variance)
    check_names("generator", generator_terms, ("gist", "kl", "reconstruction"))

    def gist(r: Round) -> Float[Array, " num"]:
        frame, image = (flat(images) for images in (r.real[:, 0], inferred(r)[1].image))
        log_likelihood = losses.gaussian_log_likelihood(frame, image, gist_variance)
        return -cvae_weight * log_likelihood / frame.shape[1]

    def kl(r: Round) -> Float[Array, " num"]:
        divergence = losses.gaussian_kl(*inferred(r)[1].posterior)
        return cvae_weight * divergence / r.real[0, 0].size

    def reconstruction(r: Round) -> Float[Array, " num"]:
        return reconstruction_weight * distance(r.real, inferred(r)[0])

    terms = {"gist": gist, "kl": kl, "reconstruction": reconstruction}
    return gan_cls(
        loss=loss._replace(generator=lambda logits: gan_weight * loss.generator(logits)),
        latents=normal(latent_dim),
        field=field,
        generator_terms={**terms, **generator_terms},
        **arguments,
    )


def inferred(r: Round) -> tuple[Array, Any]:
    """Clips and gists that the generator makes of z_g ~ q(z_g | v₀, t), v being the real clips."""
    if not (isinstance(r.generated, tuple) and isinstance(r.generated[-1], Gist)):
        raise Refusal(
            "The generator gives no gist; it must return (clips, nets.gist.Gist(...)), as "
            "nets.GistGenerator does. One without is played by gan_cls."
        )
    return r.generate(r.key, *r.conditions, r.real[:, 0])
