"""Objectives as pure functions of arrays: no parameters, no networks, no optimisers."""

from gan_jax.losses import fdivergence
from gan_jax.losses.adversarial import (
    AdversarialLoss,
    RelativisticLoss,
    hinge,
    least_squares,
    maximum_likelihood,
    minimax,
    non_saturating,
    relativistic,
    relativistic_average,
    smooth_labels,
    wasserstein,
)
from gan_jax.losses.discrete import score_function_elbo, summed_elbo
from gan_jax.losses.embedding import structured_joint_embedding
from gan_jax.losses.fdivergence import (
    FDivergence,
    density_ratio,
    divergence_between,
    f_gan,
    jensen_shannon_bound,
    logistic_density_ratio,
    threshold,
)
from gan_jax.losses.likelihoods import (
    Likelihood,
    bernoulli,
    discretized_logistic,
    gaussian,
    learned_gaussian,
)
from gan_jax.losses.matching import (
    gaussian_kernel,
    gmmn,
    linear_kernel,
    mmd2,
    polynomial_kernel,
    rational_quadratic_kernel,
)
from gan_jax.losses.noise import noise_correlation
from gan_jax.losses.penalties import dragan, gradient_penalty, path_lengths, r1, r2
from gan_jax.losses.variational import (
    bernoulli_log_likelihood,
    discretized_logistic_log_likelihood,
    effective_samples,
    elbo,
    gaussian_kl,
    gaussian_log_density,
    gaussian_log_likelihood,
    iwae,
)

__all__ = [
    "AdversarialLoss",
    "FDivergence",
    "Likelihood",
    "RelativisticLoss",
    "bernoulli",
    "bernoulli_log_likelihood",
    "density_ratio",
    "discretized_logistic",
    "discretized_logistic_log_likelihood",
    "divergence_between",
    "dragan",
    "effective_samples",
    "elbo",
    "f_gan",
    "fdivergence",
    "gaussian",
    "gaussian_kernel",
    "gaussian_kl",
    "gaussian_log_density",
    "gaussian_log_likelihood",
    "gmmn",
    "gradient_penalty",
    "hinge",
    "iwae",
    "jensen_shannon_bound",
    "learned_gaussian",
    "least_squares",
    "linear_kernel",
    "logistic_density_ratio",
    "maximum_likelihood",
    "minimax",
    "mmd2",
    "noise_correlation",
    "non_saturating",
    "path_lengths",
    "polynomial_kernel",
    "r1",
    "r2",
    "rational_quadratic_kernel",
    "relativistic",
    "relativistic_average",
    "score_function_elbo",
    "smooth_labels",
    "structured_joint_embedding",
    "summed_elbo",
    "threshold",
    "wasserstein",
]
