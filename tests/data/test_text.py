import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import text

SCENES = jnp.array([0, 1, 2, 1] * 500)
CAPTIONS = np.arange(12).reshape(3, 4)


def by_scene(num=None):
    feed = data.drawn_feed(lambda key, size: {"label": SCENES}, batch_size=len(SCENES))
    feed = data.captioned(feed, CAPTIONS, num=num)
    (chunk,) = feed.chunks([(0, 1)])
    return lambda key: feed.read(key, feed.resident, jnp.asarray(chunk[0]))["text"]


def test_the_alphabet_is_that_of_the_authors():
    assert len(text.ALPHABET) == 70
    assert len(set(text.ALPHABET)) == 69
    assert text.ALPHABET.count("-") == 2


def test_characters_are_numbered_by_their_places():
    codes = data.characters(["aZ09 -}"])
    assert codes.shape == (1, 201)
    assert codes.dtype == np.int32
    assert codes[0, :8].tolist() == [1, 26, 27, 36, 70, 37, 69, 0]
    assert not codes[0, 7:].any()


@pytest.mark.parametrize(
    ("sentence", "codes"),
    [
        ("", [0, 0, 0]),
        ("abcdef", [1, 2, 3]),
        ("aéb", [1, 0, 2]),
        ("круг", [0, 0, 0]),
        ("丸🔴\n", [0, 0, 0]),
        ("İa", [9, 0, 1]),  # small, it is an i and a dot of its own
        ("\ud800a", [0, 1, 0]),
    ],
)
def test_any_text_has_its_codes(sentence, codes):
    assert data.characters([sentence], length=3).tolist() == [codes]


def test_words_are_of_any_script_and_unknown_ones_are_0():
    known = text.vocabulary(["A red circle, isn't it?", "Круг 2"])
    assert list(known) == ["2", "a", "circle", "isn't", "it", "red", "круг"]
    assert list(known.values()) == [1, 2, 3, 4, 5, 6, 7]
    codes = text.words(["red круг and a blue circle", "", "_ ,"], known, length=4)
    assert codes.tolist() == [[6, 7, 0, 2], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert codes.dtype == np.int32


@pytest.mark.parametrize("number", [data.characters, lambda s, **k: text.words(s, {}, **k)])
def test_sentences_are_several(number):
    with pytest.raises(ValueError, match="one string; give a list"):
        number("a red circle", length=5)
    with pytest.raises(ValueError, match="length is 0; it must be an integer, at least 1"):
        number(["a red circle"], length=0)


def test_a_caption_is_of_the_scene_and_drawn_anew():
    read = by_scene()
    drawn = np.asarray(read(jax.random.key(0)))
    np.testing.assert_array_equal(drawn // 4, SCENES)
    shares = np.bincount(drawn[SCENES == 1] % 4, minlength=4) / 1000
    np.testing.assert_allclose(shares, 0.25, atol=4 * np.sqrt(0.25 * 0.75 / 1000))
    assert np.mean(drawn == read(jax.random.key(1))) < 0.35


def test_several_captions_are_different_ones_of_the_scene():
    drawn = np.asarray(by_scene(3)(jax.random.key(0)))
    assert drawn.shape == (2000, 3)
    np.testing.assert_array_equal(drawn // 4, np.asarray(SCENES)[:, None] + [0, 0, 0])
    assert all(len(set(row)) == 3 for row in drawn.tolist())
    assert by_scene(1)(jax.random.key(0)).shape == (2000, 1)


@pytest.mark.parametrize("num", [0, 5])
def test_there_are_as_many_captions_as_are_asked_for(num):
    with pytest.raises(ValueError, match=f"num is {num}"):
        by_scene(num)
