"""What a discriminator and a critic estimate, where both are the best."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import estimates
from experiments.estimates import critic_gap
from experiments.harness import history
from gan_jax import games, metrics, plots


@pytest.mark.slow
def test_too_few_evaluations_are_said_to_have_no_correlation(tmp_path):
    length = {"steps": 2, "steps_per_dispatch": 1, "evaluate_every": 1, "checkpoint_every": 2}
    said = str(estimates.run(replace(estimates.Config(), **length), tmp_path))
    assert "fewer than three evaluations have no correlation: give more --steps" in said


def test_the_best_critic_estimates_the_distance_with_its_sign():
    real, fake = jnp.array([0.0, 1.0]), jnp.array([2.0, 5.0])
    assert float(critic_gap(-real, -fake)) == metrics.wasserstein_1d(real, fake) == 3


def test_an_evaluation_that_is_repeated_counts_once_and_curves_are_of_all(tmp_path, monkeypatch):
    system: Any = SimpleNamespace(
        sample=lambda key, weights, num: jax.random.normal(key, (num, 2)),
        discriminate=lambda weights, x: x[:, 0],
    )
    still = games.Optimizers(generator=optax.identity(), discriminator=optax.identity())
    weights = games.Weights(params={"none": np.zeros(1, np.float32)})
    state = games.init(generator=weights, discriminator=weights, optimizers=still)
    systems = {"gan": system, "wgan": system}
    drawn = {}
    monkeypatch.setattr(plots, "curves", lambda **told: drawn.update({told["title"]: told}))
    monkeypatch.setattr(estimates, "NUM_SAMPLES", 8)
    evaluate = estimates.evaluator(estimates.Config(), systems, tmp_path)
    log = [
        {"step": step} | {f"{name}/{what}": value for name in systems for what, value in both}
        for step, both in enumerate(
            [
                (("estimate", 9.0), ("distance", 0.0)),
                (("estimate", 7.0), ("distance", 9.0)),
                (("estimate", 8.0), ("distance", 8.0)),
            ]
        )
    ]
    monkeypatch.setattr(history, "read_log", lambda _: log)
    at_3 = dict.fromkeys(systems, state.replace(step=jnp.array(3)))
    first = evaluate(jax.random.key(0), at_3).metrics
    log.append({"step": 3, **first})
    assert evaluate(jax.random.key(0), at_3).metrics == first
    for title, told in drawn.items():
        assert told["x"].tolist() == [0, 1, 2, 3]
        of_judge, of_samples = told["curves"].values()
        last = (first[f"{title.lower()}/{what}"] for what in ("estimate", "distance"))
        assert [of_judge[-1], of_samples[-1]] == list(last)
        assert (of_judge[:3].tolist(), of_samples[:3].tolist()) == ([9, 7, 8], [0, 9, 8])
    assert {title: next(iter(told["curves"])) for title, told in drawn.items()} == {
        "GAN": "D's estimate of JS",
        "WGAN": "the critic's estimate of W",
    }
