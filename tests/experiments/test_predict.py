"""Labels of a folder's pictures, by runs of ADDA that are finished, stopped, or none."""

import csv
import dataclasses

import jax
import numpy as np
import PIL.Image
import pytest

from experiments import adda, predict, ring
from gan_jax import data
from gan_jax.games import exponential_average_memory
from gan_jax.training import Checkpoints, note_run, open_run
from gan_jax.training.record import plain, run_digest

KEY = jax.random.key(0)
NAMES = ["cat", "dog", "eel"]
CONFIG = adda.Config(num_features=4, widths=(4,), num_classes=3, image_size=16)
IMAGES = {"image": jax.ShapeDtypeStruct((4, 16, 16, 1), "float32")}
LABELLED = {**IMAGES, "label": jax.ShapeDtypeStruct((4,), "int32")}
BOTH = {"source": IMAGES, "target": IMAGES}
SYSTEM = adda.build(CONFIG, BOTH)


def left(workdir, batch, state=None, experiment="adda", config=CONFIG, **said):
    """What a run leaves, or a phase of one: without a state, before its first checkpoint."""
    told = {"experiment": experiment, "batch": lambda: batch, "label_names": NAMES, **said}
    record = open_run(workdir, plain(vars(config)), fresh=False, **told)
    note_run(workdir, record)
    if state is not None:
        with Checkpoints(workdir / "checkpoints", run=run_digest(record)) as checkpoints:
            checkpoints.save(3, state)


@pytest.fixture(scope="module")
def states():
    """Of both phases; those of the second differ, and so does their average."""

    @jax.jit
    def started():
        optimizers = CONFIG.optimizers()
        source = SYSTEM.init_source(KEY, LABELLED, optimizer=optimizers.generator)
        weights = jax.tree.map(lambda x: 3 * x, source.player.weights)
        target = SYSTEM.init_target(KEY, weights, BOTH, optimizers=optimizers)
        return source, exponential_average_memory(target)

    source, target = started()
    average = target.memory.generator
    other = jax.tree.map(lambda x: -x, average.params)
    average = average.replace(params=other)
    return source, target.replace(memory=target.memory.replace(generator=average))


@pytest.fixture
def of_phases(tmp_path):
    """(phase -> its state, or None) -> the directory of such a run."""

    def leave(**phases):
        workdir = tmp_path / "run"
        left(workdir, {}, phases=["source", "target"])
        for name, state in phases.items():
            left(workdir / name, LABELLED if name == "source" else BOTH, state)
        return workdir

    return leave


@pytest.fixture
def pictures(tmp_path):
    """Two grey ones of the size that is needed, and one in colours, which is larger."""
    folder = tmp_path / "own"
    (folder / "more").mkdir(parents=True)
    draw = np.random.default_rng(0).integers
    for name, shape in {
        "b.png": (16, 16),
        "more/a, or c.png": (16, 16),
        "c.png": (32, 40, 3),
    }.items():
        PIL.Image.fromarray(draw(0, 256, shape).astype(np.uint8)).save(folder / name)
    return folder


def labels(run, folder, **options):
    predict.run(predict.Options(run=str(run), folder=str(folder), **options))
    with open(options.get("out") or run / "labels.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["file", "label", "confidence"]
    return {name: (label, float(chance)) for name, label, chance in rows}


def expected(weights, image):
    logits = SYSTEM.classify(weights, data.unit(image))[0]
    return NAMES[int(np.argmax(logits))], float(np.max(jax.nn.softmax(logits)))


@pytest.mark.parametrize("phase", [pytest.param("", marks=pytest.mark.slow), "source"])
def test_every_picture_has_its_label_by_the_phase_that_is_named(of_phases, pictures, states, phase):
    run = of_phases(source=states[0], target=states[1])
    found = labels(run / phase, pictures)
    assert list(found) == ["b.png", "c.png", "more/a, or c.png"]
    weights = states[0].player.weights if phase else states[1].memory.generator
    for name in ("b.png", "more/a, or c.png"):
        image = np.asarray(PIL.Image.open(pictures / name))[None, ..., None]
        label, chance = expected(weights, image)
        assert found[name][0] == label
        np.testing.assert_allclose(found[name][1], chance, atol=1e-4)
    as_run = data.load(str(pictures), split="train", image_size=16)  # which sees it as it does all
    assert as_run[np.arange(1)]["image"].shape[1:3] == (16, 16)


def test_the_two_phases_say_other_things(of_phases, pictures, states):
    run = of_phases(source=states[0], target=states[1])
    assert labels(run, pictures) != labels(run / "source", pictures)


def test_a_run_that_was_stopped_in_its_first_phase_is_refused(of_phases, pictures, states):
    run = of_phases(source=states[0])
    with pytest.raises(ValueError, match=r"run was stopped in its first phase.* or name .*/source"):
        labels(run, pictures)
    run = of_phases(source=states[0], target=None)
    with pytest.raises(ValueError, match="target has no checkpoint yet"):
        labels(run, pictures)


def test_nothing_is_overwritten(of_phases, pictures, states, tmp_path):
    run, out = of_phases(source=states[0], target=states[1]), tmp_path / "new" / "a.csv"
    labels(run, pictures, out=str(out))
    with pytest.raises(ValueError, match=r"a\.csv is there already: give another --out"):
        labels(run, pictures, out=str(out))


def test_folders_and_runs_that_do_not_fit_are_refused(of_phases, pictures, states, tmp_path):
    run = of_phases(source=states[0], target=states[1])
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="none holds no pictures"):
        labels(run, tmp_path / "none")
    with pytest.raises(ValueError, match=r"nowhere cannot be read \(No such file"):
        labels(run, tmp_path / "nowhere")
    left(tmp_path / "ring", IMAGES, states[0], experiment="ring", config=ring.Config())
    with pytest.raises(ValueError, match="is a run of ring, which knows no labels of pictures"):
        labels(tmp_path / "ring", pictures)
    assert not (run / "labels.csv").exists()


def test_of_a_run_on_images_that_are_not_square_pictures_must_have_the_size(pictures):
    with pytest.raises(ValueError, match=r"b\.png is 16 pixels wide and 16 high; it must be 20 wi"):
        data.read_pictures(pictures, (16, 20, 1))
    names, images = data.read_pictures(pictures / "more", (16, 16, 3))
    assert names == ["a, or c.png"]
    name, image = data.read_pictures(pictures / "more" / "a, or c.png", (16, 16, 3))
    assert name == names
    np.testing.assert_array_equal(image, images)
    assert images.shape == (1, 16, 16, 3)


def test_a_number_of_classes_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="num_classes is not known"):
        adda.build(dataclasses.replace(CONFIG, num_classes=None), BOTH)
