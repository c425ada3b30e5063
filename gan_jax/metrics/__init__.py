"""Measures of samples."""

from gan_jax.metrics.modes import ModeCoverage, mode_coverage
from gan_jax.metrics.precision_recall import PrecisionRecall, precision_recall

__all__ = ["ModeCoverage", "PrecisionRecall", "mode_coverage", "precision_recall"]
