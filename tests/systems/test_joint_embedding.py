"""The joint embedding against its loss and its shares, and what it learns."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.games import Weights, descent_step
from gan_jax.nets import CharCNNRNN, ConvEncoder, MLPDiscriminator, MLPEncoder
from gan_jax.systems import JointEmbedding

KEY = jax.random.key(0)
SGD = optax.sgd(0.1)
TEXT = CharCNNRNN(3, widths=(8,), pools=(3,), hidden=8, num_characters=5)
SYSTEM = JointEmbedding(image_encoder=MLPEncoder(3, ()), text_encoder=TEXT, margin=0.2)
BATCH = {
    "image": jax.random.normal(KEY, (6, 2, 2, 1)),
    "text": jax.random.randint(KEY, (6, 9), 0, 6),
    "label": jnp.arange(6) % 4,
}


class Noise(nn.Module):
    """Of whatever example numbers of this shape, from the stream `noise`."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x, *, train=False):
        return jax.random.normal(self.make_rng("noise"), (len(x), *self.shape))


def start(system=SYSTEM, batch=BATCH):
    return jax.jit(lambda: system.init(jax.random.key(2), batch, optimizer=SGD))()


def test_the_objective_is_the_loss_of_the_embeddings_and_counts_the_right_ones():
    params = start().player.weights.params
    apart = params | {"text": jax.tree.map(lambda p: 10 * p, params["text"])}

    @jax.jit
    def of(params):
        weights = Weights(params=params, state={})
        outcome = SYSTEM.objective(weights=weights, batch=BATCH, key=KEY)
        v = SYSTEM.embed_image(weights, BATCH["image"])
        t = SYSTEM.embed_text(weights, BATCH["text"])
        return outcome.loss, (outcome.metrics, v, t)

    (loss, (metrics, v, t)), slope = jax.value_and_grad(of, has_aux=True)(apart)
    errors = losses.structured_joint_embedding(v, t, BATCH["label"], margin=0.2)
    np.testing.assert_allclose(loss, errors.mean(), rtol=1e-5)
    labels, scores = np.asarray(BATCH["label"]), np.float64(v) @ np.float64(t).T
    shares = [np.mean(labels[scores.argmax(axis)] == labels) for axis in (1, 0)]
    assert shares == [1 / 6, 2 / 6]  # of their own pair 0 and 1 / 6
    np.testing.assert_allclose([metrics["image_to_text"], metrics["text_to_image"]], shares)
    for part in ("image", "text"):
        assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slope[part])) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_it_learns_which_sentence_is_of_which_image(cell):
    """Noise, two images and sentences a class: by heart, until nearly all win by the margin."""
    system = JointEmbedding(
        image_encoder=ConvEncoder(16, 8, 2),
        text_encoder=CharCNNRNN(16, (32, 32), (3, 1), hidden=32, cell=cell, num_characters=5),
    )
    batch = {
        "image": jax.random.normal(KEY, (16, 8, 8, 3)),
        "text": jax.random.randint(KEY, (16, 20), 0, 6),
        "label": jnp.arange(16) % 8,
    }
    adam = optax.adam(optax.linear_schedule(5e-3, 0, 300))

    def step(state, key):
        told = {"objective": system.objective, "optimizer": adam}
        return descent_step(key, state, batch, **told)

    @jax.jit
    def run():
        state = system.init(KEY, batch, optimizer=adam)
        return jax.lax.scan(step, state, jax.random.split(KEY, 300))[1]

    metrics = run()
    assert metrics["loss"][0] > 1
    assert metrics["loss"][-1] < 0.01
    for name in ("image_to_text", "text_to_image"):
        assert metrics[name][0] < 0.4
        assert metrics[name][-1] == 1


@pytest.mark.parametrize(("embed", "field"), [("embed_image", "image"), ("embed_text", "text")])
def test_an_embedding_is_drawn_by_its_key_and_is_fixed_without(embed, field):
    system = JointEmbedding(image_encoder=Noise((2,)), text_encoder=Noise((2,)))
    weights = Weights(params={"image": {}, "text": {}}, state={})
    made = [
        getattr(system, embed)(weights, BATCH[field], key=key)
        for key in (None, None, jax.random.key(1), jax.random.key(2))
    ]
    np.testing.assert_array_equal(made[0], made[1])
    assert len({np.asarray(x).tobytes() for x in made}) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"image_encoder": MLPEncoder(4)},
            r"gives an example the shape \(4,\), the text encoder \(3,\); both must give one vec",
        ),
        ({"image_encoder": MLPDiscriminator()}, r"shape \(\), the text encoder \(3,\)"),
        (
            {"image_encoder": Noise((2, 2)), "text_encoder": Noise((2, 2))},
            r"gives an example the shape \(2, 2\), the text encoder \(2, 2\)",
        ),
        ({"label": "text"}, "`text` is int32 of shape .*; it must be one whole number for each"),
        ({"label": "image"}, "`image` is float32 of shape .*; it must be one whole number"),
        ({"text": "image"}, "`image` is float32; it must hold whole numbers, such as the places"),
        ({"image": "text"}, "`text` is int32; scale it to floating-point numbers"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        start(dataclasses.replace(SYSTEM, **changes))


def test_images_that_are_not_finite_and_margins_below_0_are_refused():
    with pytest.raises(ValueError, match="`image` holds what is not finite"):
        SYSTEM.init(KEY, {**BATCH, "image": jnp.full((6, 2, 2, 1), jnp.nan)}, optimizer=SGD)
    with pytest.raises(ValueError, match="margin is -1; it must be finite, and not below 0"):
        dataclasses.replace(SYSTEM, margin=-1)
