"""Measures of samples, and exact divergences to compare estimates with."""

from gan_jax.metrics.annealing import AnnealedEstimate, annealed_log_likelihood
from gan_jax.metrics.divergences import (
    chi2_divergence,
    closest_normal,
    jensen_shannon_divergence,
    jensen_shannon_on_grid,
    kl_divergence,
    normal_on_grid,
    total_variation_distance,
    wasserstein,
    wasserstein_1d,
)
from gan_jax.metrics.frechet import Moments, frechet_distance
from gan_jax.metrics.gaussians import f_divergence, f_gan_bound, normals_on_grid
from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.kernel import kernel_distance, kernel_distance_subsets
from gan_jax.metrics.likelihood import (
    Estimate,
    InferenceGaps,
    active_units,
    bits_per_dimension,
    importance_log_likelihood,
    inference_gaps,
    log_likelihoods_in_parts,
    parzen_bandwidth,
    parzen_log_likelihood,
)
from gan_jax.metrics.lines import LineDistances, between_parallel_lines
from gan_jax.metrics.modes import ModeCoverage, mode_coverage
from gan_jax.metrics.neighbours import (
    PRDC,
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    prdc,
    precision_recall,
)
from gan_jax.metrics.spread import Spread, spread

__all__ = [
    "PRDC",
    "AnnealedEstimate",
    "DensityCoverage",
    "Estimate",
    "InferenceGaps",
    "LineDistances",
    "ModeCoverage",
    "Moments",
    "PrecisionRecall",
    "Spread",
    "active_units",
    "annealed_log_likelihood",
    "between_parallel_lines",
    "bits_per_dimension",
    "chi2_divergence",
    "closest_normal",
    "density_coverage",
    "f_divergence",
    "f_gan_bound",
    "frechet_distance",
    "importance_log_likelihood",
    "inception_score",
    "inference_gaps",
    "jensen_shannon_divergence",
    "jensen_shannon_on_grid",
    "kernel_distance",
    "kernel_distance_subsets",
    "kl_divergence",
    "log_likelihoods_in_parts",
    "mode_coverage",
    "normal_on_grid",
    "normals_on_grid",
    "parzen_bandwidth",
    "parzen_log_likelihood",
    "prdc",
    "precision_recall",
    "spread",
    "total_variation_distance",
    "wasserstein",
    "wasserstein_1d",
]
