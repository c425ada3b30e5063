"""pix2pix's tasks, what its critic is told, and what is made of a user's own pictures."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from experiments import pix2pix, sample
from experiments.harness import runs
from gan_jax import data, signals, training

pytestmark = pytest.mark.usefixtures("compiled_quickly")

TINY = {"width": 2, "batch_size": 2, "parallel": "none"}
LENGTHS = ("steps", "steps_per_dispatch", "evaluate_every", "checkpoint_every")


def config(**changes):
    return pix2pix.Config(**TINY | dict.fromkeys(LENGTHS, 1) | changes)


@pytest.mark.parametrize(
    ("task", "channels", "given"),
    [("edges", 3, 1), ("inpainting", 3, 3), ("super_resolution", 1, 1), ("colourisation", 3, 1)],
)
def test_a_task_pads_an_image_and_what_is_left_of_it_alike(task, channels, given):
    image = jax.random.uniform(jax.random.key(0), (2, 36, 20, channels), minval=-1.0)
    batch = config(task=task).examples({"image": image})
    assert batch["condition"].shape == (2, 64, 32, given)
    np.testing.assert_array_equal(batch["target"][:, 14:50, 6:26], image)
    if task == "inpainting":
        np.testing.assert_array_equal(batch["condition"][:, 14:32, 6:26], image[:, :18])
        assert not np.asarray(batch["condition"][:, 32:50]).any()


def test_colours_are_missed_by_the_square_whatever_the_brightness():
    real = jax.random.uniform(jax.random.key(0), (3, 8, 8, 3), minval=-1.0)
    grey = signals.grey(real)
    for made, missed in ((real, 0), (grey, 1), ((real + grey) / 2, 0.25), (real / 2 + 0.1, 0.25)):
        found = pix2pix.colours_missed(jnp.broadcast_to(made, real.shape), real)
        np.testing.assert_allclose(found, missed, atol=1e-5)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_colours_of_grey_pictures_are_not_asked_for(mode, tmp_path):
    (tmp_path / "own").mkdir()
    for index in range(20):
        picture = PIL.Image.new("L", (32, 32), 10 * index).convert(mode)
        picture.save(tmp_path / "own" / f"{index}.png")
    chosen = config(task="colourisation", dataset=str(tmp_path / "own"), image_size=32)
    with pytest.raises(ValueError, match="makes colours, and the images are grey: choose others"):
        pix2pix.run(chosen, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_of_pairs_the_left_image_is_the_condition():
    pair = {"image": jnp.ones((1, 32, 32, 3)), "condition": -jnp.ones((1, 32, 32, 3))}
    batch = config(task="pairs").examples(pair)
    assert float(batch["condition"].max()) == -1
    assert float(batch["target"].min()) == 1


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({}, {"judged": True, "l1": True}),
        ({"l1_weight": 0.0}, {"judged": True, "l1": False}),
        ({"critic": "none"}, {"judged": False, "l1": True}),
        ({"critic": "unconditional"}, {"judged": True, "l1": True}),
    ],
)
def test_what_moves_the_generator(changes, moves):
    """Which of the terms of its loss is there, and whether the critic sees the condition."""
    chosen = config(loss="least_squares", dropout=0.0, depth=1, patch_layers=0, **changes)
    batch = chosen.examples({"image": jax.random.uniform(jax.random.key(1), (2, 4, 4, 1))})
    system = pix2pix.build(chosen, batch)

    @jax.jit
    def played():
        state = system.init(jax.random.key(0), batch, optimizers=chosen.optimizers())
        generator, critic = state.generator.weights, state.discriminator.weights
        players = {"generator": generator, "discriminator": critic}
        outcome = system.game(**players, batch=batch, key=jax.random.key(2))
        conditions = (batch["condition"], batch["condition"] + 1)
        told = [system.discriminate(critic, batch["target"], y) for y in conditions]
        return outcome.generator.loss, outcome.generator.metrics["l1"], told

    loss, l1, told = played()
    assert (loss != l1) == moves["judged"]
    assert (l1 > 0) == moves["l1"]
    assert (told[0] == told[1]).all() == (chosen.critic == "unconditional")


@pytest.fixture
def opened(tmp_path):
    """(task, generator) -> what makes images of a user's own, of a network that repeats them."""

    def translate(task, images):
        chosen = config(task=task)
        given = 1 if task == "edges" else images.shape[-1]
        batch = {"condition": jnp.zeros((1, 32, 32, given)), "target": images[:, :32, :32]}

        class Repeats:
            def generate(self, weights, latents, condition, *, key):
                assert condition.shape[1] % 32 == condition.shape[2] % 32 == 0
                return condition

        ways = pix2pix.translators(chosen, Repeats(), batch)
        assert set(ways) == {"forth"}
        assert ways["forth"].channels == given
        return np.asarray(ways["forth"].translate(jax.random.key(0), None, images))

    return translate


def test_own_pictures_are_given_as_they_are_or_as_the_task_has_them(opened):
    image = jax.random.uniform(jax.random.key(3), (1, 37, 21, 1), minval=-1.0)
    np.testing.assert_array_equal(opened("edges", image), image)
    hidden = opened("inpainting", image)
    np.testing.assert_array_equal(hidden[:, :18], image[:, :18])
    assert not hidden[:, 18:].any()
    enlarged = opened("super_resolution", image)
    assert enlarged.shape == (1, 148, 84, 1)
    np.testing.assert_allclose(enlarged, signals.resize(image, (148, 84)), atol=1e-6)


@pytest.mark.slow
def test_pairs_are_seen_alike_when_they_are_cropped_and_mirrored(tmp_path):
    """Both halves of every picture are one image, so that what is shown of them must be, too."""
    values = np.random.default_rng(0).integers(0, 256, (12, 40, 40, 3), np.uint8)
    for index, value in enumerate(values):
        path = tmp_path / "own" / ("test" if index > 9 else "train") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.concatenate([value, value], axis=1)).save(path)
    chosen = config(
        task="pairs", dataset=str(tmp_path / "own"), image_size=32, crop="random", flip=True
    )
    dataset = chosen.images()
    feed = chosen.picture_feed(dataset, {"image": data.signed, "condition": data.signed})
    batch = training.first_batch(feed)
    np.testing.assert_array_equal(batch["image"], batch["condition"])
    result = pix2pix.run(chosen, tmp_path / "run")
    assert np.isfinite(result.metrics["unseen/l1"])


def test_pictures_that_cannot_be_read_are_left_out_by_name(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    PIL.Image.new("RGB", (5, 4), "red").save(tmp_path / "own" / "red.png")
    (tmp_path / "own" / "broken.png").write_text("no picture")
    translator = runs.Translator(3, lambda key, weights, images: -images)
    made = dataclasses.replace(config(), background="white")
    built = runs.Built(None, pix2pix, made, None)
    monkeypatch.setattr(sample, "translating", lambda again, way: (built, translator, None))
    chosen = sample.Options(run=str(tmp_path), input=str(tmp_path / "own"))
    said = sample.run(chosen)
    assert said.startswith(
        f"1 images in {tmp_path}/translated; left out, as they cannot be read: b"
    )
    pixel = np.asarray(PIL.Image.open(tmp_path / "translated" / "red.png"))[0, 0]
    assert pixel.tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"back": True}, "name their folder by --input"),
        ({"input": ".", "grid": True}, "leave out --label and --grid"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        sample.run(sample.Options(run="nowhere", **changes))
