"""What losses are not given: shapes that would be broadcast, and numbers that are none."""

import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.losses import fdivergence

KEY = jax.random.key(0)
ROW, COLUMN, THREE = jnp.ones(4), jnp.ones((4, 1)), jnp.ones((4, 3))
NAN, KERNEL = THREE.at[2, 1].set(jnp.nan), losses.gaussian_kernel([1.0])
HALVES = jnp.full(2, 0.5)
KINDS = jnp.arange(4)
PAIR, AVERAGE = (
    make(losses.non_saturating()) for make in (losses.relativistic, losses.relativistic_average)
)

REFUSED = {
    "relativistic": (
        lambda: PAIR.generator(ROW, COLUMN),
        "real has the shape (4,), fake has (4, 1); give both the same shape.",
    ),
    "relativistic average": (lambda: AVERAGE.discriminator(ROW, COLUMN), "real has the shape (4,)"),
    "relativistic average of G": (lambda: AVERAGE.generator(COLUMN, ROW), "fake has (4,)"),
    "penalty": (
        lambda: losses.gradient_penalty(jnp.sum, COLUMN, THREE, KEY),
        "real has the shape (4, 1), fake has (4, 3)",
    ),
    "critic's mean": (
        lambda: losses.r1(jnp.mean, THREE),
        "The critic answers examples of shape (4, 3) with the shape ()",
    ),
    "target": (
        lambda: losses.gradient_penalty(jnp.sum, THREE, THREE, KEY, target=np.nan),
        "target is nan; it must be finite, and not below 0.",
    ),
    "deviation": (
        lambda: losses.dragan(jnp.sum, THREE, KEY, deviation=-1.0),
        "deviation is -1.0; it must be finite, and not below 0.",
    ),
    "embeddings of images": (
        lambda: losses.structured_joint_embedding(THREE[None], THREE, KINDS),
        "image_embeddings has the shape (1, 4, 3); give it as points, (num, features)",
    ),
    "embeddings of other sizes": (
        lambda: losses.structured_joint_embedding(THREE, COLUMN, KINDS),
        "The points of image_embeddings have 3 features, those of text_embeddings 1; give both",
    ),
    "embeddings of more texts": (
        lambda: losses.structured_joint_embedding(THREE, jnp.ones((5, 3)), KINDS),
        "image_embeddings has the shape (4, 3), text_embeddings has (5, 3); give both the same",
    ),
    "too few labels": (
        lambda: losses.structured_joint_embedding(THREE, THREE, KINDS[:3]),
        "labels is int32 of shape (3,); it must be one whole number for each of the 4 examples",
    ),
    "labels that are no classes": (
        lambda: losses.structured_joint_embedding(THREE, THREE, ROW),
        "labels is float32 of shape (4,); it must be one whole number for each of the 4 examples",
    ),
    "margin": (
        lambda: losses.structured_joint_embedding(THREE, THREE, KINDS, margin=-0.1),
        "margin is -0.1; it must be finite, and not below 0.",
    ),
    "kl": (lambda: losses.gaussian_kl(COLUMN, THREE), "log_variance has (4, 3)"),
    "sum": (lambda: losses.summed_elbo(COLUMN, THREE), "log_joint has (4, 3)"),
    "score": (lambda: losses.score_function_elbo(COLUMN, THREE), "log_q has (4, 3)"),
    "bernoulli": (lambda: losses.bernoulli_log_likelihood(COLUMN, THREE), "logits has (4, 3)"),
    "gaussian": (lambda: losses.gaussian_log_likelihood(COLUMN, THREE, 1.0), "mean has (4, 3)"),
    "variance": (
        lambda: losses.gaussian_log_likelihood(THREE, THREE, -1.0),
        "variance holds -1.0; every number in it must be positive and finite.",
    ),
    "discretized": (
        lambda: losses.discretized_logistic_log_likelihood(THREE, THREE, COLUMN),
        "log_scale has (4, 1)",
    ),
    "levels": (
        lambda: losses.discretized_logistic_log_likelihood(THREE, THREE, THREE, num_levels=1),
        "num_levels is 1; it must be an integer, at least 2.",
    ),
    "range": (lambda: losses.bernoulli_log_likelihood(2 * ROW, ROW), "The examples hold 2.0"),
    "elbo": (lambda: losses.elbo(ROW, COLUMN), "kl has (4, 1)"),
    "no sample": (
        lambda: losses.iwae(jnp.zeros((0, 4))),
        "The log-weights have the shape (0, 4), with no sample along axis 0",
    ),
    "no axis": (lambda: losses.effective_samples(jnp.zeros(())), "have the shape (), with no"),
    "features": (
        lambda: losses.mmd2(COLUMN, THREE, KERNEL),
        "The points of x have 1 features, those of y 3; give both the same features.",
    ),
    "images": (
        lambda: losses.gmmn(THREE[..., None], THREE[..., None], KERNEL),
        "x has the shape (4, 3, 1); give it as points, (num, features), at least one (images as "
        "x.reshape(len(x), -1), numbers as x[:, None]).",
    ),
    "kernel": (lambda: KERNEL(COLUMN, THREE), "The points of x have 1 features, those of y 3"),
    "numbers": (lambda: losses.mmd2(ROW, ROW, KERNEL), "x has the shape (4,); give it as points"),
    "nothing": (lambda: losses.mmd2(THREE, THREE[:0], KERNEL), "y has the shape (0, 3)"),
    "nan": (
        lambda: losses.mmd2(THREE, NAN, KERNEL),
        "y holds nan; every number in it must be finite.",
    ),
    "rows": (
        lambda: losses.mmd2(THREE, THREE, KERNEL, chunk_size=0),
        "chunk_size is 0; it must be an integer, at least 1.",
    ),
    "bandwidth": (
        lambda: losses.gaussian_kernel([1.0, 0.0]),
        "One of the bandwidths is 0.0; it must be positive and finite.",
    ),
    "no bandwidth": (
        lambda: losses.gaussian_kernel([]),
        "bandwidths is []; it must be a sequence of at least one number.",
    ),
    "one bandwidth": (lambda: losses.gaussian_kernel(1.0), "bandwidths is 1.0"),
    "alphas": (
        lambda: losses.rational_quadratic_kernel([-1.0]),
        "One of the alphas is -1.0; it must be positive and finite.",
    ),
    "degree": (lambda: losses.polynomial_kernel(0), "degree is 0; it must be an integer"),
    "offset": (lambda: losses.polynomial_kernel(offset=-1.0), "offset is -1.0; it must be finite"),
    "outcomes": (
        lambda: losses.divergence_between(fdivergence.kl(), HALVES, HALVES[:1]),
        "p has the shape (2,), q has (1,)",
    ),
    "probabilities": (
        lambda: losses.divergence_between(fdivergence.kl(), HALVES, -HALVES),
        "q holds -0.5; every number in it must be finite, and not below 0.",
    ),
    "fraction": (
        lambda: losses.logistic_density_ratio(ROW, real_fraction=1.0),
        "real_fraction is 1.0; it must be strictly between 0 and 1.",
    ),
    "alpha": (lambda: fdivergence.alpha(np.nan), "alpha is nan; it must be finite."),
    "log-scale": (
        lambda: losses.discretized_logistic(min_log_scale=-np.inf),
        "min_log_scale is -inf; it must be finite.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused(name, monkeypatch):
    """Outside of these tests nothing checks the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    call, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()


ROWS = {
    "total variation": fdivergence.total_variation(),
    "kl": fdivergence.kl(),
    "reverse kl": fdivergence.reverse_kl(),
    "pearson": fdivergence.pearson_chi2(),
    "neyman": fdivergence.neyman_chi2(),
    "hellinger": fdivergence.squared_hellinger(),
    "jeffrey": fdivergence.jeffrey(),
    "jensen-shannon": fdivergence.jensen_shannon(),
    "gan": fdivergence.gan(),
    "weighted": fdivergence.weighted_jensen_shannon(0.3),
    **{f"alpha {alpha}": fdivergence.alpha(alpha) for alpha in (-1.0, 0.5, 3.0)},
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_no_divergence_hides_what_is_no_number(row):
    nan = jnp.array(jnp.nan)
    loss = losses.f_gan(row)
    curves = (*loss, row.conjugate)
    probabilities = jnp.array([[jnp.nan, 0.5], [-0.5, 1.5], [0.5, 0.5]])

    @jax.jit
    def of_traced(p, q):
        between = losses.divergence_between
        return [curve(nan) for curve in curves], between(row, p, q), between(row, q, p)

    values, *between = of_traced(probabilities, jnp.full((3, 2), 0.5))
    assert np.isnan(values).all()
    for found in between:
        np.testing.assert_array_equal(np.isnan(found), [True, True, False])


def test_no_loss_hides_what_is_no_number():
    """A root that is 0 where x > 0 is false would be 0 of nan."""

    @jax.jit
    def of_traced(x):
        def critic(x):
            return jnp.sum(x**2, axis=1)

        penalty = losses.gradient_penalty(critic, x, x, KEY)
        return losses.gmmn(x, THREE, KERNEL), losses.mmd2(THREE, x, KERNEL), penalty

    root, squared, penalty = of_traced(NAN)
    assert np.isnan([root, squared]).all()
    np.testing.assert_array_equal(np.isnan(penalty), [False, False, True, False])
