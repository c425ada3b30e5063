"""Objectives as pure functions of arrays: no parameters, no networks, no optimisers."""

from gan_jax.losses.adversarial import (
    AdversarialLoss,
    hinge,
    least_squares,
    maximum_likelihood,
    minimax,
    non_saturating,
    wasserstein,
)

__all__ = [
    "AdversarialLoss",
    "hinge",
    "least_squares",
    "maximum_likelihood",
    "minimax",
    "non_saturating",
    "wasserstein",
]
