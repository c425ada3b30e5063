"""Experiments that draw pictures of sentences: what a generator keeps, is told, asked, and scored.

Sentences are encoded as directions by their first characters, and images by their first pixels.
"""

import dataclasses
from types import SimpleNamespace

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import ring, stackgan, text_to_image
from experiments.harness import captions, encoders, telling
from experiments.harness.captions import Captions, read_scenes
from experiments.harness.telling import Asked, Teller, judging
from gan_jax import data, training
from gan_jax.data import shapes
from gan_jax.games import GameState, Player, Weights, exponential_average_memory
from gan_jax.systems import JointEmbedding, networks

KEY = jax.random.key(0)
NUM = 48
SPLITS = ("seen", "held_out")
CONFIG = text_to_image.Config(
    image_size=16, length=72, embedding_dim=2, batch_size=4, num_captions=2, evaluate=()
)
SCENES = (("ant", "bee"), ("cat", "dog"), ("eel", "fox"))


class Direction(nn.Module):
    """Of a sentence the direction that its first character stands for."""

    @nn.compact
    def __call__(self, tokens, *, train=False):
        turn = self.param("turn", nn.initializers.zeros, ())
        self.variable("counts", "started", lambda: jnp.ones(3))
        angle = tokens[:, 0] / 35 * jnp.pi + turn
        return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)


class Corner(nn.Module):
    """Two channels of an image's first pixel."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return x[:, 0, 0, :2]


class Turn(nn.Module):
    """The direction that the colour of an image's first pixel gives."""

    @nn.compact
    def __call__(self, x, *, train=False):
        pixel = x[:, 0, 0]
        found = jnp.stack([pixel[:, 0], (pixel[:, 1] + 1) / 2], axis=1)
        return found / jnp.linalg.norm(found, axis=1, keepdims=True)


NEAREST = JointEmbedding(image_encoder=Turn(), text_encoder=Direction(), label="scene")
JOINT = JointEmbedding(image_encoder=Corner(), text_encoder=Direction(), label="scene")
TURNED = Weights(
    params={"image": {}, "text": {"turn": jnp.float32(0.3)}},
    state={"text": {"counts": {"started": jnp.arange(3.0)}}},
)


def directions(sentences):
    angle = data.characters(sentences, length=1)[:, 0] / 35 * np.pi + 0.3
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def kept(state, sentences=(("",),)):
    """A generator's weights that keep the encoder."""
    tokens = own_captions()._replace(sentences=sentences).tokens(5)
    weights = Weights(params={"w": jnp.ones(2)}, state=state)
    return encoders.with_encoder(weights, JOINT, TURNED, tokens)


def own_captions(num=12):
    """Grey images, without codes, of scenes in turn."""
    images = np.zeros((num, 16, 16, 3), np.uint8)
    scene = captions.spread(len(SCENES), num)
    return Captions(data.ArrayDataset({"image": images, "scene": scene}), SCENES)


def test_a_generator_keeps_the_encoder_and_what_it_makes_of_all_sentences():
    state = {"batch_stats": {"mean": jnp.arange(2.0)}, "frozen": {"stage_one": jnp.arange(3.0)}}
    weights = kept(state, SCENES)
    chex.assert_trees_all_equal(encoders.encoder_of(weights), TURNED)
    expected = directions([one for many in SCENES for one in many])
    np.testing.assert_allclose(weights.state["frozen"].pop("text"), expected, atol=1e-6)
    del weights.state["frozen"]["encoder"]
    chex.assert_trees_all_equal(weights, Weights(params={"w": jnp.ones(2)}, state=state))


def test_a_step_is_told_the_mean_of_the_sentences_of_each_image(monkeypatch):
    monkeypatch.setattr(text_to_image.Config, "step", lambda self, system: lambda *given: given[2])
    seen = {}

    def init(key, batch, optimizers):
        seen.update(batch)
        player = Player(weights=Weights(params={}, state={}), opt_state=())
        return GameState(step=jnp.int32(0), generator=player, discriminator=player)

    shown, system = own_captions(), SimpleNamespace(init=init)
    keep = CONFIG.keeping_encoder(JOINT, shown)
    phase = CONFIG.told_phase("gan", KEY, 1, system, shown, keep)
    state = phase.start(SimpleNamespace(player=SimpleNamespace(weights=TURNED)))
    assert seen["text"].shape == (4, 2)
    batch = training.first_batch(phase.feed)
    told = phase.step(KEY, state, batch)
    assert len(set(batch["scene"].tolist())) > 1
    means = np.stack([directions(many).mean(axis=0) for many in SCENES])
    np.testing.assert_allclose(told["text"], means[batch["scene"]], atol=1e-6)
    chex.assert_trees_all_equal({**told, "text": None}, {**batch, "text": None})
    chex.assert_trees_all_equal(state.memory.generator, state.generator.weights)


@pytest.fixture
def restored(monkeypatch):
    """(its configuration, its state) -> what is read of any run."""

    def leave(config, state):
        run = SimpleNamespace(config=config, state=state, weights=state.get)
        monkeypatch.setattr(training, "restore", lambda workdir: run)

    return leave


def test_an_encoder_is_taken_with_its_sizes(restored):
    sizes = {"encoder_widths": (3, 2), "encoder_pools": (1, 1), "image_width": 5, "image_side": 9}
    theirs = dataclasses.replace(CONFIG, length=60, cell="rnn", **sizes)
    written = {**dataclasses.asdict(theirs), "encoder_widths": [3, 2], "seed": 9, "steps": 7}
    mine = dataclasses.replace(CONFIG, encoder="runs/theirs")
    for state in ({"player": TURNED}, {"generator": kept({})}):
        restored(written, state)
        assert mine.with_encoder() == dataclasses.replace(theirs, encoder="runs/theirs")
        chex.assert_trees_all_equal(encoders.encoder_in("runs/theirs"), TURNED)
    assert mine.text_phases(JOINT, own_captions()) == []
    keep = mine.keeping_encoder(JOINT, own_captions())
    weights = keep(None, Weights(params={}, state={}))
    chex.assert_trees_all_equal(encoders.encoder_of(weights), TURNED)


def test_a_run_without_an_encoder_is_refused(restored):
    restored(dataclasses.asdict(ring.Config()), {"generator": TURNED})
    words = r"^--encoder is runs/ring, a run that has no encoder of sentences: name another\.$"
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(CONFIG, encoder="runs/ring").with_encoder()


def test_sentences_and_images_find_each_other_among_those_of_both_splits():
    """The image of scene k has the colour k of its first pixel; one sentence is in both splits."""
    angles = {"ant": 1, "cat": 3, "eel": 5}

    def split(names):
        turn = np.array([angles[name] for name in names]) / 35 * np.pi + 0.3
        images = np.full((len(names), 4, 4, 3), 127, np.uint8)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = 255 * (1 + np.cos(turn)) / 2, 255 * np.sin(turn)
        dataset = data.ArrayDataset({"image": images, "scene": np.arange(len(names))})
        return Captions(dataset, tuple((name,) for name in names))

    splits = {"seen": split(["cat", "ant"]), "held_out": split(["eel", "cat"])}
    found = encoders.finder(NEAREST, splits, 5)(TURNED).metrics
    assert set(found.values()) == {1}
    wrong = {**splits, "held_out": splits["held_out"]._replace(sentences=(("cat",), ("eel",)))}
    found = encoders.finder(NEAREST, wrong, 5)(TURNED).metrics
    assert found["held_out/image_to_text"] == 0
    assert found["seen/image_to_text"] == 1


@pytest.mark.parametrize(("num_shapes", "num"), [(1, 500), (2, 500), (1, 30)])
def test_all_phrasings_of_scenes_from_all_over_are_asked(num_shapes, num):
    codes, sentences = shapes.scenes("train", num_shapes=num_shapes)
    asked = Asked.of(Captions(own_captions().dataset, sentences, codes), num)
    np.testing.assert_array_equal(asked.scene, captions.spread(len(codes), num))
    np.testing.assert_array_equal(asked.codes, codes[asked.scene])
    pairs = zip(asked.scene, asked.sentences, strict=True)
    phrasing = [sentences[scene].index(sentence) for scene, sentence in pairs]
    assert np.bincount(phrasing).min() > 0.15 * num
    assert len(set(asked.sentences)) >= min(num, 5 * len(codes) - 10)
    assert Asked.of(own_captions(), 3).codes is None


LATENTS = networks.normal(1)


def generate(weights, latents, text):
    """What is told, and the latents, as the channels of a pixel."""
    return jnp.concatenate([text, latents], axis=1)[:, None, None]


STUB = SimpleNamespace(
    latents=LATENTS,
    generate=generate,
    sample=lambda key, weights, num, text: generate(weights, LATENTS(key, num), text),
)


@pytest.fixture(scope="module")
def teller():
    return Teller(SimpleNamespace(length=72, joint_embedding=lambda: JOINT), STUB)


def test_each_sentence_has_a_picture_of_its_own(teller, monkeypatch):
    monkeypatch.setattr(telling, "CHUNK", 2)
    sentences = ["ant", "bee", "cat", "ant"]
    made = np.asarray(teller(KEY, kept({}), sentences))
    assert made.shape == (4, 1, 1, 3)
    np.testing.assert_allclose(made[:, 0, 0, :2], directions(sentences), atol=1e-6)
    assert len(np.unique(made[..., 2])) == 4


def test_the_way_goes_from_one_sentence_to_the_other_by_one_latent(teller):
    way = np.asarray(teller.between(KEY, kept({}), ("ant", "fox"), 5))[:, 0, 0]
    first, last = directions(["ant", "fox"])
    steps = np.linspace(0, 1, 5)[:, None]
    np.testing.assert_allclose(way[:, :2], (1 - steps) * first + steps * last, atol=1e-6)
    np.testing.assert_array_equal(way[:, 2], way[0, 2])


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(telling, "NUM_TOLD", NUM)
    monkeypatch.setattr(captions, "NUM_DRAWN", {"train": NUM, "test": NUM})


DRAWN = dict(
    zip(
        shapes.sentences(),
        np.concatenate([shapes.scenes(split).codes for split in ("train", "test")]).repeat(5, 0),
        strict=True,
    )
)
draw = jax.jit(shapes.draw, static_argnames="size")


class Truth:
    """Draws what sentences say, as far as it knows them; else nothing."""

    length, joint = 72, JOINT

    def __init__(self, known):
        self.known = set(known)

    def __call__(self, key, weights, sentences):
        known = np.array([sentence in self.known for sentence in sentences])
        images = draw(key, np.stack([DRAWN[sentence] for sentence in sentences]), size=16)
        return np.where(known[:, None, None, None], images, -1)

    def between(self, key, weights, ends, num):
        return np.zeros((num, 16, 16, 3))


@pytest.mark.slow
def test_scores_say_of_which_split_pictures_show_what_is_said(few, monkeypatch):
    """And what is measured is drawn of the sentences of the real images, one by one."""
    config = dataclasses.replace(CONFIG, evaluate=("fid",))
    train = config.captions()
    scene = np.random.default_rng(0).permutation(NUM)
    real = SimpleNamespace(reference={"scene": scene}, images=scene, held_out=lambda num: num / NUM)

    def measured(self, real, images):
        return {"same": read_scenes(images, train.codes[real.reference["scene"]])["all"]}

    monkeypatch.setattr(text_to_image.Config, "real_images", lambda self, dataset: real)
    monkeypatch.setattr(telling, "measured_of_real", lambda *given: {"same": given[2]})
    monkeypatch.setattr(text_to_image.Config, "measured", measured)
    seen = [one for many in train.sentences for one in many]
    judged = judging(config, Truth(seen), config.splits(train))(KEY, Weights(params={}, state={}))
    scores = judged.metrics
    names = [*shapes.ATTRIBUTES, "all", "read"]
    assert {name: scores.pop(f"seen/{name}") for name in names} == dict.fromkeys(names, 1)
    assert {name: scores.pop(f"held_out/{name}") for name in names} == dict.fromkeys(names, 0)
    assert [scores.pop(f"real/{name}") for name in names] == [1] * len(names)
    shuffled = [scores.pop(f"shuffled/{name}") for name in (*shapes.ATTRIBUTES, "all")]
    np.testing.assert_allclose(shuffled, [1 / 2, 1 / 7, 1 / 3, 1 / 4, 1 / 42], atol=0.2)
    assert scores.pop("shuffled/read") == 1
    assert scores == {"same": 1, "real/same": 1}
    rows = judged.files["told"].pixels.reshape(9, 16 + 2 * 18, 8 * 2 * 18, 3)[:, 16:]
    colourful = [len(np.unique(row.reshape(-1, 3), axis=0)) > 2 for row in rows]
    assert colourful == [True] * 4 + [False] * 5


@pytest.mark.parametrize(("sign", "share"), [(1, 1), (-1, 0)])
def test_pictures_of_other_scenes_are_judged_by_the_encoder(few, monkeypatch, sign, share):
    monkeypatch.setattr(text_to_image.Config, "captions", lambda self, *split, **crop: alone)
    alone = own_captions()._replace(sentences=(("ant",), ("cat",), ("fox",)))

    class Pointing(Truth):
        def __call__(self, key, weights, sentences):
            images = np.zeros((len(sentences), 16, 16, 3), np.float32)
            images[:, 0, 0, :2] = sign * directions(sentences)
            return images

    scores = judging(CONFIG, Pointing(()), CONFIG.splits(alone))(KEY, kept({})).metrics
    assert scores == {"seen/retrieved": share, "held_out/retrieved": share}
    assert f"{share:.1%} of pictures of seen sentences are nearest" in telling.said(scores)


def test_the_second_stage_keeps_the_average_of_the_first_with_its_encoder():
    mean = lambda value: {"batch_stats": {"mean": jnp.full(2, value)}}  # noqa: E731
    one = kept(mean(0.1), SCENES)
    player = Player(weights=one, opt_state=())
    state = exponential_average_memory(
        GameState(step=jnp.int32(0), generator=player, discriminator=player)
    )
    live = player.replace(weights=one.replace(params={"w": jnp.zeros(2)}))
    place = {"params": {"w": jnp.zeros(2)}, **mean(0.0)}
    two = Weights(
        params={"v": jnp.ones(5)},
        state={**mean(0.7), "frozen": {"stage_one": {"variables": place}}},
    )
    weights = stackgan.keep_stage_one(state.replace(generator=live), two)
    chex.assert_trees_all_equal(stackgan.stage_one_of(weights), one)
    chex.assert_trees_all_equal(encoders.encoder_of(weights), TURNED)
    chex.assert_trees_all_equal(weights.params, two.params)
    chex.assert_trees_all_equal(weights.state["batch_stats"], two.state["batch_stats"])


def test_both_stages_are_spoken_of_where_an_oracle_reads_them():
    retrieved = {f"{at}{split}/retrieved": 0.5 for at in ("", "stage_one/") for split in SPLITS}
    assert stackgan.said(retrieved) == telling.said(retrieved)
    read = {f"{split}/{name}": 0.5 for split in SPLITS for name in (*shapes.ATTRIBUTES, "all")}
    read |= {"stage_one/seen/all": 0.25, "stage_one/held_out/all": 0.125}
    assert stackgan.said(read) == f"{telling.said(read)}; the first stage: 25.0% and 12.5%"


def test_the_first_stage_has_half_the_size_which_is_whole():
    assert stackgan.Config(image_size=48).half.side == 24
    with pytest.raises(ValueError, match="--image-size is 33, but the second stage doubles"):
        _ = stackgan.Config(image_size=33).half


def test_learning_rates_are_halved_after_so_many_steps_of_a_player_who_moves_twice_in_each():
    rate = dataclasses.replace(CONFIG, halving_steps=10).schedule(0.4, 2)
    found = [float(rate(moves)) for moves in (0, 19, 20, 39, 40)]
    np.testing.assert_allclose(found, [0.4, 0.4, 0.2, 0.2, 0.1])
