"""GANSynth's terms by hand, on a critic whose gradient is known."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import Optimizers
from gan_jax.nets import ConditionalGenerator
from gan_jax.systems import gansynth, networks

KEY = jax.random.key(0)
SGD = Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
BATCH = {
    "spectrogram": jax.random.uniform(KEY, (4, 2, 2, 2)),
    "pitch": jnp.array([0, 2, 1, 2]),
}


class Plane(nn.Module):
    """A score of slope w, and logits of three pitches."""

    @nn.compact
    def __call__(self, x, *conditions, train=False):
        rows = x.reshape(len(x), -1)
        return nn.Dense(1, name="score")(rows)[:, 0], nn.Dense(3, name="pitch")(rows)


def system(**changes):
    arguments = {
        "generator": ConditionalGenerator((2, 2, 2), 3, (2, 2, 4)),
        "discriminator": Plane(),
        "latents": networks.normal(3),
    }
    return gansynth(**arguments | changes)


def test_the_terms_of_both_losses():
    notes = system(pitch_weight=3.0, penalty_weight=5.0, drift_weight=0.5)
    state = jax.jit(lambda: notes.init(KEY, BATCH, optimizers=SGD))()
    players = {"generator": state.generator.weights, "discriminator": state.discriminator.weights}
    outcome = jax.jit(lambda: notes.game(**players, batch=BATCH, key=KEY))()
    params = jax.device_get(players["discriminator"].params)
    rows = np.asarray(BATCH["spectrogram"], np.float64).reshape(4, -1)
    score = rows @ params["score"]["kernel"][:, 0]
    logits = rows @ params["pitch"]["kernel"]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    named = np.asarray(BATCH["pitch"])
    norm = np.linalg.norm(params["score"]["kernel"])
    found = outcome.discriminator.metrics
    expected = {
        "pitch": -3 * np.log(chances[np.arange(4), named]).mean(),
        "penalty": 5 * (norm - 1) ** 2,
        "drift": 0.5 * np.mean(score**2),
    }
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-4), name
    total = found["fake_logits"] - found["real_logits"] + sum(expected.values())
    assert float(outcome.discriminator.loss) == pytest.approx(float(total), rel=1e-4)
    made = outcome.generator
    assert float(made.loss) == pytest.approx(
        float(made.metrics["pitch"] - found["fake_logits"]), rel=1e-4
    )
    assert float(made.metrics["pitch"]) != pytest.approx(expected["pitch"], rel=1e-3)


def test_the_pitch_of_made_notes_is_the_batchs():
    """By a critic that reads the pitch off what a generator of one-hot notes makes."""

    class Written(nn.Module):
        @nn.compact
        def __call__(self, latents, pitch, *, train=False):
            scale = self.param("scale", nn.initializers.constant(9.0), ())
            told = jnp.pad(jax.nn.one_hot(pitch, 3), ((0, 0), (0, 5)))
            return scale * told.reshape(-1, 2, 2, 2)

    class Read(nn.Module):
        @nn.compact
        def __call__(self, x, *conditions, train=False):
            rows = x.reshape(len(x), -1)
            return nn.Dense(1)(rows)[:, 0], rows[:, :3]

    notes = system(generator=Written(), discriminator=Read(), pitch_weight=2.0)
    state = notes.init(KEY, BATCH, optimizers=SGD)
    players = {"generator": state.generator.weights, "discriminator": state.discriminator.weights}
    outcome = notes.game(**players, batch=BATCH, key=KEY)
    expected = 2 * np.log(1 + 2 * np.exp(-9))
    assert float(outcome.generator.metrics["pitch"]) == pytest.approx(expected, rel=1e-3)


def test_the_gradient_is_penalised_between_real_and_made_notes():
    """Of |x|²/2, whose gradient is x: real notes are 0, and made ones all of norm 2."""

    class Even(nn.Module):
        @nn.compact
        def __call__(self, latents, pitch, *, train=False):
            scale = self.param("scale", nn.initializers.constant(2 / np.sqrt(8)), ())
            return jnp.full((len(latents), 2, 2, 2), scale)

    class Bowl(nn.Module):
        @nn.compact
        def __call__(self, x, *conditions, train=False):
            half = self.param("half", nn.initializers.constant(0.5), ())
            return half * jnp.sum(x**2, axis=(1, 2, 3)), jnp.zeros((len(x), 3))

    notes = system(generator=Even(), discriminator=Bowl(), penalty_weight=1.0)
    batch = {"spectrogram": jnp.zeros((400, 2, 2, 2)), "pitch": jnp.zeros(400, int)}

    @jax.jit
    def penalty():
        state = notes.init(KEY, batch, optimizers=SGD)
        made, judged = state.generator.weights, state.discriminator.weights
        outcome = notes.game(generator=made, discriminator=judged, batch=batch, key=KEY)
        return outcome.discriminator.metrics["penalty"]

    assert float(penalty()) == pytest.approx(
        1 / 3, abs=0.05
    )  # the mean of (2 t - 1)² over t in [0, 1]


@pytest.mark.parametrize("weight", ["pitch_weight", "penalty_weight", "drift_weight"])
def test_weights_are_not_negative(weight):
    with pytest.raises(ValueError, match=f"{weight} is -1"):
        system(**{weight: -1.0})
