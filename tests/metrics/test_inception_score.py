"""The inception score, by its definition and at both of its ends."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import inception_score

LOGITS = 3 * np.random.RandomState(2).randn(500, 10)
GOLDEN = 3.98194959152  # torch-fidelity 0.4.0, not shuffled


def by_definition(logits):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.exp((p * np.log(p / p.mean(axis=0))).sum(axis=1).mean())


def test_the_value_of_the_reference_package():
    mean, std = inception_score(LOGITS)
    np.testing.assert_allclose(mean, GOLDEN, rtol=1e-11)
    assert std == 0


@pytest.mark.parametrize("num_splits", [1, 3, 500])
def test_splits_follow_one_another(num_splits):
    """500 is no multiple of 3: they have 166, 167 and 167 examples."""
    bounds = [500 * i // num_splits for i in range(num_splits + 1)]
    scores = [by_definition(LOGITS[a:b]) for a, b in itertools.pairwise(bounds)]
    found = inception_score(LOGITS, num_splits=num_splits)
    np.testing.assert_allclose(found, (np.mean(scores), np.std(scores)), rtol=1e-10, atol=1e-12)


def test_it_reaches_from_one_to_the_number_of_classes():
    """With certain logits: exp(-1000) is 0 in float64."""
    np.testing.assert_allclose(inception_score(1_000 * np.eye(7))[0], 7, rtol=1e-12)
    np.testing.assert_allclose(inception_score(1_000 * np.eye(7)[[2, 2, 2]])[0], 1, rtol=1e-12)
    np.testing.assert_allclose(inception_score(LOGITS[:1])[0], 1, rtol=1e-12)


def test_neither_a_shift_of_logits_nor_the_order_of_examples_counts():
    shifted = LOGITS[::-1] + np.linspace(-1e4, 1e4, 500)[:, None]
    np.testing.assert_allclose(inception_score(shifted)[0], GOLDEN, rtol=1e-10)


def test_half_precision_is_widened():
    half = jnp.bfloat16(LOGITS)
    expected = by_definition(np.asarray(half, np.float64))
    np.testing.assert_allclose(inception_score(half)[0], expected, rtol=1e-11)


def test_there_are_examples_for_every_split():
    with pytest.raises(ValueError, match="num_splits is 4; it must be at most 3"):
        inception_score(LOGITS[:3], num_splits=4)
