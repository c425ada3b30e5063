"""Annealed importance sampling: log-likelihoods of models with latents, without an encoder."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax import losses
from gan_jax.checks import AT_LEAST_1, POSITIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.typing import KeyArray

LogLikelihood: TypeAlias = Callable[
    [Float[Array, "chains batch latents"]], Float[Array, "chains batch"]
]

TARGET_ACCEPTANCE = 0.65
FASTER, SLOWER = 1.02, 0.98


class AnnealedEstimate(NamedTuple):
    """As `Estimate`, and the mean probability of acceptance over the second half of the moves."""

    log_likelihood: Float[Array, " batch"]
    effective_samples: Float[Array, " batch"]
    acceptance: Float[Array, " batch"]


def annealed_log_likelihood(
    key: KeyArray,
    log_likelihood: LogLikelihood,
    *,
    batch_size: int,
    latent_dim: int,
    num_chains: int = 16,
    num_temperatures: int = 1_000,
    num_leapfrog_steps: int = 10,
    step_size: float = 0.1,
) -> AnnealedEstimate:
    """Annealed importance sampling of log p(x) = log ∫ p(x|z) N(z; 0, I) dz: no encoder needed.

    Chains go from the prior to the posterior through p(z) p(x|z)^β_t, with β_t from 0 to 1 along a
    sigmoid; each gathers Σ (β_t - β_{t-1}) log p(x|z_{t-1}) and moves by one Hamiltonian
    trajectory with a Metropolis test. Step sizes adapt, one for each example, towards an acceptance
    of 0.65 over its chains. The mean weight is unbiased but for that adaptation; its logarithm is
    in the mean a lower bound.

    Args:
        log_likelihood: z (chains, batch, latents) -> log p(x|z), (chains, batch); for a GAN's
            generator G, `lambda z: gaussian(variance).log_prob(x, generate(z))`.

    Neal 2001; Wu et al. 2017.

    Raises:
        ValueError: a count is below 1, `step_size` not positive and finite, or `log_likelihood`
            does not give one number for each chain and example.
    """
    check_bound(
        AT_LEAST_1,
        batch_size=batch_size,
        latent_dim=latent_dim,
        num_chains=num_chains,
        num_temperatures=num_temperatures,
        num_leapfrog_steps=num_leapfrog_steps,
    )
    check_bound(POSITIVE, step_size=step_size)

    def anneal(carry, at):
        latents, log_weights, size = carry
        key, before, temperature = at
        found = log_likelihood(latents)
        if found.shape != log_weights.shape:
            raise Refusal(
                f"log_likelihood gives the shape {found.shape} for latents of shape "
                f"{latents.shape}; it must give one number for each chain and example, "
                f"{log_weights.shape}."
            )
        log_weights += (temperature - before) * found

        def energy(z):
            return -losses.gaussian_log_density(z) - temperature * log_likelihood(z)

        latents, probability = hamiltonian_move(key, latents, energy, size, num_leapfrog_steps)
        rate = jnp.mean(probability, axis=0)
        change = jnp.where(rate > TARGET_ACCEPTANCE, FASTER, SLOWER)
        return (latents, log_weights, size * change[None, :, None]), rate

    key_start, key_moves = jax.random.split(key)
    latents = jax.random.normal(key_start, (num_chains, batch_size, latent_dim))
    temperatures = sigmoid_schedule(num_temperatures)
    carry = (
        latents,
        jnp.zeros((num_chains, batch_size)),
        jnp.full((1, batch_size, 1), step_size),
    )
    keys = jax.random.split(key_moves, num_temperatures)
    (_, log_weights, _), rates = jax.lax.scan(
        anneal, carry, (keys, temperatures[:-1], temperatures[1:])
    )
    return AnnealedEstimate(
        losses.iwae(log_weights),
        losses.effective_samples(log_weights),
        jnp.mean(rates[num_temperatures // 2 :], axis=0),
    )


def hamiltonian_move(
    key: KeyArray,
    latents: Float[Array, "chains batch latents"],
    energy: Callable[[Float[Array, "chains batch latents"]], Float[Array, "chains batch"]],
    size: Float[Array, "1 batch 1"],
    num_leapfrog_steps: int,
) -> tuple[Float[Array, "chains batch latents"], Float[Array, "chains batch"]]:
    """Move by one Hamiltonian trajectory and a Metropolis test, which leave exp(-energy) as it is.

    With momenta drawn from N(0, I), and leapfrog steps of `size`: the latents after the move, and
    the probability that it was accepted.

    Neal 2011, section 5.3.
    """
    log_density = losses.gaussian_log_density
    force = jax.grad(lambda z: -jnp.sum(energy(z)))
    key_momentum, key_test = jax.random.split(key)
    momentum = jax.random.normal(key_momentum, latents.shape, latents.dtype)
    at, going = latents, momentum + size / 2 * force(latents)

    def leap(_, phase):
        at, going = phase
        at = at + size * going
        return at, going + size * force(at)

    at, going = jax.lax.fori_loop(0, num_leapfrog_steps, leap, (at, going))
    going = going - size / 2 * force(at)
    total = energy(latents) - log_density(momentum) - energy(at) + log_density(going)
    probability = jnp.exp(jnp.minimum(jnp.nan_to_num(total, nan=-jnp.inf), 0))
    accepted = jax.random.uniform(key_test, probability.shape) < probability
    return jnp.where(accepted[..., None], at, latents), probability


def sigmoid_schedule(num: int, steepness: float = 4.0) -> Float[Array, " temperatures"]:
    """β_0 = 0 ... β_num = 1, slow at both ends. Wu et al. 2017.

    Raises:
        ValueError: `num` is below 1, or `steepness` not positive and finite.
    """
    check_bound(AT_LEAST_1, num=num)
    check_bound(POSITIVE, steepness=steepness)
    at = jax.nn.sigmoid(steepness * jnp.linspace(-1, 1, num + 1))
    return (at - at[0]) / (at[-1] - at[0])
