"""Images of one size, whatever dataset they come from."""

import jax.numpy as jnp
import jaxtyping
import numpy as np
import PIL.Image
import pytest

from gan_jax import signals
from gan_jax.data import ArrayDataset, FramedDataset, embedded, load, signed, tfds
from gan_jax.data.framing import Framing, framed

RNG = np.random.default_rng(0)
SMOOTH = np.asarray(
    PIL.Image.fromarray(RNG.integers(0, 256, (9, 12, 3), np.uint8)).resize((90, 50))
)


def frame(image, **options):
    (found,) = Framing(**options).images(PIL.Image.fromarray(image))
    return found.astype(int)


@pytest.mark.parametrize(("size", "turned"), [(16, False), (16, True), (50, False), (77, False)])
def test_the_shorter_side_is_resized_and_the_centre_taken(size, turned):
    """Shrunk, left and enlarged; by Pillow in two steps, and by our own resize."""
    image = SMOOTH.transpose(1, 0, 2) if turned else SMOOTH
    width, height = (size, round(90 * size / 50)) if turned else (round(90 * size / 50), size)
    left, top = (width - size) // 2, (height - size) // 2
    whole = PIL.Image.fromarray(image).resize((width, height), PIL.Image.Resampling.BILINEAR)
    expected = np.asarray(whole.crop((left, top, left + size, top + size))).astype(int)
    found = frame(image, image_size=size)
    np.testing.assert_allclose(found, expected, atol=1)
    ours = signals.resize(signed(image), (height, width))[top : top + size, left : left + size]
    np.testing.assert_allclose(found, 127.5 * (np.asarray(ours) + 1), atol=1.5)


def test_a_random_crop_keeps_the_longer_side_to_twice_the_shorter():
    whole = PIL.Image.fromarray(SMOOTH).resize((29, 16), PIL.Image.Resampling.BILINEAR)
    found = frame(SMOOTH, image_size=16, crop="random")
    np.testing.assert_allclose(found, np.asarray(whole).astype(int), atol=1)
    long = np.tile(SMOOTH, (1, 3, 1))
    found = frame(long, image_size=16, crop="random")
    whole = PIL.Image.fromarray(long).resize((86, 16), PIL.Image.Resampling.BILINEAR)
    np.testing.assert_allclose(found, np.asarray(whole).astype(int)[:, 27:59], atol=1)
    for image in (SMOOTH, long):
        height, width, _ = image.shape
        framing = Framing(image_size=16, crop="random")
        assert framing.extent(width, height) == frame(image, image_size=16, crop="random").shape[:2]


def test_a_picture_that_is_all_length_takes_no_more_memory_than_its_crop():
    line = np.zeros((1, 100_000, 3), np.uint8)
    assert frame(line, image_size=64).shape == (64, 64, 3)


def test_the_halves_of_pairs_are_framed_each_on_its_own():
    pair = np.concatenate([np.zeros((50, 50), np.uint8), np.full((50, 50), 255, np.uint8)], axis=1)
    left, right = Framing(image_size=8, pairs=True).images(PIL.Image.fromarray(pair))
    assert (left.shape, right.shape) == ((8, 8, 1), (8, 8, 1))
    assert (np.unique(left), np.unique(right)) == ([0], [255])


@pytest.fixture
def digits(monkeypatch):
    """Two of them, so that nothing is parsed."""
    images = RNG.integers(0, 256, (2, 28, 28, 1), np.uint8)
    made = ArrayDataset({"image": images, "label": np.arange(2)}, ("a", "b"))
    monkeypatch.setitem(embedded.EMBEDDED, "digits", lambda split: made)
    return made


def test_embedded_images_are_framed_and_keep_the_rest(digits):
    assert load("digits") is digits
    small = load("digits", image_size=14)
    assert small.label_names == ("a", "b")
    assert small.arrays["label"].tolist() == [0, 1]
    expected = signals.resize(jnp.asarray(digits.arrays["image"], jnp.float32), (14, 14))
    np.testing.assert_allclose(small.arrays["image"], expected, atol=1)
    halves = load("digits", pairs=True)
    np.testing.assert_array_equal(halves.arrays["condition"], digits.arrays["image"][:, :, :14])
    np.testing.assert_array_equal(halves.arrays["image"], digits.arrays["image"][:, :, 14:])
    large = load("digits", image_size=32, crop="random").arrays
    assert large["image"].shape == (2, 32, 32, 1)
    assert large["extent"].tolist() == [[32, 32]] * 2


def test_images_of_tfds_are_framed_in_memory_and_streamed_alike(data_dir, monkeypatch):
    whole = load("mnist", data_dir=data_dir, image_size=14)
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    streamed = load("mnist", data_dir=data_dir, image_size=14)
    assert isinstance(streamed, FramedDataset)
    monkeypatch.setattr(tfds, "RESIDENT_BYTES", 20 * 28 * 28 - 1)  # what is framed is smaller
    small = load("mnist", data_dir=data_dir, image_size=14)
    assert isinstance(small, ArrayDataset)
    np.testing.assert_array_equal(small.arrays["image"], whole.arrays["image"])
    assert (len(streamed), streamed.label_names) == (20, whole.label_names)
    some = np.array([3, 17])
    for field, array in whole[some].items():
        np.testing.assert_array_equal(streamed[some][field], array)
    assert streamed[some]["image"].shape == (2, 14, 14, 1)


def test_images_of_tfds_that_differ_in_size_are_brought_to_one(tmp_path, prepare, monkeypatch):
    images = [np.tile(SMOOTH, (1, num, 1)) for num in (1, 1, 3)]
    others = {"image/filename": ["1.jpg", "2.jpg", "3.jpg"], "label": [0, 1, 1]}
    prepare("cats_vs_dogs", tmp_path, {"train": {"image": images, **others}})
    with pytest.raises(ValueError, match=r"differ in size.*--image-size"):
        load("cats_vs_dogs", data_dir=tmp_path)
    for limit in (tfds.RESIDENT_BYTES, 0):
        monkeypatch.setattr(tfds, "RESIDENT_BYTES", limit)
        dataset = load("cats_vs_dogs", data_dir=tmp_path, image_size=8)
        assert isinstance(dataset, FramedDataset if limit == 0 else ArrayDataset)
        assert dataset[np.arange(3)]["label"].tolist() == [0, 1, 1]
        for found, image in zip(dataset[np.arange(3)]["image"], images, strict=True):
            np.testing.assert_array_equal(found, frame(image, image_size=8))
        some = load("cats_vs_dogs", data_dir=tmp_path, image_size=8, crop="random")[np.arange(1)]
        assert some["image"].shape == (1, 16, 16, 3)
        assert some["extent"].tolist() == [[8, 14]]


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("digits", {"crop": "top"}, "crop is 'top'; it must be one of 'center', 'random'"),
        ("digits", {"image_size": 0}, "image_size is 0; it must be an integer, at least 1"),
        ("digits", {"crop": "random"}, "A random crop needs the size .*--image-size"),
        ("ring", {"image_size": 8}, "'ring' has no images of 1 or 3 channels"),
    ],
)
def test_what_cannot_be_framed_is_refused(name, options, sentence, monkeypatch):
    """Outside of these tests nothing checks the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=sentence):
        load(name, **options)


def test_an_odd_width_has_no_halves():
    dataset = ArrayDataset({"image": np.zeros((2, 4, 7, 1), np.uint8)})
    with pytest.raises(ValueError, match=r"An image is 7 pixels wide; .* must be even"):
        framed("mine", dataset, Framing(pairs=True))
