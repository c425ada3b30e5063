"""Retrieval: what lies nearest by inner product, and whether it is of the right class."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_labels, check_points
from gan_jax.losses.precision import at_least_float32
from gan_jax.metrics.blocks import placed
from gan_jax.typing import Scalar


def retrieval_accuracy(
    queries: Float[Array | np.ndarray, "num_queries dim"],
    candidates: Float[Array | np.ndarray, "num_candidates dim"],
    query_labels: Int[Array | np.ndarray, " num_queries"],
    candidate_labels: Int[Array | np.ndarray, " num_candidates"],
) -> Scalar:
    """The share of queries whose label is that of argmax_j ⟨q, c_j⟩, among equals the first.

    The paper classifies images so: the queries are theirs, and the candidates the classes', each
    the mean embedding of all captions of the class.

    >>> import jax.numpy as jnp
    >>> from gan_jax import metrics
    >>> queries, candidates = jnp.array([[1.0, 0.0], [1.0, 2.0]]), jnp.eye(2)
    >>> print(metrics.retrieval_accuracy(queries, candidates, jnp.array([0, 0]), jnp.arange(2)))
    0.5

    Reed, Akata, Lee & Schiele 2016 (CVPR), section 5.

    Raises:
        ValueError: as `precision_at`.
    """
    return precision_at(queries, candidates, query_labels, candidate_labels, num=1)


def precision_at(
    queries: Float[Array | np.ndarray, "num_queries dim"],
    candidates: Float[Array | np.ndarray, "num_candidates dim"],
    query_labels: Int[Array | np.ndarray, " num_queries"],
    candidate_labels: Int[Array | np.ndarray, " num_candidates"],
    *,
    num: int = 50,
) -> Scalar:
    """The mean share of a query's label among the `num` candidates of its highest inner products.

    Among equals the first candidates count. It is the paper's AP@50, without weights by rank, where
    the queries are the classes' mean embeddings of captions and the candidates images. A class of
    fewer than `num` candidates does not reach 1. All inner products are held at once.

    Reed, Akata, Lee & Schiele 2016 (CVPR), section 5, and the authors' code.

    Raises:
        ValueError: queries and candidates are no rows of equally many features, or hold a number
            that is not finite (traced, the share is nan); a label is missing or no whole number;
            `num` is below 1, or above the number of candidates.
    """
    check_bound(AT_LEAST_1, num=num)
    check_points(queries=queries, candidates=candidates)
    check_labels(len(queries), query_labels=query_labels)
    check_labels(len(candidates), candidate_labels=candidate_labels)
    if num > len(candidates):
        raise Refusal(
            f"num is {num}, and there are {len(candidates)} candidates; take at most so many."
        )
    arrays = map(placed, (queries, candidates, query_labels, candidate_labels))
    return _precision_at(*arrays, num=num)


@partial(jax.jit, static_argnames="num")
def _precision_at(
    queries: Float[Array, "n dim"],
    candidates: Float[Array, "m dim"],
    query_labels: Int[Array, " n"],
    candidate_labels: Int[Array, " m"],
    *,
    num: int,
) -> Scalar:
    queries, candidates = at_least_float32(queries), at_least_float32(candidates)
    scores = jnp.matmul(queries, candidates.T, precision="highest")
    _, best = jax.lax.top_k(scores, num)
    share = jnp.mean(candidate_labels[best] == query_labels[:, None])
    finite = jnp.all(jnp.isfinite(queries)) & jnp.all(jnp.isfinite(candidates))
    return jnp.where(finite, share, jnp.nan)
