"""Brightness in place of colours."""

import numpy as np
import PIL.Image

from gan_jax.data import ArrayDataset, grey


def test_brightness_is_pillow_s_to_the_byte():
    image = np.random.default_rng(0).integers(0, 256, (3, 50, 60, 3), np.uint8)
    image[0] = image[0, :, :, :1]  # grey already
    dataset = ArrayDataset({"image": image, "label": np.arange(3)}, ("a", "b", "c"), tuple("xyz"))
    found = grey(dataset)
    expected = [np.asarray(PIL.Image.fromarray(one).convert("L")) for one in image]
    np.testing.assert_array_equal(found.arrays["image"][..., 0], expected)
    np.testing.assert_array_equal(found.arrays["image"][0], image[0, :, :, :1])
    assert found.arrays["image"].dtype == np.uint8
    assert found.arrays["label"].tolist() == [0, 1, 2]
    assert (found.label_names, found.text) == (dataset.label_names, dataset.text)


def test_one_channel_is_left_as_it_is():
    dataset = ArrayDataset({"image": np.zeros((2, 3, 3, 1), np.uint8)})
    assert grey(dataset) is dataset
