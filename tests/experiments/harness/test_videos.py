"""Which clips there are, and numbers of their masks, by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from experiments import video_gan
from experiments.harness import videos
from gan_jax import data
from gan_jax.data import shapes
from gan_jax.data.framing import Framing
from gan_jax.training import first_batch

pytestmark = pytest.mark.usefixtures("compiled_quickly")
CONFIG = dataclasses.replace(video_gan.CONFIGS["digits"], image_size=16, num_frames=4, batch_size=6)


def squares(*corners):
    """Masks of two pixels by two, at these corners of an 8x8 frame; None is an empty frame."""
    masks = np.zeros((1, len(corners), 8, 8, 1), bool)
    for frame, corner in enumerate(corners):
        if corner is not None:
            row, column = corner
            masks[0, frame, row : row + 2, column : column + 2] = True
    return masks


@pytest.mark.parametrize(
    ("other", "share"), [((2, 2), 1), ((4, 4), 0), ((2, 3), 2 / 6), (None, 0), ((3, 3), 1 / 7)]
)
def test_overlap_is_intersection_over_union(other, share):
    assert videos.overlap(squares((2, 2)), squares(other)) == pytest.approx(share)


def test_overlap_is_the_mean_over_clips_of_which_empty_ones_show_nothing():
    two = np.concatenate([squares((2, 2)), squares(None)])
    assert videos.overlap(two, two) == 0.5


def test_masks_travel_from_the_first_frame_to_the_last():
    assert videos.travelled(squares((0, 0), (6, 6), (3, 4))) == pytest.approx(5 / 8)
    assert videos.travelled(squares((0, 0), (6, 6), None)) == 0
    two = np.concatenate([squares((0, 0), (0, 4)), squares(None, (0, 0))])
    assert videos.travelled(two) == 0.25


def test_the_mask_of_a_digit_is_read_from_its_brightness():
    examples = dataclasses.replace(CONFIG, image_size=32).examples("test", 12)
    read = videos.read_masks(np.asarray(examples["video"]))
    assert videos.overlap(read, np.asarray(examples["mask"]) > 0.5) > 0.75
    assert 0.1 < videos.travelled(read) < 0.5


@pytest.mark.slow
def test_frames_of_the_same_clips_do_not_differ_and_those_of_others_do():
    clips = np.asarray(CONFIG.examples("test", 12)["video"])
    assert videos.frames_distance(clips, clips) == 0
    assert videos.frames_distance(clips, np.sort(clips, axis=2)) > 100


def test_examples_are_the_same_for_every_seed_and_others_in_the_other_split():
    shown = [
        np.asarray(dataclasses.replace(CONFIG, seed=seed).examples(split, 4)["video"])
        for seed, split in ((0, "test"), (7, "test"), (0, "train"))
    ]
    np.testing.assert_array_equal(shown[0], shown[1])
    assert (shown[0] != shown[2]).any(axis=(1, 2, 3, 4)).all()


@pytest.mark.slow
def test_shapes_are_drawn_as_their_codes_say():
    config = dataclasses.replace(CONFIG, dataset="shapes", from_image=True)
    examples = config.examples("test", 10)
    found = shapes.read_attributes(examples["video"])
    codes = np.asarray(examples["codes"])[:, 0]
    for name, said in zip(shapes.MOVING_ATTRIBUTES, codes.T, strict=True):
        np.testing.assert_array_equal(found[name], said)
    batch = first_batch(config.fed)
    assert sorted(batch) == ["condition", "video"]
    np.testing.assert_array_equal(batch["condition"], batch["video"][:, 0])


def test_clips_of_a_folder_are_fed(tmp_path):
    for split in ("train", "test"):
        for clip in range(6):
            frames = [PIL.Image.new("RGB", (20, 16), (40 * clip, 0, 50 * t)) for t in range(4)]
            (tmp_path / split).mkdir(exist_ok=True)
            path = tmp_path / split / f"{clip}.gif"
            frames[0].save(path, save_all=True, append_images=frames[1:])
    config = dataclasses.replace(CONFIG, dataset=str(tmp_path))
    batch = first_batch(config.video_feed())
    assert batch["video"].shape == (6, 4, 16, 16, 3)
    assert -1 <= batch["video"].min() < batch["video"].max() <= 1
    assert config.examples("test", 3)["video"].shape == (3, 4, 16, 16, 3)
    continued = first_batch(dataclasses.replace(config, from_image=True).fed)
    np.testing.assert_array_equal(continued["condition"], continued["video"][:, 0])


@pytest.mark.parametrize(("width", "height"), [(40, 24), (24, 41), (16, 16), (9, 20)])
def test_pictures_that_are_continued_are_framed_as_clips_are(width, height):
    class Stands:
        def generate(self, weights, latents, images):
            return jnp.repeat(images[:, None], 4, axis=1)

    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    config = dataclasses.replace(CONFIG, from_image=True)
    ways = video_gan.translators(config, Stands(), {"condition": np.zeros((6, 16, 16, 3))})
    assert list(ways) == ["forth"]
    assert ways["forth"].channels == 3
    made = ways["forth"].translate(None, None, data.signed(values[None]))
    (expected,) = Framing(16, num_frames=4).images([PIL.Image.fromarray(values)] * 4)
    np.testing.assert_allclose(data.to_uint8(made[0]), expected, atol=1)
    assert video_gan.translators(CONFIG, Stands(), {}) == {}


@pytest.mark.parametrize("size", [33, 46])
def test_sides_that_are_not_halved_often_are_refused(size):
    batch = {"video": jax.ShapeDtypeStruct((6, 4, size, size, 3), jnp.float32)}
    with pytest.raises(ValueError, match=r"both sides are halved .* such as (32|48)\.$"):
        video_gan.build(dataclasses.replace(CONFIG, image_size=size), batch)


def test_a_mask_has_a_price_where_there_are_two_streams_and_no_image():
    for changes, price in (
        ({}, 3),
        ({"two_streams": False}, 0),
        ({"from_image": True}, 0),
        ({"from_image": True, "mask_weight": 0.2}, 0.2),
        ({"mask_weight": 0.0}, 0),
    ):
        assert dataclasses.replace(CONFIG, **changes).price == price
    words = r"^--mask-weight is 0\.1, but one stream has no masks: leave it out\.$"
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(CONFIG, two_streams=False, mask_weight=0.1)


def test_a_dataset_without_clips_is_refused():
    config = dataclasses.replace(CONFIG, dataset="mnist")
    with pytest.raises(ValueError, match=r"^--dataset is 'mnist'; it must be digits, shapes, or "):
        config.video_feed()
