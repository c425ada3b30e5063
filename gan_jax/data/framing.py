"""How pictures are brought to one size: the one place where stored images are resized."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from gan_jax.checks import AT_LEAST_1, AT_LEAST_2, check_bound, check_choice
from gan_jax.data import tfds
from gan_jax.data.decoded import BLOCK, decoded
from gan_jax.data.pictures import as_picture, background_colour
from gan_jax.data.sources import ArrayDataset, Dataset, Examples
from gan_jax.errors import Refusal, require_extra

WHITE = "white"
NUM_READERS = min(os.cpu_count() or 1, 16)
"""Threads that decode: each holds a whole picture."""
NOTICED = 1.0
"""Seconds of reading before its progress is shown."""

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Framing:
    """What is kept of every picture; `load` says what the fields mean.

    Raises:
        ValueError: a size below 1, an unknown crop or colour, or a random crop of no size.
    """

    image_size: int | None = None
    crop: str = "center"
    background: str = WHITE
    pairs: bool = False
    num_frames: int | None = None
    """Of a clip; None are pictures."""

    def __post_init__(self) -> None:
        check_choice(("center", "random"), crop=self.crop)
        if self.background != WHITE:  # to know colours takes Pillow, an extra
            background_colour(self.background)
        if self.num_frames is not None:
            check_bound(AT_LEAST_2, num_frames=self.num_frames)
            if self.pairs or self.crop == "random":
                raise Refusal(
                    "Clips are cropped at the centre, and not cut into pairs: leave out crop and "
                    "pairs, or num_frames."
                )
        if self.image_size is not None:
            check_bound(AT_LEAST_1, image_size=self.image_size)
        elif self.crop == "random":
            raise Refusal(
                "A random crop needs the size of what is cropped: give image_size (--image-size) "
                "besides."
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """The images that one picture holds, from left to right."""
        if self.num_frames is not None:
            return ("video",)
        return ("condition", "image") if self.pairs else ("image",)

    @property
    def kind(self) -> str:
        return "pictures" if self.num_frames is None else "clips"

    def extent(self, width: int, height: int) -> tuple[int, int]:
        """Height and width of what is kept of an image in a picture of this size."""
        sides = (width // len(self.fields), height)
        kept_width, kept_height = self._kept(sides, self._scaled(sides))
        return kept_height, kept_width

    def images(self, picture: Any) -> Iterator[np.ndarray]:
        """Take the images out of a picture, each with its channels last; of frames, the clip."""
        if self.num_frames is not None:
            yield np.stack([_pixels(self._framed(frame)) for frame in picture])
            return
        width, height = picture.width // len(self.fields), picture.height
        for index in range(len(self.fields)):
            part = picture.crop((index * width, 0, (index + 1) * width, height))
            yield _pixels(self._framed(part))

    @property
    def largest(self) -> tuple[int, int]:
        """Height and width that no extent is beyond."""
        side = (self.image_size or 0) * (2 if self.crop == "random" else 1)
        return side, side

    def _scaled(self, sides: tuple[int, int]) -> tuple[int, int]:
        if self.image_size is None:
            return sides
        width, height = (round(side * self.image_size / min(sides)) for side in sides)
        return width, height

    def _kept(self, sides: tuple[int, int], scaled: tuple[int, int]) -> tuple[int, int]:
        if self.image_size is None:
            return sides
        return min(scaled[0], self.largest[1]), min(scaled[1], self.largest[0])

    def _framed(self, picture: Any) -> Any:
        """Resize, then crop at the centre; pixels that the crop leaves out are not computed."""
        scaled = self._scaled(picture.size)
        kept = self._kept(picture.size, scaled)
        corners = [(s - k) // 2 for s, k in zip(scaled, kept, strict=True)]
        ends = [corner + k for corner, k in zip(corners, kept, strict=True)]
        ratios = [side / s for side, s in zip(picture.size, scaled, strict=True)]
        box = [
            min(place * ratio, side)
            for places in (corners, ends)
            for place, ratio, side in zip(places, ratios, picture.size, strict=True)
        ]
        return picture.resize(kept, require_extra("PIL.Image").Resampling.BILINEAR, box)


def _pixels(picture: Any) -> np.ndarray:
    pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels


@dataclass(frozen=True)
class FramedDataset:
    """Frame the images of a dataset that is read when it is asked for."""

    dataset: Dataset
    framing: Framing
    canvas: tuple[int, int]
    label_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, indices: np.ndarray) -> Examples:
        return _framed(self.dataset[indices], self.framing, self.canvas)


def framed(name: str, dataset: Dataset, framing: Framing) -> Dataset:
    """Frame a dataset's images: at once where they then fit in memory, else when they are read.

    Raises:
        ValueError: it has no images of 1 or 3 channels, or pairs of an odd width.
    """
    if framing == Framing():
        return dataset
    if framing.num_frames is not None:
        raise Refusal(f"{name!r} has no clips: leave out num_frames, or name a folder of clips.")
    (image,) = dataset[np.arange(1)].get("image", [np.zeros(0)])
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise Refusal(f"{name!r} has no images of 1 or 3 channels that could be framed.")
    canvas = framing.extent(*image.shape[1::-1])
    if isinstance(dataset, ArrayDataset):
        return replace(dataset, arrays=_framed(dataset.arrays, framing, canvas))
    if "image" in getattr(dataset, "differ", ()):
        canvas = framing.largest
    names = getattr(dataset, "label_names", None)
    streamed = FramedDataset(dataset, framing, canvas, names)
    example = streamed[np.arange(1)]
    if len(dataset) * sum(array.nbytes for array in example.values()) > tfds.RESIDENT_BYTES:
        return streamed
    expected = {field: ((len(dataset), *a.shape[1:]), a.dtype) for field, a in example.items()}
    return ArrayDataset(decoded(streamed, expected, None), names)


def check_halves(name: str, width: int, framing: Framing) -> None:
    """Raise ValueError where a picture of pairs has no two halves."""
    if framing.pairs and width % 2:
        raise Refusal(
            f"{name} is {width} pixels wide; of pairs side by side each has half of the width, "
            "which must be even."
        )


def take_images(
    framing: Framing,
    read: Callable[[int], Any],
    extents: np.ndarray,
    shape: tuple[int, ...],
    doing: str | None = None,
) -> tuple[Examples, dict[int, Exception]]:
    """Read the picture of every position, and put what is kept of it at the top left of a canvas.

    shape: of an image, or of a clip: (frames,) height, width, channels.

    Returns:
        The images by field, and what went wrong by position.
    """
    arrays = {field: np.zeros((len(extents), *shape), np.uint8) for field in framing.fields}

    def take(position: int) -> Exception | None:
        try:
            images = framing.images(read(position))
            height, width = extents[position]
            for field, image in zip(framing.fields, images, strict=True):
                arrays[field][position, ..., :height, :width, :] = image
        except MemoryError:
            raise
        except Exception as error:
            return error
        return None

    found = in_threads(take, range(len(extents)), doing)
    kept = {"extent": extents} if framing.crop == "random" else {}
    errors = {position: error for position, error in enumerate(found) if error is not None}
    return {**arrays, **kept}, errors


def in_threads(
    function: Callable[[Item], Made], items: Sequence[Item], doing: str | None
) -> list[Made]:
    """Map a function over items in threads, and show the progress of what is being done."""
    blocks = [items[start : start + BLOCK] for start in range(0, len(items), BLOCK)]
    with ThreadPoolExecutor(NUM_READERS) as pool:
        made = (result for block in blocks for result in pool.map(function, block))
        if doing is None:
            return list(made)
        shown = require_extra("tqdm").tqdm
        return list(shown(made, doing, len(items), leave=False, delay=NOTICED))


def _framed(examples: Examples, framing: Framing, canvas: tuple[int, int]) -> Examples:
    images = examples["image"]
    for image in images:
        check_halves("An image", image.shape[1], framing)
    extents = np.array([framing.extent(*image.shape[1::-1]) for image in images], np.int32)
    shape = (*canvas, images[0].shape[-1])
    arrays, errors = take_images(
        framing, lambda position: as_picture(images[position]), extents, shape
    )
    for error in errors.values():
        raise error
    return {**examples, **arrays}
