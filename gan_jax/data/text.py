"""Sentences as numbers, and the captions of a batch's examples."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Shaped

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.typing import Batch, Feed, KeyArray

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
"""The 70 characters of the authors' code, of which the hyphen is there twice."""
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def characters(sentences: Sequence[str], *, length: int = 201) -> Int32[np.ndarray, "num {length}"]:
    """Number the characters of each sentence by their places in `ALPHABET`, from 1 on.

    Letters are made small. 0 stands for all else, such as other scripts and accents, and for what
    follows the end; what is beyond `length` is cut off. So an empty sentence is all 0, as is one
    that has no character of the alphabet.

    >>> from gan_jax import data
    >>> data.characters(["Bad é", ""], length=6).tolist()
    [[2, 1, 4, 70, 0, 0], [0, 0, 0, 0, 0, 0]]

    Reed, Akata, Schiele & Lee 2016, section 5, and the authors' code.

    Raises:
        ValueError: `length` is below 1, or one string stands where there should be several.
    """
    _check(sentences, length)
    numbered = [[ALPHABET.find(one) + 1 for one in sentence.lower()] for sentence in sentences]
    return _rows(numbered, length)


def vocabulary(sentences: Iterable[str]) -> dict[str, int]:
    """Number the words of all sentences, from 1 on, in the order of the alphabet.

    A word is letters and digits of any script, made small, with apostrophes inside.
    """
    words = sorted({word for sentence in sentences for word in _words(sentence)})
    return {word: number for number, word in enumerate(words, 1)}


def words(
    sentences: Sequence[str], vocabulary: Mapping[str, int], *, length: int
) -> Int32[np.ndarray, "num {length}"]:
    """Number the words of each sentence; 0 is what the vocabulary lacks, and what follows the end.

    Words beyond `length` are cut off.

    >>> from gan_jax.data import text
    >>> known = text.vocabulary(["A red circle", "a blue circle"])
    >>> text.words(["a green circle"], known, length=4).tolist()
    [[1, 0, 3, 0]]

    Raises:
        ValueError: as `characters`.
    """
    _check(sentences, length)
    numbered = [[vocabulary.get(word, 0) for word in _words(sentence)] for sentence in sentences]
    return _rows(numbered, length)


def captioned(
    feed: Feed,
    captions: Shaped[Array, "scenes captions *shape"] | np.ndarray,
    *,
    scene: str = "label",
    num: int | None = None,
) -> Feed:
    """Add to each batch the field `text`: one of the captions of each example's scene, or several.

    They are drawn anew whenever an example is seen, from a scene's own with equal chance.

    Args:
        captions: of every scene as many, as `characters` gives them or in any other form.
        scene: the batch's field that says of which scene an example is.
        num: how many different ones, along a second axis; None is one, without that axis.

    Raises:
        ValueError: `num` is below 1, or there are not so many captions.
    """
    held = jnp.asarray(captions)
    check_bound(AT_LEAST_1, num=1 if num is None else num)
    if (num or 1) > held.shape[1]:
        raise Refusal(
            f"num is {num}, but a scene has {held.shape[1]} captions: take at most so many."
        )

    def read(key: KeyArray, resident: Mapping[str, Any], item: Any) -> Batch:
        key_read, key_caption = jax.random.split(key)
        batch = feed.read(key_read, resident["feed"], item)
        chance = jax.random.uniform(key_caption, (len(batch[scene]), held.shape[1]))
        which = jnp.argsort(chance, axis=1)[:, : num or 1]
        drawn = resident["captions"][batch[scene][:, None], which]
        return {**batch, "text": drawn[:, 0] if num is None else drawn}

    return feed._replace(resident={"feed": feed.resident, "captions": held}, read=read)


def _words(sentence: str) -> list[str]:
    return WORD.findall(sentence.lower())


def _rows(numbered: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """A row for each sentence: what is longer is cut off, and 0 follows what is shorter."""
    rows = np.zeros((len(numbered), length), np.int32)
    for row, numbers in zip(rows, numbered, strict=True):
        row[: len(numbers)] = numbers[:length]
    return rows


def _check(sentences: Sequence[str], length: int) -> None:
    check_bound(AT_LEAST_1, length=length)
    if isinstance(sentences, str):
        raise Refusal(f"sentences is {sentences!r}, one string; give a list of such.")
