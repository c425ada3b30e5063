"""What metrics are not given: shapes that would be broadcast, and numbers that are none."""

import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from gan_jax import losses, metrics

KEY = jax.random.key(0)
ROW, COLUMN, PLANE = jnp.ones(5), jnp.ones((5, 1)), jnp.ones((5, 2))
NAN = PLANE.at[0, 0].set(jnp.nan)
HALVES = np.full(2, 0.5)
KINDS = np.arange(5)
GRID = np.linspace(-1, 1, 5)
KL = losses.fdivergence.kl()


def weights_of(*shape):
    return lambda *_: jnp.zeros(shape)


def annealed(**arguments):
    arguments = {"log_likelihood": weights_of(2, 3), "batch_size": 3, "latent_dim": 1} | arguments
    return metrics.annealed_log_likelihood(KEY, **arguments)


def importance(log_weights):
    return metrics.importance_log_likelihood(KEY, log_weights, num_samples=4, chunk_size=2)


def subsets(indices_x, indices_y):
    indices = {"indices_x": np.asarray(indices_x), "indices_y": np.asarray(indices_y)}
    return metrics.kernel_distance_subsets(PLANE, PLANE, **indices)


def in_parts(batch, part_size):
    return metrics.log_likelihoods_in_parts(
        KEY, weights_of(1, 1), batch, num_samples=1, part_size=part_size
    )


REFUSED = {
    "precision of nan": (
        lambda: metrics.precision_recall(PLANE, NAN),
        "generated holds nan; every number in it must be finite.",
    ),
    "precision of images": (
        lambda: metrics.precision_recall(PLANE[..., None], PLANE[..., None]),
        "real has the shape (5, 2, 1); give it as points, (num, features), at least one (images as "
        "x.reshape(len(x), -1), numbers as x[:, None]).",
    ),
    "precision of other features": (
        lambda: metrics.precision_recall(PLANE, COLUMN),
        "The points of real have 2 features, those of generated 1; give both the same features.",
    ),
    "neighbours": (lambda: metrics.precision_recall(PLANE, PLANE, k=-1), "k is -1; it must be an"),
    "density of nan": (
        lambda: metrics.density_coverage(NAN, PLANE),
        "real holds nan; every number in it must be finite.",
    ),
    "other neighbours": (
        lambda: metrics.prdc(PLANE, PLANE, k_density=0),
        "k_density is 0; it must be an integer, at least 1.",
    ),
    "rows of distances": (
        lambda: metrics.prdc(PLANE, PLANE, chunk_size=0),
        "chunk_size is 0; it must be an integer, at least 1.",
    ),
    "kernel of nan": (lambda: metrics.kernel_distance(PLANE, NAN), "y holds nan; every number"),
    "kernel of other features": (
        lambda: metrics.kernel_distance(PLANE, COLUMN),
        "The points of x have 2 features, those of y 1; give both the same features.",
    ),
    "rows of the kernel": (
        lambda: metrics.kernel_distance(PLANE, PLANE, chunk_size=0),
        "chunk_size is 0; it must be an integer, at least 1.",
    ),
    "no point five": (
        lambda: subsets([[0, 5]], [[0, 1]]),
        "indices_x holds 5; every number in it must be from 0 to 4.",
    ),
    "no point below 0": (lambda: subsets([[0, 1]], [[-1, 1]]), "indices_y holds -1; every number"),
    "one subset fewer": (
        lambda: subsets([[0, 1], [1, 2]], [[0, 1]]),
        "indices_y has the shape (1, 2); give one row of at least 2 indices for each subset",
    ),
    "subsets of one": (lambda: subsets([[0], [1]], [[0, 1]] * 2), "indices_x has the shape (2, 1)"),
    "no subset": (lambda: subsets(np.zeros((0, 2), int), [[0, 1]]), "indices_x has the shape (0,"),
    "indices in a row": (lambda: subsets([0, 1], [[0, 1]]), "indices_x has the shape (2,); give"),
    "moments of nan": (
        lambda: metrics.frechet_distance(PLANE, NAN),
        "y holds nan; every number in it must be finite.",
    ),
    "moments of images": (
        lambda: metrics.Moments.of(PLANE[..., None]),
        "x has the shape (5, 2, 1); give it as points, (num, features)",
    ),
    "rows of moments": (
        lambda: metrics.Moments.of(PLANE, chunk_size=0),
        "chunk_size is 0; it must be an integer, at least 1.",
    ),
    "logits of nan": (
        lambda: metrics.inception_score(NAN),
        "logits holds nan; every number in it must be finite.",
    ),
    "splits": (
        lambda: metrics.inception_score(PLANE, num_splits=0),
        "num_splits is 0; it must be an integer, at least 1.",
    ),
    "std": (
        lambda: metrics.mode_coverage(PLANE, PLANE, std=np.nan),
        "std holds nan; every number in it must be positive and finite.",
    ),
    "modes": (
        lambda: metrics.mode_coverage(COLUMN, PLANE, std=1.0),
        "The points of points have 1 features, those of means 2",
    ),
    "means": (lambda: metrics.mode_coverage(PLANE, NAN, std=1.0), "means holds nan"),
    "one point": (lambda: metrics.mode_coverage(PLANE[0], PLANE, std=1.0), "shape (2,); give it"),
    "masses": (
        lambda: metrics.chi2_divergence(HALVES, [np.nan, 0.5]),
        "q holds nan; every number in it must be finite, and not below 0.",
    ),
    "negative masses": (lambda: metrics.kl_divergence([-1, 2], HALVES), "p holds -1; every"),
    "outcomes": (
        lambda: metrics.total_variation_distance(HALVES, HALVES[:, None]),
        "p has the shape (2,), q has (2, 1); give both the same outcomes, along their last axis.",
    ),
    "a scalar": (lambda: metrics.jensen_shannon_divergence(1.0, 1.0), "p has the shape (), q has"),
    "grids": (
        lambda: metrics.jensen_shannon_on_grid(np.ones((2, 3)), np.ones((3, 2))),
        "p has the shape (2, 3), q has (3, 2)",
    ),
    "no density": (
        lambda: metrics.jensen_shannon_on_grid([0, 0], HALVES),
        "Give 2 weights, one a point: finite, none of them negative, and not all 0.",
    ),
    "slopes": (
        lambda: metrics.pushforward_density(GRID, made=[0, 1], slopes=[1], density=HALVES),
        "made has the shape (2,), slopes has (1,)",
    ),
    "slopes of nan": (
        lambda: metrics.pushforward_density(GRID, made=[0, 1], slopes=[1, np.nan], density=HALVES),
        "slopes holds nan; every number in it must be finite.",
    ),
    "points on the line": (
        lambda: metrics.wasserstein(ROW, ROW),
        "x has the shape (5,); give it as points, (num, features)",
    ),
    "points in the plane": (
        lambda: metrics.wasserstein_1d(ROW, PLANE),
        "y has the shape (5, 2); give it as numbers along one axis, or use `wasserstein`",
    ),
    "other spaces": (lambda: metrics.wasserstein(PLANE, COLUMN), "those of y 1; give both"),
    "nan on the line": (lambda: metrics.wasserstein_1d([0, np.nan], [0, 1]), "x holds nan"),
    "nan in the plane": (lambda: metrics.wasserstein(PLANE, NAN), "y holds nan"),
    "weights": (
        lambda: metrics.wasserstein(COLUMN, COLUMN, [np.inf, 1, 1, 1, 1]),
        "Give 5 weights, one a point: finite",
    ),
    "weights on the line": (
        lambda: metrics.wasserstein_1d(ROW, ROW, None, [np.nan, 1, 1, 1, 1]),
        "Give 5 weights, one a point: finite",
    ),
    "deviation": (lambda: metrics.normal_on_grid(GRID, 0.0, 0.0), "deviation is 0.0; it must be"),
    "mean": (lambda: metrics.normal_on_grid(GRID, np.nan, 1.0), "mean is nan; it must be finite"),
    "deviations": (
        lambda: metrics.normals_on_grid(GRID, [0.0, 1.0], [1.0]),
        "means has the shape (2,), deviations has (1,)",
    ),
    "mass": (lambda: metrics.closest_normal(metrics.kl_divergence, HALVES, GRID), "Give 5 weights"),
    "f-divergence": (
        lambda: metrics.f_divergence(KL, HALVES, np.ones(1)),
        "p has the shape (2,), q has (1,)",
    ),
    "outputs": (
        lambda: metrics.f_gan_bound(losses.f_gan(KL), jnp.ones(1), HALVES, HALVES),
        "The outputs have the shape (1,), p has (2,)",
    ),
    "bound of nan": (
        lambda: metrics.f_gan_bound(losses.f_gan(KL), jnp.ones(2), HALVES, np.nan * HALVES),
        "q holds nan",
    ),
    "theta": (
        lambda: metrics.between_parallel_lines(np.array([np.nan])),
        "theta holds nan; every number in it must be finite.",
    ),
    "retrieval of nan": (
        lambda: metrics.retrieval_accuracy(PLANE, NAN, KINDS, KINDS),
        "candidates holds nan; every number in it must be finite.",
    ),
    "retrieval in another space": (
        lambda: metrics.retrieval_accuracy(PLANE, COLUMN, KINDS, KINDS),
        "The points of queries have 2 features, those of candidates 1",
    ),
    "labels of queries": (
        lambda: metrics.precision_at(PLANE, PLANE, KINDS[:2], KINDS, num=2),
        "query_labels is int64 of shape (2,); it must be one whole number for each of the 5",
    ),
    "labels of candidates": (
        lambda: metrics.precision_at(PLANE, PLANE, KINDS, ROW, num=2),
        "candidate_labels is float32 of shape (5,); it must be one whole number for each",
    ),
    "no candidate": (
        lambda: metrics.precision_at(PLANE, PLANE, KINDS, KINDS, num=0),
        "num is 0; it must be an integer, at least 1.",
    ),
    "more than all candidates": (
        lambda: metrics.precision_at(PLANE, PLANE, KINDS, KINDS),
        "num is 50, and there are 5 candidates; take at most so many.",
    ),
    "values": (
        lambda: metrics.spread(np.ones((2, 2))),
        "The values have the shape (2, 2); give one number for each seed, along one axis.",
    ),
    "parzen": (
        lambda: metrics.parzen_log_likelihood(COLUMN, PLANE, 1.0),
        "The points of x have 1 features, those of samples 2",
    ),
    "parzen of nan": (
        lambda: metrics.parzen_bandwidth(PLANE, NAN, [1.0]),
        "samples holds nan; every number in it must be finite.",
    ),
    "parzen's rows": (
        lambda: metrics.parzen_log_likelihood(PLANE, PLANE, 1.0, chunk_size=0),
        "chunk_size is 0; it must be an integer, at least 1.",
    ),
    "candidates": (
        lambda: metrics.parzen_bandwidth(PLANE, PLANE, []),
        "There are no candidates; give at least one bandwidth.",
    ),
    "units": (lambda: metrics.active_units(NAN), "means holds nan; every number in it must be"),
    "one example": (
        lambda: metrics.active_units(PLANE[:1]),
        "The number of examples is 1; it must be an integer, at least 2.",
    ),
    "threshold": (lambda: metrics.active_units(PLANE, np.nan), "threshold is nan; it must be"),
    "gaps": (
        lambda: metrics.inference_gaps(log_likelihood=ROW, best_bound=ROW, amortised_bound=COLUMN),
        "log_likelihood has the shape (5,), amortised_bound has (5, 1)",
    ),
    "samples": (
        lambda: importance(weights_of(3)),
        "log_weights gives the shape (3,) for 2 samples; it must give one number for each sample "
        "and example, (samples, batch).",
    ),
    "other samples": (lambda: importance(weights_of(1, 3)), "gives the shape (1, 3) for 2 samples"),
    "chains": (
        lambda: annealed(num_chains=2, log_likelihood=weights_of(3)),
        "log_likelihood gives the shape (3,) for latents of shape (2, 3, 1); it must give one "
        "number for each chain and example, (2, 3).",
    ),
    "temperatures": (
        lambda: annealed(num_temperatures=2.5),
        "num_temperatures is 2.5; it must be an integer, at least 1.",
    ),
    "step": (lambda: annealed(step_size=np.nan), "step_size is nan; it must be positive"),
    "parts": (
        lambda: in_parts({"image": PLANE}, 0),
        "part_size is 0; it must be an integer, at least 1.",
    ),
    "no part": (lambda: in_parts({"image": PLANE[:0]}, 1), "The number of examples is 0; it must"),
    "nothing": (lambda: in_parts({}, 1), "The number of examples is 0; it must"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused(name, monkeypatch):
    """Outside of these tests nothing checks the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    call, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()


def test_what_is_traced_and_no_number_comes_out_as_none():
    @jax.jit
    def of(points, std):
        return (
            metrics.precision_recall(PLANE, points),
            metrics.precision_recall(points, PLANE),
            metrics.mode_coverage(PLANE, points, std)[1:],
            metrics.mode_coverage(PLANE, PLANE, jnp.nan * std)[1:],
            metrics.parzen_log_likelihood(PLANE, points, 1.0),
        )

    assert all(np.isnan(value).all() for value in jax.tree.leaves(of(NAN, 1.0)))
    there, back, *_ = of(PLANE, 1.0)
    assert there == back == (1, 1)
