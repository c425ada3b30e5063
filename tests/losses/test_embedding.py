"""The structured joint embedding against its sums, and where it is nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.losses import structured_joint_embedding

IMAGES, TEXTS = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 3)), jnp.float32)
LABELS = jnp.array([0, 1, 0, 2, 1])


def in_numpy(v, t, labels, margin):
    """As in the paper's text: first the texts that an image could have, then the reverse."""
    v, t = np.float64(v), np.float64(t)

    def of(i):
        others = [j for j in range(len(v)) if labels[j] != labels[i]]
        texts = sum(max(0, margin + v[i] @ t[j] - v[i] @ t[i]) for j in others)
        images = sum(max(0, margin + v[j] @ t[i] - v[i] @ t[i]) for j in others)
        return (texts + images) / len(v)

    return [of(i) for i in range(len(v))]


@pytest.mark.parametrize("margin", [1.0, 0.3])
@pytest.mark.parametrize("scale", [1, 1e6])
def test_it_is_its_sums(scale, margin):
    expected = in_numpy(scale * IMAGES, scale * TEXTS, LABELS, margin)
    assert min(expected) > 0
    found = structured_joint_embedding(scale * IMAGES, scale * TEXTS, LABELS, margin=margin)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_it_is_0_where_each_pair_wins_by_the_margin_and_not_by_less():
    v, labels = 2 * jnp.eye(3), jnp.arange(3)
    np.testing.assert_array_equal(structured_joint_embedding(v, v, labels, margin=4.0), 0)
    found = structured_joint_embedding(v, v, labels, margin=4.3)
    np.testing.assert_allclose(found, 4 / 3 * 0.3, rtol=1e-5)


def test_images_and_texts_may_be_exchanged():
    there, back = (
        structured_joint_embedding(*pair, LABELS) for pair in ((IMAGES, TEXTS), (TEXTS, IMAGES))
    )
    np.testing.assert_allclose(there, back, rtol=1e-5)


def test_pairs_of_one_class_are_not_compared():
    one = jnp.zeros(5, int)
    loss = lambda v, t: structured_joint_embedding(v, t, one).sum()  # noqa: E731
    for value in (loss(IMAGES, TEXTS), *jax.grad(loss, (0, 1))(IMAGES, TEXTS)):
        np.testing.assert_array_equal(value, 0)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_large_embeddings_have_a_finite_loss_and_gradient_in_float32(dtype):
    v, t = (1e6 * IMAGES).astype(dtype), (1e6 * TEXTS).astype(dtype)
    loss = lambda v, t: structured_joint_embedding(v, t, LABELS)  # noqa: E731
    found, transposed = jax.vjp(loss, v, t)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, in_numpy(v, t, LABELS, 1.0), rtol=1e-5)
    gradients = transposed(jnp.ones(5))
    assert all(np.isfinite(g).all() and np.abs(g).min() > 0 for g in gradients)
