"""Pictures, with matplotlib, and sounds. Needs the `experiments` extra."""

from gan_jax.plots.clips import clip_grid, frame_rows, save_clips
from gan_jax.plots.coverage import coverage_curves
from gan_jax.plots.curves import curves
from gan_jax.plots.dynamics import eigenvalues, phase_portraits
from gan_jax.plots.images import brightness_grid, captioned_grid, image_grid, save_images
from gan_jax.plots.latents import latents
from gan_jax.plots.learning import Moment, learning_process
from gan_jax.plots.pictures import Animation, Picture, stacked
from gan_jax.plots.points import points_over_surface, transport_lines
from gan_jax.plots.sounds import Sound, in_a_row, spectrogram_grid
from gan_jax.plots.tables import shaded_table

__all__ = [
    "Animation",
    "Moment",
    "Picture",
    "Sound",
    "brightness_grid",
    "captioned_grid",
    "clip_grid",
    "coverage_curves",
    "curves",
    "eigenvalues",
    "frame_rows",
    "image_grid",
    "in_a_row",
    "latents",
    "learning_process",
    "phase_portraits",
    "points_over_surface",
    "save_clips",
    "save_images",
    "shaded_table",
    "spectrogram_grid",
    "stacked",
    "transport_lines",
]
