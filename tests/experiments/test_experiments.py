"""Every experiment runs and leaves what a run leaves; all its configurations have one shape."""

import dataclasses
import importlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import get_args

import chex
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from scipy.io import wavfile

from experiments import conv_vae, dcgan, evaluate, pix2pix, ring, sample, vae, video_gan, walk, wgan
from experiments.harness import captions, notes, options, phases, play, runs
from gan_jax import data, training
from gan_jax.data.embedded import EMBEDDED
from gan_jax.training.shapes import batch_shapes

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def with_data_at_hand(config):
    """Take the digits, which are as large, where a dataset is not embedded."""
    at_hand = notes.DRAWN if hasattr(config, "hop_length") else "digits"
    changes = {
        name: at_hand
        for name in ("dataset", "target_dataset")
        if (getattr(config, name, None) or "digits") not in {*EMBEDDED, captions.DRAWN, notes.DRAWN}
    }
    if "dataset" in changes and hasattr(config, "target_dataset"):
        changes["target_dataset"] = "optdigits"
    if "dataset" in changes and getattr(config, "image_size", None) is not None:
        changes["image_size"] = 32
    return dataclasses.replace(config, **changes)


def test_every_file_with_a_command_is_among_the_experiments_that_are_tested(found):
    folder = Path(options.__file__).parent.parent
    commands = {path.stem for path in folder.glob("*.py") if "command.main(" in path.read_text()}
    assert "conv_vae" in commands
    assert set(found) == commands


def test_an_experiment_runs(running, small, tmp_path):
    config = with_data_at_hand(small(running, next(iter(running.CONFIGS))))
    result = running.run(config, tmp_path)
    assert "\npictures in" in str(result)
    written = json.loads((tmp_path / "config.json").read_text())
    given = json.loads(json.dumps(dataclasses.asdict(config)))
    found = {
        name: None if value is None else written["config"][name] for name, value in given.items()
    }
    assert found == given  # what is counted in the data, and not given, is noted, too
    assert hasattr(importlib.import_module(f"experiments.{written['experiment']}"), "build")
    last = result.samples.parent  # a run in phases has a directory for each
    lines = training.read_log(last)
    assert [line["step"] for line in lines] == [1, 2]
    for name in ("loss", "grad_norm", "update_norm"):
        values = [value for line in lines for key, value in line.items() if key.endswith(name)]
        assert values
        assert np.isfinite(values).all()
    for name, value in result.metrics.items():  # the last evaluation is the log's
        if name in lines[-1] and lines[-1][name] is not None:
            np.testing.assert_allclose(value, lines[-1][name], rtol=1e-6)
    smallest = 200 if hasattr(config, "num_frames") else 1_000  # clips begin as one grey
    pictures = [p.stem for p in result.samples.iterdir() if p.stat().st_size > smallest]
    assert {name.rpartition("-")[2] for name in pictures} >= {"000001", "000002"}
    assert {path.name for path in (last / "checkpoints").iterdir()} == {"1", "2"}
    if running is video_gan:
        draw_clips(tmp_path)
    elif hasattr(running, "translators"):
        translate(tmp_path, running)
    elif hasattr(running, "teller"):
        tell_clips(tmp_path) if hasattr(config, "num_frames") else tell(tmp_path)
    elif hasattr(running, "instrument"):
        hear(tmp_path)
    else:
        batch = json.loads((last / "config.json").read_text())["batch"]
        makes_images = {"image", "target"} & set(batch) and not {"source", "text"} & set(batch)
        look_again(tmp_path, makes_images, isinstance(config, play.GameOptions))


def translate(workdir, module):
    """A user's own pictures, of two sizes that the networks halve to no whole numbers."""
    own = workdir / "own"
    for name, size in (("some/one.jpg", (21, 9)), ("other.png", (30, 13))):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("L", size, "grey").save(own / name)
    for back in (False, True):
        out = workdir / f"translated_{back}"
        options = sample.Options(run=str(workdir), input=str(own), out=str(out), back=back)
        if back and module is pix2pix:
            with pytest.raises(ValueError, match="one way, without --back"):
                sample.run(options)
            continue
        assert sample.run(options) == f"2 images in {out}"
        for name, size in {"some/one.jpg.png": (21, 9), "other.png": (30, 13)}.items():
            with PIL.Image.open(out / name) as made:
                assert made.size == size
    with pytest.raises(ValueError, match="--input FOLDER"):
        walk.run(walk.Options(run=str(workdir)))


def draw_clips(workdir):
    out = workdir / "drawn"
    assert sample.run(sample.Options(run=str(workdir), num=3, out=str(out))) == f"3 clips in {out}"
    assert sorted(path.name for path in out.iterdir()) == [f"0000{i}.gif" for i in range(3)]
    with pytest.raises(ValueError, match="which makes no images"):
        walk.run(walk.Options(run=str(workdir)))


def tell_clips(workdir):
    """A sentence, its own scene, and a word that was never read."""
    options = sample.Options(run=str(workdir), text="a large red circle", num=2)
    assert sample.run(options) == f"2 clips in {workdir / 'told'}"
    for name in ("00000.gif", "00001.gif"):
        with PIL.Image.open(workdir / "told" / name) as made:
            assert made.size == (16, 16)
            durations = 0
            for frame in range(made.n_frames):  # equal ones are written as one
                made.seek(frame)
                durations += made.info["duration"]
            assert durations == 4 * 120
    out = workdir / "grid"
    grid = dataclasses.replace(options, out=str(out), grid=True)
    assert sample.run(grid) == f"2 clips in {out / 'grid.gif'}"
    with pytest.raises(ValueError, match=r"^The run has never read 'purple': say it in the words"):
        sample.run(dataclasses.replace(options, text="a purple circle", out=str(workdir / "not")))
    assert not (workdir / "not").exists()
    with pytest.raises(ValueError, match=r"by python -m experiments.sample .* --text"):
        sample.run(sample.Options(run=str(workdir)))


def hear(workdir):
    """Notes of two pitches in turn, one after the other, and of one that was not learned."""
    options = sample.Options(run=str(workdir), pitch=("60", "62"), num=3)
    assert sample.run(options) == f"3 notes in {workdir / 'notes'}"
    written = {path.name: wavfile.read(path) for path in (workdir / "notes").iterdir()}
    assert sorted(written) == ["60_00000.wav", "60_00002.wav", "62_00001.wav"]
    assert {(rate, sound.shape) for rate, sound in written.values()} == {(4_000, (80,))}
    out = workdir / "row"
    row = dataclasses.replace(options, out=str(out), grid=True)
    assert sample.run(row) == f"3 notes in {out / 'grid.wav'}"
    assert wavfile.read(out / "grid.wav")[1].shape == (3 * (80 + 400),)
    for changes, said in (
        ({"pitch": ("60", "63")}, r"^--pitch is '63'; it must be of 60 to 62\.$"),
        ({"label": "60"}, "leave out --label"),
        ({"text": "a note"}, "leave out --label, --text"),
        ({"num": 1}, "^--num is 1; 2 pitches take as many notes"),
        ({"pitch": ()}, r"by python -m experiments.sample .* --pitch"),
    ):
        with pytest.raises(ValueError, match=said):
            sample.run(dataclasses.replace(options, out=str(workdir / "not"), **changes))
    with pytest.raises(ValueError, match="--pitch"):
        walk.run(walk.Options(run=str(workdir)))
    from_one_timbre_to_another(workdir)


def from_one_timbre_to_another(workdir):
    """And back: the ends of both walks are heard twice, and the middle is another on each."""
    options = walk.Options(run=str(workdir), pitch="61", num_frames=3)
    assert walk.run(options) == f"straight.wav and spherical.wav in {workdir / 'walk'}"
    straight, spherical = (
        wavfile.read(workdir / "walk" / f"{way}.wav")[1].reshape(6, 480)
        for way in ("straight", "spherical")
    )
    for walked in (straight, spherical):
        assert (walked[[2, 5]] == walked[[3, 0]]).all()
        assert (walked[0] != walked[2]).any()
    np.testing.assert_allclose(straight[0], spherical[0], atol=100)
    assert (straight[1] != spherical[1]).any()
    for changes, said in (({"pitch": "63"}, "^--pitch is '63'"), ({"label": "1"}, "leave out")):
        with pytest.raises(ValueError, match=said):
            walk.run(dataclasses.replace(options, out=str(workdir / "not"), **changes))


def tell(workdir):
    """A sentence, one that says nothing, and one that no alphabet here has."""
    drawn = []
    sentences = ("a large red circle in the upper left", "", "круг" * 100)
    for number, sentence in enumerate(sentences):
        out = workdir / f"told_{number}"
        options = sample.Options(run=str(workdir), text=sentence, num=2, out=str(out))
        assert sample.run(options) == f"2 images in {out}"
        drawn.append((out / "00001.png").read_bytes())
    assert drawn[1] == drawn[2]  # what has no character of the alphabet is all the same
    with pytest.raises(ValueError, match=r"by python -m experiments.sample .* --text"):
        walk.run(walk.Options(run=str(workdir)))


def look_again(workdir, makes_images, is_game):
    """The commands on a run's directory."""
    of_images = evaluate.Options(run=str(workdir), num_samples=12, num_draws=1, features="pixels")
    if makes_images:
        first, *rows = evaluate.run(of_images).splitlines()
        assert first.endswith("at step 2")
        assert rows
        measures = workdir / evaluate.FILE
        if measures.exists():  # where samples are no completions
            values = list(json.loads(measures.read_text())["samples"].values())
            assert values
            assert np.isfinite(values).all()
    for command, few in ((sample, {"num": 3}), (walk, {"num_frames": 2})):
        out = workdir / command.__name__
        options = command.Options(run=str(workdir), out=str(out), **few)
        if makes_images:
            in_the_range_that_is_said(command.run, options) if is_game else command.run(options)
            assert len([path for path in out.rglob("*") if path.is_file()]) == 3
        else:
            with pytest.raises(ValueError, match="which makes no images"):
                command.run(options)


def in_the_range_that_is_said(run, options):
    """A GAN's images in [-1, 1] have numbers below 0 after two steps, those in [0, 1] have none."""
    seen, to_bytes = [], runs.Opened.to_bytes

    def seeing(self, images):
        seen.append(self.is_signed == (np.min(images) < 0))
        return to_bytes(self, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs.Opened, "to_bytes", seeing)
        run(options)
    assert seen
    assert all(seen)


def images_of(monkeypatch, *shape):
    made = data.ArrayDataset({"image": np.zeros((600, *shape), np.uint8)})
    monkeypatch.setattr(data, "load", lambda name, **told: made)


@pytest.mark.parametrize(
    ("module", "changes", "shape", "way_on"),
    [
        (dcgan, {}, (8, 15, 1), "that can be halved often, such as 16"),
        (dcgan, {}, (50, 50, 1), "that can be halved often, such as 48"),
        (
            wgan,
            {"dataset": "digits", "batch_size": 64},
            (9, 14, 1),
            "that can be halved often, such as 16",
        ),
        (vae, {"networks": "conv"}, (28, 30, 1), "choose --networks mlp"),
        (conv_vae, {}, (14, 14, 1), "choose --networks mlp"),
    ],
)
def test_sizes_that_no_network_has_are_refused_by_flags_that_there_are(
    module, changes, shape, way_on, tmp_path, monkeypatch
):
    images_of(monkeypatch, *shape)
    with pytest.raises(ValueError, match=way_on) as refusal:
        module.run(module.Config(**changes), tmp_path / "run")
    assert "depth" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_cells_of_one_name_are_of_one_configuration(found):
    """Whatever table they are in: their runs are in one directory."""
    for module in found.values():
        known = dict(module.CONFIGS)
        for cells in getattr(module, "TABLES", {}).values():
            for name, config in cells.items():
                assert known.setdefault(name, config) == config


def test_no_two_estimates_of_an_experiment_are_drawn_by_one_key(found):
    harness = [path.read_text() for path in Path(options.__file__).parent.glob("*.py")]
    everywhere = set()
    for module in found.values():
        texts = "".join([*harness, Path(module.__file__).read_text()])
        uses = Counter(re.findall(r'\.key\("(\w+)"\)', texts))
        everywhere |= set(uses)
        assert {purpose for purpose, num in uses.items() if num > 1} == {"init"}
    assert everywhere == set(get_args(options.Purpose))


class Stopped(Exception):
    """Before the first step."""


@pytest.fixture
def traced(monkeypatch, tmp_path):
    """(experiment, its configuration) -> a step is traced, and the state that it gives is seen."""

    def train(step, state, feed, *, key, **_):
        see(step, state, feed, key)
        raise Stopped

    def train_phases(several, *, key, **_):
        state = None
        for phase in several:
            state = phase.start(state)
            see(phase.step, state, phase.feed, key)
        raise Stopped

    def see(step, state, feed, key):
        after, metrics = jax.eval_shape(step, key, state, batch_shapes(feed))
        chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
        assert metrics

    drawing = play.GameOptions.start

    def start(self, system, batch):
        """Zeros in place of what is drawn, which takes longer than all else."""
        drawn = jax.eval_shape(lambda: drawing(self, system, batch))
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), drawn)

    def trace(experiment, config):
        monkeypatch.setattr(play.GameOptions, "start", start)
        monkeypatch.setattr(options, "train", train)
        monkeypatch.setattr(phases, "train_phases", train_phases)
        with pytest.raises(Stopped):
            experiment.run(with_data_at_hand(config), tmp_path)

    return trace


def test_a_step_of_every_other_configuration_keeps_the_shapes_of_its_state(
    experiment, named_config, small, traced
):
    traced(experiment, small(experiment, named_config))


@pytest.fixture
def wide():
    """What JAX_ENABLE_X64=1 does: numbers are float64 where nothing says otherwise."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.mark.slow
def test_where_numbers_are_wide_a_step_keeps_the_types_of_its_state(
    experiment, small, traced, wide
):
    traced(experiment, small(experiment, next(iter(experiment.CONFIGS))))


@pytest.mark.slow
@pytest.mark.parametrize("module", [dcgan, ring, vae])
def test_where_numbers_are_wide_an_experiment_runs(module, small, tmp_path, wide):
    config = dataclasses.replace(
        small(module, "ring" if module is ring else "digits"),
        steps=4,
        steps_per_dispatch=2,
        evaluate_every=2,
        checkpoint_every=2,
    )
    module.run(config, tmp_path)
    assert [line["step"] for line in training.read_log(tmp_path)] == [2, 4]


def test_a_configuration_is_read_again_from_what_a_run_wrote_of_it(experiment, small):
    for name in experiment.CONFIGS:
        config = small(experiment, name)
        written = json.loads(json.dumps(dataclasses.asdict(config)))
        assert experiment.Config(**written) == config
        assert type(config).__module__ == experiment.__name__


@pytest.fixture
def own_pictures(tmp_path):
    """Twelve to train on, of several sizes and colours, and four that are unseen."""
    colours = np.random.default_rng(0).integers(0, 256, (16, 3))
    for index, colour in enumerate(colours.tolist()):
        folder = tmp_path / "own" / ("test" if index % 4 == 0 else "train")
        folder.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (8 + index, 9), tuple(colour)).save(folder / f"{index}.png")
    return str(tmp_path / "own")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "changes"),
    [(dcgan, {}), (vae, {"num_unseen": 4}), (wgan, {"num_discriminator_steps": 1})],
)
def test_an_experiment_runs_on_a_folder_of_pictures(module, changes, own_pictures, small, tmp_path):
    config = dataclasses.replace(
        small(module, next(iter(module.CONFIGS))),
        **{"dataset": own_pictures, "image_size": 8, "crop": "random", "flip": True, **changes},
    )
    module.run(config, tmp_path / "run")
    assert [line["step"] for line in training.read_log(tmp_path / "run")] == [1, 2]
    assert training.restore(tmp_path / "run").batch["image"].shape == (8, 8, 8, 3)


def test_a_path_that_leads_nowhere_starts_no_run(tmp_path):
    with pytest.raises(ValueError, match=r"^'.*/nowhere' cannot be read as a folder .*\.$"):
        dcgan.run(dcgan.Config(dataset=f"{tmp_path}/nowhere"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
