"""GANSynth: a Wasserstein GAN of spectrograms whose critic also names the pitch."""

from typing import Any

from jaxtyping import Array, Float

from gan_jax import losses
from gan_jax.checks import NOT_NEGATIVE, check_bound
from gan_jax.systems.acgan import cross_entropy
from gan_jax.systems.gan import GAN, Round


def gansynth(
    *,
    pitch_weight: float = 10.0,
    penalty_weight: float = 10.0,
    drift_weight: float = 1e-3,
    field: str = "spectrogram",
    pitch: str = "pitch",
    **arguments: Any,
) -> GAN:
    """Let the generator make notes of given pitches that a classifier recognises.

        L_D = E D(G(z, p)) - E D(x) + λ E (‖∇D(x̂)‖ - 1)² + ε E D(x)² + κ E CE(p | x),
        L_G = -E D(G(z, p)) + κ E CE(p | G(z, p))

    with x̂ between real and made examples, λ the `penalty_weight`, ε the `drift_weight` and κ the
    `pitch_weight`; the terms are metrics by the names `penalty`, `drift` and `pitch`. The critic
    does not pay for what it names of made notes, nor the generator for what it names of real ones.
    It returns (score, pitch logits), as `nets.GANSynthDiscriminator` does. Notes are made of the
    batch's own pitches; the authors draw them anew from all of the data.

    Engel et al. 2019, section 3, and the authors' code.

    Raises:
        ValueError: as `GAN`, or a weight is negative; on the first batch, the discriminator gives
            no pitch logits.
    """
    check_bound(NOT_NEGATIVE, pitch_weight=pitch_weight, penalty_weight=penalty_weight)
    check_bound(NOT_NEGATIVE, drift_weight=drift_weight)

    def of_fake(r: Round) -> Float[Array, " num"]:
        return pitch_weight * cross_entropy(r.fake_output, r.batch[pitch])

    def of_real(r: Round) -> Float[Array, " num"]:
        return pitch_weight * cross_entropy(r.real_output, r.batch[pitch])

    def penalty(r: Round) -> Float[Array, " num"]:
        return penalty_weight * losses.gradient_penalty(r.critic, r.real, r.fake, r.key)

    def drift(r: Round) -> Float[Array, " num"]:
        return drift_weight * r.real_logits**2

    return GAN(
        loss=losses.wasserstein(),
        field=field,
        conditions=(pitch,),
        generator_terms={"pitch": of_fake},
        discriminator_terms={"pitch": of_real, "penalty": penalty, "drift": drift},
        **arguments,
    )
