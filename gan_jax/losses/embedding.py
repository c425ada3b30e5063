"""Joint embeddings: an image lies by its own text, and far from those of other classes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.checks import NOT_NEGATIVE, check_bound
from gan_jax.losses.inputs import check_features, check_labels, check_same_shape
from gan_jax.losses.precision import at_least_float32


def structured_joint_embedding(
    image_embeddings: Float[Array, "num dim"],
    text_embeddings: Float[Array, "num dim"],
    labels: Int[Array, " num"],
    *,
    margin: float = 1.0,
) -> Float[Array, " num"]:
    """1/N Σ_{j: y_j ≠ y_i} max(0, m + F_ij - F_ii) + max(0, m + F_ji - F_ii), F_ij = ⟨v_i, t_j⟩.

    One number for each of the N pairs (v_i, t_i), m = `margin`: the first term is that of texts by
    image, the second of images by text; embeddings exchanged, the sum is the same. Nothing is
    normalised. It is 0 where each pair's score exceeds by the margin those of its image and of its
    text with others. Pairs of one class are not compared: the authors draw batches of N distinct
    ones. It is no mean over independent examples: under `pmap` an example meets those of its own
    device alone.

    Of the terms of an example the paper takes the largest over classes; this is their sum, as the
    authors' code has it.

    >>> import jax.numpy as jnp
    >>> from gan_jax import losses
    >>> images, texts = jnp.eye(2), jnp.array([[3.0, 0.0], [2.5, 0.5]])
    >>> losses.structured_joint_embedding(images, texts, jnp.arange(2)).tolist()
    [0.25, 1.75]

    Reed, Akata, Lee & Schiele 2016 (CVPR), section 3.

    Raises:
        ValueError: the embeddings are no rows of one shape, a label is missing or no whole number,
            or the margin is negative or not finite.
    """
    check_bound(NOT_NEGATIVE, margin=margin)
    check_features(image_embeddings=image_embeddings, text_embeddings=text_embeddings)
    check_same_shape(image_embeddings=image_embeddings, text_embeddings=text_embeddings)
    check_labels(len(image_embeddings), labels=labels)
    images, texts = at_least_float32(image_embeddings), at_least_float32(text_embeddings)
    scores = jnp.matmul(images, texts.T, precision="highest")
    right = jnp.diagonal(scores)[:, None]
    terms = jax.nn.relu(margin + scores - right) + jax.nn.relu(margin + scores.T - right)
    return jnp.mean(jnp.where(labels[:, None] != labels[None, :], terms, 0), axis=1)
