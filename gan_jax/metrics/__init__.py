"""Measures of samples, and exact divergences to compare estimates with."""

from gan_jax.metrics.divergences import (
    chi2_divergence,
    jensen_shannon_divergence,
    jensen_shannon_on_grid,
    kl_divergence,
    total_variation_distance,
    wasserstein,
    wasserstein_1d,
)
from gan_jax.metrics.modes import ModeCoverage, mode_coverage
from gan_jax.metrics.precision_recall import PrecisionRecall, precision_recall

__all__ = [
    "ModeCoverage",
    "PrecisionRecall",
    "chi2_divergence",
    "jensen_shannon_divergence",
    "jensen_shannon_on_grid",
    "kl_divergence",
    "mode_coverage",
    "precision_recall",
    "total_variation_distance",
    "wasserstein",
    "wasserstein_1d",
]
