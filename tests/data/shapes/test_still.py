import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gan_jax.data import shapes

CODES = np.concatenate([shapes.scenes(split).codes for split in ("train", "test")])
BLACK = -jnp.ones((1, 32, 32, 3))
draw = jax.jit(shapes.draw, static_argnames="size")
read = jax.jit(shapes.read_attributes)


def columns(codes):
    """By attribute, as what is read."""
    return dict(zip(shapes.ATTRIBUTES, np.moveaxis(codes, -1, 0), strict=True))


def assert_reads(images, codes):
    for name, expected in columns(codes).items():
        np.testing.assert_array_equal(read(images)[name], expected, name)


def assert_unreadable(images, share):
    for name, found in read(images).items():
        assert np.mean(np.asarray(found) == -1) >= share, name


def test_every_combination_is_in_one_split():
    assert CODES.shape == (168, 1, 4)
    assert len(np.unique(CODES, axis=0)) == 168
    held_out = shapes.scenes("test").codes[:, 0, :3]
    assert len(np.unique(held_out, axis=0)) == 6
    assert len(np.unique(held_out[:, ::2], axis=0)) == 6, "one of each size and shape"
    assert len(np.unique(held_out[:, 1])) == 6, "each of another colour"


def test_two_figures_are_in_different_quarters():
    train, test = (shapes.scenes(split, num_shapes=2).codes for split in ("train", "test"))
    assert len(np.unique(np.concatenate([train, test]), axis=0)) == 6 * 42 * 42
    assert np.all(train[:, 0, 3] < train[:, 1, 3])
    held_out = {tuple(code) for code in shapes.scenes("test").codes[:, 0, :3].tolist()}
    seen = [any(tuple(figure[:3]) in held_out for figure in scene) for scene in train.tolist()]
    assert not any(seen)
    assert all(any(tuple(f[:3]) in held_out for f in scene) for scene in test.tolist())


def test_five_sentences_say_all_of_a_scene():
    found = shapes.scenes("train", num_shapes=2)
    for scene, five in zip(found.codes[::50], found.sentences[::50], strict=True):
        assert len(set(five)) == 5
        for code in scene:
            names = zip(shapes.ATTRIBUTES.values(), code, strict=True)
            words = [of_one[index] for of_one, index in names]
            assert all(word in sentence for sentence in five for word in words)


def test_sentences_are_all_on_one_figure():
    assert len(set(shapes.sentences())) == 840
    assert shapes.sentences()[0] == "a large red circle in the upper left"
    assert shapes.sentences()[720:725] == list(shapes.scenes("test").sentences[0])


@pytest.mark.parametrize("size", [16, 32])
def test_the_oracle_reads_every_real_picture(size):
    codes = CODES.repeat(2, axis=0)
    images = draw(jax.random.key(size), codes, size=size)
    assert images.shape == (336, size, size, 3)
    assert -1 <= jnp.min(images) < jnp.max(images) <= 1
    assert_reads(images, codes[:, 0])


@pytest.mark.slow
def test_the_oracle_reads_no_other_picture():
    rng = np.random.default_rng(0)
    uniform, normal = rng.uniform(-1, 1, (100, 32, 32, 3)), rng.normal(size=(100, 32, 32, 3))
    assert_unreadable(jnp.asarray(uniform, jnp.float32), 1)
    assert_unreadable(jnp.asarray(np.clip(normal, -1, 1), jnp.float32), 1)
    assert_unreadable(BLACK, 1)
    assert_unreadable(-BLACK, 1)
    real = np.asarray(draw(jax.random.key(0), CODES))
    assert_unreadable(jnp.asarray(gaussian_filter(real, (0, 3, 3, 0))), 0.95)
    assert_reads(jnp.asarray(gaussian_filter(real, (0, 0.5, 0.5, 0))), CODES[:, 0])


def test_a_picture_is_read_by_what_is_in_it():
    """A figure that is turned over, moved or dyed is read as what it then is."""
    codes = np.array([[[0, 0, 1, 0]]])
    image = draw(jax.random.key(1), codes)
    assert_reads(image[:, :, ::-1], np.array([[0, 0, 1, 1]]))
    assert_reads(image[:, ::-1], np.array([[0, 0, 1, 2]]))
    assert_reads(image[..., ::-1], np.array([[0, 2, 1, 0]]))
    assert_reads(jnp.maximum(image, image[..., [1, 0, 2]]), np.array([[0, 3, 1, 0]]))


def test_figures_of_one_size_have_one_area():
    light = (draw(jax.random.key(2), CODES, size=64) + 1) / 2
    area = np.max(np.asarray(light), axis=-1).mean((1, 2))
    radius = shapes.RADII[CODES[:, 0, 0]]
    np.testing.assert_allclose(area, np.pi * radius**2, rtol=0.02)


def test_the_places_of_figures_are_drawn():
    codes = np.tile(CODES[:1], (400, 1, 1))
    light = (np.asarray(draw(jax.random.key(3), codes))[..., 0] + 1) / 2
    centre = np.einsum("nhw,h->n", light, (np.arange(32) + 0.5) / 32) / light.sum((1, 2))
    room = 0.25 - np.sqrt(np.pi / 2) * 0.19
    assert abs(centre - 0.25).max() <= room + 1e-3
    np.testing.assert_allclose(centre.mean(), 0.25, atol=4 * room / np.sqrt(3 * 400))
    np.testing.assert_allclose(centre.std(), room / np.sqrt(3), rtol=0.1)


def test_two_figures_are_read_by_their_quarters():
    codes = shapes.scenes("test", num_shapes=2).codes[::25]
    found = jax.jit(shapes.read_places)(draw(jax.random.key(4), codes))
    for name, expected in columns(codes).items():
        quarters = np.full((len(codes), 4), -1)
        np.put_along_axis(quarters, codes[..., 3], expected, axis=1)
        np.testing.assert_array_equal(found[name], quarters, name)


@pytest.mark.parametrize("choice", [("valid", 1), ("train", 3), ("train", 0)])
def test_there_are_two_splits_of_one_or_two_figures(choice):
    with pytest.raises(ValueError, match="choose train or test, and 1 or 2"):
        shapes.scenes(choice[0], num_shapes=choice[1])


def test_small_pictures_are_refused():
    with pytest.raises(ValueError, match="size is 8; it must be at least 16"):
        shapes.draw(jax.random.key(0), CODES, size=8)
    with pytest.raises(ValueError, match="size is 8; it must be at least 16"):
        shapes.read_attributes(BLACK[:, :8, :8])
