"""Pictures, with matplotlib. Needs the `experiments` extra."""

from gan_jax.plots.coverage import save_mode_coverage
from gan_jax.plots.curves import save_curves
from gan_jax.plots.dynamics import save_eigenvalues, save_phase_portraits
from gan_jax.plots.images import save_image_grid
from gan_jax.plots.latents import save_latents
from gan_jax.plots.points import save_points_over_surface

__all__ = [
    "save_curves",
    "save_eigenvalues",
    "save_image_grid",
    "save_latents",
    "save_mode_coverage",
    "save_phase_portraits",
    "save_points_over_surface",
]
