"""The options of experiments on captioned pictures: what the pictures show, and their sentences."""

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.bounds import Size
from experiments.harness.options import SHOWN_SEEDS
from experiments.harness.pictures import Crop, PictureOptions
from gan_jax import data
from gan_jax.data import shapes
from gan_jax.data.streamed_folders import FolderDataset
from gan_jax.errors import Refusal
from gan_jax.typing import Batch, Feed, KeyArray

DRAWN = "shapes"
NUM_DRAWN = {"train": 4_800, "test": 960}
CHUNK = 480
READ, READ_PLACES = jax.jit(shapes.read_attributes), jax.jit(shapes.read_places)


class Captions(NamedTuple):
    """What the pictures of a split show: a scene each, of which there are sentences.

    dataset: images, `scene`, and `label` where there are classes; of drawn pictures some.
    sentences: those of each scene, of all as many.
    codes: the scenes of drawn pictures, None of others.
    """

    dataset: data.Dataset
    sentences: tuple[tuple[str, ...], ...]
    codes: np.ndarray | None = None

    def tokens(self, length: int) -> np.ndarray:
        """The characters of all sentences: int32 (scenes, captions, length)."""
        flat = data.characters([one for many in self.sentences for one in many], length=length)
        return flat.reshape(len(self.sentences), -1, length)


@dataclass(frozen=True, kw_only=True)
class CaptionOptions(PictureOptions):
    dataset: str = DRAWN
    """`shapes` are drawn anew in every step: of two sizes, seven colours, three shapes and four
    places, with sentences that say all of it; a path (./pictures) is a folder of pictures with a
    list of captions, metadata.jsonl or metadata.csv."""
    num_shapes: Literal[1, 2] = 1
    """Figures in a picture of `shapes`; two take --length 131."""
    image_size: Size | None = 32
    length: Size = 72
    """Characters of a sentence, 201 in the papers; what is longer is cut off, but of
    drawn shapes refused: those of two have up to 131."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dataset == DRAWN and (self.flip or self.crop != "center"):
            raise Refusal(
                "Shapes are drawn where their sentences say, and neither mirrored nor cropped: "
                "leave out --flip and --crop, or name a folder by --dataset."
            )

    def captions(self, split: str = "train", *, crop: Crop | None = None) -> Captions:
        """The pictures of a split, and their sentences.

        Raises:
            ValueError: the pictures have no captions.
        """
        if self.dataset == DRAWN:
            return self._drawn(split)
        dataset = super().images(split, crop=crop)
        if not isinstance(dataset, data.ArrayDataset | FolderDataset) or dataset.text is None:
            raise Refusal(
                f"The pictures of {self.dataset} have no captions: name a folder with a column "
                "`text` in its metadata.jsonl or metadata.csv, or --dataset shapes."
            )
        sentences, scene = np.unique(dataset.text, return_inverse=True)
        shown = replace(dataset, arrays={**dataset.arrays, "scene": scene.astype(np.int32)})
        return Captions(shown, tuple((str(sentence),) for sentence in sentences))

    def splits(self, captions: Captions) -> dict[str, Captions]:
        """Those of training and unseen ones, as an evaluation sees them: cropped at the centre."""
        seen = captions if self.crop == "center" else self.captions(crop="center")
        return {"seen": seen, "held_out": self.captions("test")}

    def images(self, split: str = "train", *, crop: Crop | None = None) -> data.Dataset:
        return self.captions(split, crop=crop).dataset

    def caption_feed(self, captions: Captions) -> Feed:
        """Batches of `image`, in [-1, 1], and `scene`."""
        if captions.codes is None:
            fields = {"image": data.signed, "scene": None}
            return self.picture_feed(captions.dataset, fields)
        codes = jnp.asarray(captions.codes)

        def draw(key: KeyArray, num: int) -> Batch:
            key_scene, key_image = jax.random.split(key)
            scene = jax.random.randint(key_scene, (num,), 0, len(codes))
            return {"image": shapes.draw(key_image, codes[scene], size=self.side), "scene": scene}

        return data.drawn_feed(draw, batch_size=self.examples_per_step)

    @property
    def side(self) -> int:
        """The side of drawn pictures."""
        if self.image_size is None:
            raise Refusal("--image-size is None, but shapes are drawn at a size: give one, as 32.")
        return self.image_size

    def _drawn(self, split: str) -> Captions:
        """Some pictures of every scene, always the same, by classes that leave out the place."""
        codes, sentences = shapes.scenes(split, num_shapes=self.num_shapes)
        longest = max(len(one) for some in sentences for one in some)
        if longest > self.length:
            raise Refusal(
                f"--length is {self.length}, but the sentences here have up to {longest} "
                "characters: give as many."
            )
        scene = spread(len(codes), NUM_DRAWN[split])
        scene = np.random.default_rng(SHOWN_SEEDS[split]).permutation(scene)  # from all over
        draw = jax.jit(shapes.draw, static_argnames="size")
        key = jax.random.key(SHOWN_SEEDS[split])
        images = [
            np.asarray(
                data.to_uint8(
                    draw(jax.random.fold_in(key, at), codes[scene[at : at + CHUNK]], size=self.side)
                )
            )
            for at in range(0, len(scene), CHUNK)
        ]
        examples = {"image": np.concatenate(images), "scene": scene}
        if self.num_shapes == 1:
            kinds, label = np.unique(codes[:, 0, :3], axis=0, return_inverse=True)
            names = tuple(
                f"{shapes.SIZES[size]} {shapes.COLOURS[colour]} {shapes.SHAPES[shape]}"
                for size, colour, shape in kinds
            )
            examples["label"] = label.astype(np.int32)[scene]
            return Captions(data.ArrayDataset(examples, names), sentences, codes)
        return Captions(data.ArrayDataset(examples), sentences, codes)


def spread(num_scenes: int, num: int) -> np.ndarray:
    """So many scenes: all in turn, or some from all over where there are more."""
    places = np.arange(num)
    chosen = places % num_scenes if num >= num_scenes else places * num_scenes // num
    return chosen.astype(np.int32)


def read_scenes(images: Any, codes: np.ndarray) -> dict[str, float]:
    """The shares of drawn scenes whose figures are read as they should be.

    Of each attribute, of shape, colour and size together (`all`), and of what can be read (`read`).
    Where a third figure is found beside two, nothing of the picture counts.
    """
    if codes.shape[1] == 1:
        found = {name: value[:, None] for name, value in READ(images).items()}
    else:
        quarters = {name: np.asarray(value) for name, value in READ_PLACES(images).items()}
        is_alone = np.sum(quarters["shape"] != -1, axis=1, keepdims=True) <= codes.shape[1]
        found = {
            name: np.where(is_alone, np.take_along_axis(value, codes[..., -1], axis=1), -1)
            for name, value in quarters.items()
        }
    right = {
        name: np.all(found[name] == codes[..., i], axis=1)
        for i, name in enumerate(shapes.ATTRIBUTES)
    }
    right["all"] = right["shape"] & right["colour"] & right["size"]
    right["read"] = np.all(found["shape"] != -1, axis=1)
    return {name: float(np.mean(value)) for name, value in right.items()}
