"""Measures of samples, and exact divergences to compare estimates with."""

from gan_jax.metrics.annealing import AnnealedEstimate, annealed_log_likelihood
from gan_jax.metrics.bins import DifferentBins, bin_counts, different_bins
from gan_jax.metrics.copying import DataCopying, data_copying, nearest_distances
from gan_jax.metrics.dimension import (
    intrinsic_dimension,
    jacobian_spectra,
    numerical_rank,
    participation_ratio,
)
from gan_jax.metrics.divergences import (
    Transport,
    chi2_divergence,
    closest_normal,
    jensen_shannon_divergence,
    jensen_shannon_on_grid,
    kl_divergence,
    normal_on_grid,
    optimal_transport,
    total_variation_distance,
    wasserstein,
    wasserstein_1d,
)
from gan_jax.metrics.frechet import Moments, frechet_distance
from gan_jax.metrics.gaussians import (
    f_divergence,
    f_gan_bound,
    gaussian_overlap,
    normals_on_grid,
)
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
from gan_jax.metrics.paths import path_length_lerp, path_length_slerp, trimmed_mean
from gan_jax.metrics.pitch import read_pitch
from gan_jax.metrics.pushforward import pushforward_density, values_and_slopes
from gan_jax.metrics.retrieval import precision_at, retrieval_accuracy
from gan_jax.metrics.similarity import ms_ssim, ssim
from gan_jax.metrics.slices import (
    laplacian_descriptors,
    laplacian_sliced_wasserstein,
    random_directions,
    sliced_wasserstein,
)
from gan_jax.metrics.spread import Spread, spread

__all__ = [
    "PRDC",
    "AnnealedEstimate",
    "DataCopying",
    "DensityCoverage",
    "DifferentBins",
    "Estimate",
    "InferenceGaps",
    "LineDistances",
    "ModeCoverage",
    "Moments",
    "PrecisionRecall",
    "Spread",
    "Transport",
    "active_units",
    "annealed_log_likelihood",
    "between_parallel_lines",
    "bin_counts",
    "bits_per_dimension",
    "chi2_divergence",
    "closest_normal",
    "data_copying",
    "density_coverage",
    "different_bins",
    "f_divergence",
    "f_gan_bound",
    "frechet_distance",
    "gaussian_overlap",
    "importance_log_likelihood",
    "inception_score",
    "inference_gaps",
    "intrinsic_dimension",
    "jacobian_spectra",
    "jensen_shannon_divergence",
    "jensen_shannon_on_grid",
    "kernel_distance",
    "kernel_distance_subsets",
    "kl_divergence",
    "laplacian_descriptors",
    "laplacian_sliced_wasserstein",
    "log_likelihoods_in_parts",
    "mode_coverage",
    "ms_ssim",
    "nearest_distances",
    "normal_on_grid",
    "normals_on_grid",
    "numerical_rank",
    "optimal_transport",
    "participation_ratio",
    "parzen_bandwidth",
    "parzen_log_likelihood",
    "path_length_lerp",
    "path_length_slerp",
    "prdc",
    "precision_at",
    "precision_recall",
    "pushforward_density",
    "random_directions",
    "read_pitch",
    "retrieval_accuracy",
    "sliced_wasserstein",
    "spread",
    "ssim",
    "total_variation_distance",
    "trimmed_mean",
    "values_and_slopes",
    "wasserstein",
    "wasserstein_1d",
]
