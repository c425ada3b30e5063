"""Log-likelihoods of models with latents: estimates of what a bound only bounds. In nats."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from gan_jax import losses
from gan_jax.errors import Refusal
from gan_jax.typing import Batch, KeyArray, Scalar

LogWeights: TypeAlias = Callable[[KeyArray, int], Float[Array, "samples batch"]]
LogLikelihood: TypeAlias = Callable[
    [Float[Array, "chains batch latents"]], Float[Array, "chains batch"]
]

TARGET_ACCEPTANCE = 0.65
FASTER, SLOWER = 1.02, 0.98


class Estimate(NamedTuple):
    """For each example: the logarithm of the mean weight, and how many samples carried it."""

    log_likelihood: Float[Array, " batch"]
    effective_samples: Float[Array, " batch"]


def importance_log_likelihood(
    key: KeyArray, log_weights: LogWeights, *, num_samples: int = 5_000, chunk_size: int = 100
) -> Estimate:
    """log 1/k Σ_i p(x, z_i)/q(z_i|x), with memory for `chunk_size` samples at a time.

    In the mean a lower bound of log p(x), tight as k = `num_samples` grows; an effective sample
    size near 1 says that it is not.

    Args:
        log_weights: (key, num) -> log p(x, z) - log q(z|x), (num, batch), as
            `lambda key, num: model.log_weights(key, weights, batch, num)`.

    Burda, Grosse & Salakhutdinov 2016, section 5: k = 5,000.

    Raises:
        ValueError: `chunk_size` is below 1 or does not divide `num_samples`.
    """
    if chunk_size < 1 or num_samples < 1 or num_samples % chunk_size:
        raise Refusal(
            f"num_samples is {num_samples} and chunk_size {chunk_size}; both must be at least 1, "
            "the first a multiple of the second."
        )

    def add(sums, key):
        chunk = log_weights(key, chunk_size)
        return tuple(
            jnp.logaddexp(total, jax.nn.logsumexp(power * chunk, axis=0))
            for total, power in zip(sums, (1, 2), strict=True)
        ), None

    batch = jax.eval_shape(lambda key: log_weights(key, chunk_size), key)
    empty = jnp.full(batch.shape[1:], -jnp.inf, batch.dtype)
    keys = jax.random.split(key, num_samples // chunk_size)
    (first, second), _ = jax.lax.scan(add, (empty, empty), keys)
    return Estimate(first - math.log(num_samples), jnp.exp(2 * first - second))


def log_likelihoods_in_parts(
    key: KeyArray,
    log_weights: Callable[[KeyArray, Batch, int], Float[Array, "samples part"]],
    batch: Batch,
    *,
    num_samples: int,
    part_size: int = 50,
    chunk_size: int = 50,
) -> Float[np.ndarray, " batch"]:
    """`importance_log_likelihood` of many examples, `part_size` at a time, on the host at the end.

    Args:
        log_weights: (key, part of the batch, num) -> (num, part).

    Raises:
        ValueError: as `importance_log_likelihood`.
    """

    @jax.jit
    def estimate(key: KeyArray, part: Batch) -> Float[Array, " part"]:
        return importance_log_likelihood(
            key,
            lambda key, num: log_weights(key, part, num),
            num_samples=num_samples,
            chunk_size=chunk_size,
        ).log_likelihood

    estimates = []
    for start in range(0, len(next(iter(batch.values()))), part_size):
        part = {field: examples[start : start + part_size] for field, examples in batch.items()}
        estimates.append(np.asarray(estimate(jax.random.fold_in(key, start), part)))
    return np.concatenate(estimates)


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
        ValueError: a count is below 1, or `step_size` not positive.
    """
    counts = {
        "batch_size": batch_size,
        "latent_dim": latent_dim,
        "num_chains": num_chains,
        "num_temperatures": num_temperatures,
        "num_leapfrog_steps": num_leapfrog_steps,
    }
    for name, count in counts.items():
        if count < 1:
            raise Refusal(f"{name} is {count}; it must be at least 1.")
    if not 0 < step_size < math.inf:
        raise Refusal(f"step_size is {step_size}; it must be positive and finite.")

    def anneal(carry, at):
        latents, log_weights, size = carry
        key, before, temperature = at
        log_weights += (temperature - before) * log_likelihood(latents)

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
    """β_0 = 0 ... β_num = 1, slow at both ends. Wu et al. 2017."""
    at = jax.nn.sigmoid(steepness * jnp.linspace(-1, 1, num + 1))
    return (at - at[0]) / (at[-1] - at[0])


def parzen_log_likelihood(
    x: Float[Array, "num features"],
    samples: Float[Array, "num_samples features"],
    bandwidth: float,
    *,
    chunk_size: int = 16,
) -> Float[Array, " num"]:
    """log 1/n Σ_i N(x; s_i, h² I): the density of a kernel estimate on a model's samples.

    The protocol of Goodfellow et al. 2014: 10,000 samples, and the bandwidth h that
    `parzen_bandwidth` chooses on a validation set. In many dimensions it says little about a model
    (Theis, van den Oord & Bethge 2016).

    Args:
        chunk_size: rows of x that are compared with all samples at a time.

    Raises:
        ValueError: `bandwidth` is not positive and finite.
    """
    if not 0 < bandwidth < math.inf:
        raise Refusal(f"bandwidth is {bandwidth}; it must be positive and finite.")

    def one(row):
        row = jnp.broadcast_to(row, samples.shape)
        return losses.iwae(losses.gaussian_log_likelihood(row, samples, bandwidth**2))

    return jax.lax.map(one, x, batch_size=chunk_size)


def parzen_bandwidth(
    validation: Float[Array, "num features"],
    samples: Float[Array, "num_samples features"],
    candidates: Sequence[float],
) -> float:
    """The candidate under which held-out data are likeliest on average."""
    return max(
        candidates,
        key=lambda bandwidth: float(
            jnp.mean(parzen_log_likelihood(validation, samples, bandwidth))
        ),
    )


def active_units(
    means: Float[Array, "num latents"], threshold: float = 0.01
) -> Bool[Array, " latents"]:
    """Which latents say something: Var_x(E_q(z|x) z) > 0.01, over examples.

    Burda, Grosse & Salakhutdinov 2016, section 5.
    """
    return jnp.var(means, axis=0) > threshold


class InferenceGaps(NamedTuple):
    """Where log p(x) - ELBO comes from: the family of q, and the encoder's choice within it."""

    approximation: Scalar
    amortisation: Scalar


def inference_gaps(
    *,
    log_likelihood: Float[Array, " batch"],
    best_bound: Float[Array, " batch"],
    amortised_bound: Float[Array, " batch"],
) -> InferenceGaps:
    """Means of log p(x) - L[q*] and L[q*] - L[q_φ], for q* the best of the family at each example.

    Their sum is the gap of the encoder's bound, KL(q_φ(z|x) ‖ p(z|x)) in the mean.

    Cremer, Li & Duvenaud 2018.
    """
    return InferenceGaps(
        jnp.mean(log_likelihood - best_bound), jnp.mean(best_bound - amortised_bound)
    )
