"""Pictures of clips."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gan_jax.errors import Refusal
from gan_jax.plots.images import image_grid
from gan_jax.plots.pictures import Animation, Picture


def frame_rows(
    videos: Float[np.ndarray, "num frames height width channels"],
    *,
    scale: int = 2,
    row_names: Sequence[str] | None = None,
) -> Picture:
    """Put the frames of clips in [-1, 1] side by side, a row a clip, as `image_grid` does."""
    num_frames, *shape = videos.shape[1:]
    images = videos.reshape(-1, *shape)
    return image_grid(images, columns=num_frames, scale=scale, row_names=row_names)


def clip_grid(
    videos: Float[np.ndarray, "num frames height width channels"],
    *,
    columns: int | None = None,
    scale: int = 2,
    milliseconds: int = 120,
) -> Animation:
    """Show clips in [-1, 1] beside one another, as `image_grid` does images.

    milliseconds: how long each frame is shown.
    """
    frames = [image_grid(frame, columns=columns, scale=scale) for frame in videos.swapaxes(0, 1)]
    return Animation(np.stack([frame.pixels for frame in frames]), milliseconds)


def save_clips(
    videos: UInt8[np.ndarray, "num frames height width channels"],
    paths: Iterable[Path],
    *,
    milliseconds: int = 120,
) -> None:
    """Write each clip, of one or three channels, as a GIF of its size.

    A GIF has 256 colours a frame; the nearest are taken. Frames that are equal to those before them
    are written as one, which is shown as long as all.

    Raises:
        ValueError: the clips have other channels.
    """
    if videos.shape[-1] not in (1, 3):
        raise Refusal(f"The clips have {videos.shape[-1]} channels; a GIF has 1 or 3.")
    for video, path in zip(videos, paths, strict=True):
        frames = np.broadcast_to(video, (*video.shape[:-1], 3))
        Animation(frames, milliseconds).save(path)
