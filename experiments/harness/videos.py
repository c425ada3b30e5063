"""The options of experiments on clips: which, how they are fed, and what they are compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.bounds import Size
from experiments.harness.options import SHOWN_SEEDS, RunOptions, first_examples
from gan_jax import data, metrics
from gan_jax.data import moving_digits, shapes
from gan_jax.data.paths import path_of
from gan_jax.errors import Refusal
from gan_jax.typing import Batch, Feed, KeyArray

DIGITS, SHAPES = "digits", "shapes"
WHITE = 0.1
"""The brightness of a digit, in [-1, 1]; a background has at most 0."""

Draw = Callable[..., Batch]
"""(key, num, *arrays that stay on the device) -> clips, and what is known of them."""


@dataclass(frozen=True, kw_only=True)
class VideoOptions(RunOptions):
    dataset: str = DIGITS
    """`digits` move over photographs, and `shapes` on black, drawn anew in every step; a path
    (./clips) is a folder of clips of yours: files that move (gif, png, webp), or folders of
    numbered pictures."""
    num_frames: Size = 8
    """Of a clip; of longer ones the first so many."""
    image_size: Size = 32
    """The side of square frames: the shorter side is resized to it, and the centre taken."""
    background: str = "white"
    """The colour that transparent pixels of your clips show."""

    def clips(self, split: str = "train") -> data.Dataset:
        """The clips of a folder.

        Raises:
            ValueError: `dataset` is no path, or as `data.load`.
        """
        if path_of(self.dataset, None) is None:
            raise Refusal(
                f"--dataset is {self.dataset!r}; it must be {DIGITS}, {SHAPES}, or the path of a "
                "folder of clips, such as ./clips."
            )
        return data.load(
            self.dataset,
            split=split,
            num_frames=self.num_frames,
            image_size=self.image_size,
            background=self.background,
        )

    @property
    def form(self) -> dict[str, int]:
        """Of drawn clips."""
        return {"num_frames": self.num_frames, "size": self.image_size}

    def drawing(self, split: str = "train") -> tuple[Draw, tuple[Any, ...]] | None:
        """What draws clips of digits, with `mask`, or of shapes, with `codes`, and of which arrays.

        None of a folder.
        """
        if self.dataset == DIGITS:
            return partial(moving_digits.draw, **self.form), moving_digits.load(split)
        if self.dataset == SHAPES:
            return partial(draw_scenes, **self.form), (shapes.moving_scenes(split).codes,)
        return None

    def video_feed(self) -> Feed:
        """Batches of `video`, in [-1, 1]."""
        drawing = self.drawing()
        if drawing is None:
            return self.feed(self.clips(), {"video": data.signed})
        draw, arrays = drawing
        drawn = data.drawn_feed(draw, batch_size=self.examples_per_step, resident=arrays)
        return data.map_feed(lambda key, batch: {"video": batch["video"]}, drawn)

    def examples(self, split: str, num: int) -> Batch:
        """Clips in [-1, 1], always the same, and what is known of them."""
        drawing = self.drawing(split)
        if drawing is None:
            return {"video": data.signed(first_examples(self.clips(split), num)["video"])}
        draw, arrays = drawing
        return jax.jit(draw, static_argnums=1)(jax.random.key(SHOWN_SEEDS[split]), num, *arrays)


def draw_scenes(key: KeyArray, num: int, codes: Any, *, num_frames: int, size: int) -> Batch:
    """Draw clips of scenes that are drawn from these, with the number and the codes of each."""
    key_scene, key_video = jax.random.split(key)
    scene = jax.random.randint(key_scene, (num,), 0, len(codes))
    chosen = jnp.asarray(codes)[scene]
    video = shapes.draw_moving(key_video, chosen, num_frames=num_frames, size=size)
    return {"video": video, "scene": scene, "codes": chosen}


def frames_distance(real: Any, made: Any) -> float:
    """The sliced Wasserstein distance of as many clips, times 1,000: by one frame of each."""
    rows = np.arange(len(real))
    frames = (
        np.asarray(data.to_uint8(jnp.asarray(clips[rows, rows % clips.shape[1]])))
        for clips in (real, made)
    )
    levels = metrics.laplacian_sliced_wasserstein(jax.random.key(0), *frames)
    return float(1e3 * np.mean(levels))


def read_masks(videos: Any) -> np.ndarray:
    """Where the white digit of each clip is; the backgrounds have at most half its brightness."""
    return np.min(videos, axis=-1, keepdims=True) > WHITE


def overlap(masks: np.ndarray, others: np.ndarray) -> float:
    """The mean intersection over union of the masks of clips, 0 where both are empty."""
    axes = tuple(range(1, masks.ndim))
    both, either = np.sum(masks & others, axis=axes), np.sum(masks | others, axis=axes)
    return float(np.mean(both / np.maximum(either, 1)))


def travelled(masks: np.ndarray) -> float:
    """How far the centres of masks go from the first frame to the last, as a share of the side.

    The mean over clips; one that has nothing in either of these frames goes nowhere.
    """
    places = (np.arange(masks.shape[2]) + 0.5) / masks.shape[2]
    ends = masks[:, [0, -1]][..., 0]
    count = np.sum(ends, axis=(2, 3))
    centres = [
        np.einsum(f"nthw,{axis}->nt", ends, places) / np.maximum(count, 1) for axis in ("h", "w")
    ]
    way = np.hypot(*(centre[:, 1] - centre[:, 0] for centre in centres))
    return float(np.mean(way * np.all(count > 0, axis=1)))
