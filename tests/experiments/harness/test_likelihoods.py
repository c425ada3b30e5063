"""What the experiments on explicit densities share: schedules, estimates and refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import amortisation_gap, autoencoder, cvae, hierarchical_vae, iwae, vae
from experiments.harness import likelihoods
from gan_jax import data
from gan_jax.games import Weights

KEY = jax.random.key(0)


def test_the_paper_s_stages_last_3_to_the_i_epochs():
    schedule = iwae.stages(1e-3, steps_per_epoch=10)
    starts = np.cumsum([0, 1, 3, 9, 27, 81, 243, 729]) * 10
    for i, start in enumerate(starts):
        np.testing.assert_allclose(schedule(start), 1e-3 * 10 ** (-i / 7), rtol=1e-5)
        if start:
            np.testing.assert_allclose(schedule(start - 1), 1e-3 * 10 ** (-(i - 1) / 7), rtol=1e-5)
    assert starts[-1] + 2_187 * 10 == 3_280 * 10


@pytest.mark.parametrize("module", [iwae, hierarchical_vae, amortisation_gap])
def test_the_paper_s_schedule_is_run_for_3280_epochs_of_mnist(module):
    config = module.CONFIGS["paper"]
    assert config.schedule == "paper"
    assert config.steps * config.batch_size == 3_280 * 60_000


def test_adagrad_descends_the_bound_with_a_normal_prior_over_weights():
    config = vae.Config(optimizer="adagrad", learning_rate=0.1)
    optimizer = vae.optimizer_of(config, num_examples=50)
    params = jnp.array([2.0, -3.0])
    gradient = jnp.array([0.5, 0.1]) + params / 50
    updates, _ = optimizer.update(jnp.array([0.5, 0.1]), optimizer.init(params), params)
    expected = -0.1 * np.asarray(gradient) / np.abs(gradient)
    np.testing.assert_allclose(updates, expected, rtol=1e-3)


@pytest.mark.parametrize("num_examples", [3, likelihoods.CHUNK, 2 * likelihoods.CHUNK + 3])
def test_likelihoods_are_estimated_for_every_example_with_its_sign(num_examples):
    x = jnp.arange(num_examples, dtype=jnp.float32)

    def log_weights(key, weights, batch, num):
        return jnp.broadcast_to(-weights.params * batch["point"], (num, len(batch["point"])))

    options = vae.Config(num_importance_samples=100)
    weights = Weights(params=jnp.array(2.0))
    found = options.negative_log_likelihoods(log_weights, weights, {"point": x})
    np.testing.assert_allclose(found, 2 * x, rtol=1e-5)


@pytest.mark.slow
def test_static_bits_are_the_same_for_every_seed_and_stochastic_ones_are_not():
    def unseen(seed, binarization):
        config = vae.Config(seed=seed, binarization=binarization, num_unseen=20)
        return np.asarray(config.unseen()[0])

    np.testing.assert_array_equal(unseen(0, "static"), unseen(1, "static"))
    assert (unseen(0, "stochastic") != unseen(1, "stochastic")).any()
    assert set(np.unique(unseen(0, "stochastic"))) == {0, 1}
    assert len(np.unique(unseen(0, "none"))) > 2


def test_a_run_that_is_resumed_for_longer_keeps_the_stages():
    """Stages are counted in epochs: the learning rate at a step does not depend on --steps."""
    schedules = [iwae.Config(schedule="paper", steps=steps) for steps in (90, 900)]
    gradient, params = jnp.ones(2), jnp.zeros(2)

    def moved(config):
        optimizer = config.optimizer(num_examples=4_500)
        state = optimizer.init(params)
        for _ in range(50):
            updates, state = optimizer.update(gradient, state, params)
        return updates

    np.testing.assert_array_equal(*map(moved, schedules))
    assert isinstance(schedules[0].optimizer(4_500), optax.GradientTransformation)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: vae.Config(likelihood="gaussian"), "add --binarization none"),
        (lambda: vae.Config(num_unseen=1), "--num-unseen is 1; it must be at least 2"),
        (lambda: vae.Config(num_importance_samples=99), "above 50 it must be a multiple of 50"),
        (lambda: iwae.Config(binarization="none"), "choose stochastic or static"),
        (lambda: cvae.Config(binarization="none"), "choose stochastic or static"),
        (lambda: cvae.Config(alpha=2.0), r"--alpha is 2\.0; it must be in \[0, 1\]"),
        (lambda: autoencoder.Config(binarization="static"), "leave it at none"),
        (lambda: hierarchical_vae.Config(widths=(3,)), "--widths are 1 and --latent-dims 2"),
        (lambda: hierarchical_vae.Config(widths=(), latent_dims=()), "at least 1 stochastic layer"),
        (
            lambda: hierarchical_vae.Config(latent_dims=(3, 0)),
            "--latent-dims is 0; it must be an integer, at least 1",
        ),
        (lambda: vae.Config(dataset="ring").images(), "--dataset ring has no images"),
    ],
)
def test_what_makes_no_sense_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_pixels_are_drawn_in_the_feed_anew_in_every_step():
    config = vae.Config(batch_size=4)
    images = np.full((8, 2, 2, 1), 128, np.uint8)

    def batches(**changes):
        changed = dataclasses.replace(config, **changes)
        feed = changed.image_feed(data.ArrayDataset({"image": images}))
        resident = jax.tree.map(jnp.asarray, feed.resident)
        chunk = jnp.asarray(next(feed.chunks([(0, 2)])))
        keys = jax.random.split(KEY)
        return np.stack(
            [feed.read(key, resident, item)["image"] for key, item in zip(keys, chunk, strict=True)]
        )

    drawn = batches()
    assert set(np.unique(drawn)) == {0, 1}
    assert (drawn[0] != drawn[1]).any()
    np.testing.assert_array_equal(np.unique(batches(binarization="none")), np.float32(128 / 255))


@pytest.mark.parametrize("name", ["bernoulli", "gaussian", "learned_gaussian"])
def test_a_decoder_that_starts_at_the_mean_image_says_it(name):
    image = jnp.array([[[0.25], [0.5]]])
    likelihood = likelihoods.LIKELIHOODS[name]
    start = likelihoods.starting_at(image, name)
    outputs = start(KEY, (image.size * likelihood.num_outputs,)).reshape(1, 1, 2, -1)
    np.testing.assert_allclose(likelihood.mean(outputs)[0], image, rtol=1e-5)


def test_more_unseen_images_than_there_are_start_no_run(tmp_path):
    with pytest.raises(ValueError, match="--num-unseen is 501, but the test set of digits has 500"):
        vae.run(vae.Config(num_unseen=501, width=4), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert len(vae.Config(num_unseen=500).unseen()[0]) == 500
