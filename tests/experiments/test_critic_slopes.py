"""What is drawn and read off, of a discriminator and a critic that are lines."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import critic_slopes
from gan_jax import plots
from gan_jax.games import Weights
from gan_jax.nets import MLPDiscriminator


def line(slope, at_0):
    params = {"Dense_0": {"kernel": jnp.full((1, 1), slope), "bias": jnp.full(1, at_0)}}
    return SimpleNamespace(player=SimpleNamespace(weights=Weights(params=params)))


def test_the_critic_that_costs_least_is_too_steep_by_the_distance_over_twice_the_weight():
    config, network = critic_slopes.Config(penalty_weight=20.0), MLPDiscriminator(())
    objectives = critic_slopes.objectives(config, network)
    real = jnp.linspace(-1, 1, 4)[:, None]
    batch, key = {"real": real, "fake": real + critic_slopes.DISTANCE}, jax.random.key(0)

    def cost(slope, name):
        weights = line(slope, 5.0).player.weights
        told = {"weights": weights, "batch": batch, "key": key}
        return objectives[name](**told).loss

    value, of_slope = jax.jit(jax.value_and_grad(cost), static_argnums=1)(-1.25, "critic")
    assert float(value) == pytest.approx(-12.5 + 20 * 0.25**2)
    assert float(of_slope) == pytest.approx(0, abs=1e-4)
    logits = -1.25 * np.linspace(-1, 1, 4) + 5
    expected = np.mean(np.log1p(np.exp(-logits))) + np.mean(np.log1p(np.exp(logits - 12.5)))
    assert float(cost(-1.25, "discriminator")) == pytest.approx(expected, rel=1e-5)


def test_slopes_are_those_of_the_probability_and_of_the_score(monkeypatch):
    drawn = {}
    monkeypatch.setattr(plots, "curves", lambda **told: drawn.update(told["curves"]))
    evaluate = critic_slopes.evaluator(critic_slopes.Config(), MLPDiscriminator(()))
    state = {"discriminator": line(-1.0, 5.0), "critic": line(-0.5, 7.0)}
    metrics = evaluate(None, state).metrics
    x = critic_slopes.GRID
    probability = 1 / (1 + np.exp(x - 5))
    steepest = (probability * (1 - probability))[np.abs(x - 10) < 1].max()
    assert metrics["discriminator/slope"] == pytest.approx(steepest, rel=1e-4)
    assert metrics["critic/slope"] == metrics["critic/steepest"] == 0.5
    assert metrics["critic/distance"] == pytest.approx(5)
    _, _, of_d, of_critic = drawn.values()
    np.testing.assert_allclose(of_d, probability, rtol=1e-4)
    np.testing.assert_allclose(of_critic, 0.75 - x / 20, rtol=1e-5, atol=1e-6)
    away = evaluate(None, state | {"critic": line(0.5, 7.0)}).metrics
    assert away["critic/slope"] == away["critic/steepest"] == -0.5
