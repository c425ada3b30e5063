"""Generative adversarial and variational models as pure functions, on JAX and Flax."""
