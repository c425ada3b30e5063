"""Sets of images with a known fault, and the table of what sees it."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments import measures
from experiments.measures import CONTROLS, ONE_CLASS, REAL, SOME_CLASSES
from gan_jax import data

NUM_CLASSES, EACH = 4, 30
LABELS = np.tile(np.arange(NUM_CLASSES, dtype=np.int32), EACH)
IMAGES = np.random.default_rng(0).integers(0, 256, (len(LABELS), 8, 8, 1), np.uint8)
REFERENCE = 255 - IMAGES[:80]


@pytest.fixture(scope="module")
def sets():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "NUM", 80)
        return measures.sets_of(IMAGES[:80], LABELS[:80], REFERENCE)


def test_every_fault_is_what_its_name_says(sets):
    real = IMAGES[:80].astype(float)
    np.testing.assert_array_equal(sets[REAL], real)
    np.testing.assert_array_equal(sets["copies of the reference"], REFERENCE)
    for deviation in (0.05, 0.15, 0.4):
        inside = (real > 100) & (real < 155)  # where little is cut off
        noise = (sets[f"noise {deviation}"] - real)[inside] / 255
        np.testing.assert_allclose(noise.std(), min(deviation, 0.34), rtol=0.15)
        assert abs(noise.mean()) < 0.05
    spreads = [sets[name].std(axis=(1, 2)).mean() for name in (REAL, "blur 0.5", "blur 1")]
    assert spreads[0] > 1.3 * spreads[1] > 1.5 * spreads[2]
    few = np.unique(sets["ten of each class, over and over"], axis=0)
    assert {x.tobytes() for x in few} == {
        x.tobytes() for name in range(4) for x in IMAGES[:80][LABELS[:80] == name][:10]
    }
    classes = {x.tobytes(): label for x, label in zip(IMAGES, LABELS, strict=True)}
    for name, expected in ((SOME_CLASSES, {0: 20, 1: 20}), (ONE_CLASS, {1: 20})):
        found = [classes[x.tobytes()] for x in sets[name]]
        assert {label: found.count(label) for label in set(found)} == expected
        assert len(sets[CONTROLS[name]]) == len(found)
        assert len({classes[x.tobytes()] for x in sets[CONTROLS[name]]}) == 4
    means = np.stack([real[LABELS[:80] == name].mean(axis=0) for name in range(4)])
    np.testing.assert_allclose(sets["the mean of each class"][4:8], means, atol=1)
    assert (sets["black"] == 0).all()
    assert abs(sets["uniform noise"].mean() - 127.5) < 3


def test_a_number_is_bad_as_far_as_it_is_worse_than_its_control_s():
    def row(fid, coverage):
        return {
            name: np.full(2, coverage if name == "coverage" else fid) for name in measures.MEASURES
        }

    control = CONTROLS[ONE_CLASS]
    table = {REAL: row(1, 0.9), "bad": row(5, 0.5), control: row(2, 0.8), ONE_CLASS: row(3, 0.7)}
    found = dict(zip(table, measures.badness(table), strict=True))
    fid, coverage = measures.MEASURES.index("fid"), measures.MEASURES.index("coverage")
    np.testing.assert_array_equal(found[REAL], 0)
    np.testing.assert_array_equal(found[control], 0)
    np.testing.assert_array_equal(found["bad"][[fid, coverage]], 1)
    np.testing.assert_allclose(found[ONE_CLASS][[fid, coverage]], [0.5, 0.5])


@pytest.mark.slow
def test_the_table_is_printed_and_drawn(tmp_path, monkeypatch):
    others = np.random.default_rng(1).integers(0, 256, IMAGES.shape, np.uint8)
    splits = {
        split: data.ArrayDataset({"image": images, "label": LABELS}, tuple("abcd"))
        for split, images in {"train": IMAGES, "test": others}.items()
    }
    rows = np.arange(len(LABELS))

    def train_classifier(dataset, *, seed):
        def logits(images):
            return images.mean(axis=2)[:, :NUM_CLASSES, 0] * (seed + 1)

        return SimpleNamespace(
            name=f"judge {seed}",
            accuracy=0.5,
            features=lambda images: images.mean(axis=(2, 3)),
            logits=logits,
            reference=rows[:80],
            held_out=rows[80:],
        )

    monkeypatch.setattr(measures, "load_images", lambda name, split: splits[split])
    monkeypatch.setattr(measures, "train_classifier", train_classifier)
    monkeypatch.setattr(measures, "NUM", 80)
    monkeypatch.setattr(measures, "MEASURES", ("fid", "ndb", "copying"))
    shown = (REAL, "copies of the reference", ONE_CLASS, CONTROLS[ONE_CLASS])
    every = measures.sets_of
    monkeypatch.setattr(
        measures, "sets_of", lambda *given: {name: every(*given)[name] for name in shown}
    )
    out = tmp_path / "new"
    said = measures.run(measures.Options(num_seeds=2, out=str(out))).splitlines()
    assert said[0].split() == list(measures.MEASURES)
    assert said[-3:-1] == [f"judge {seed}, which names 50.0% of real ones" for seed in (0, 1)]
    copies = next(line for line in said if line.startswith("copies of the reference"))
    cells = copies.removeprefix("copies of the reference").split("  ")
    numbers = [cell.strip() for cell in cells if cell.strip()]
    assert numbers[0] == "0.00 ± 0.00"
    assert numbers[-2:] == ["0 ± 0", "1.00 ± 0.00"]
    with Image.open(out / "measures.png") as picture:
        assert picture.size[0] > 200 * len(measures.MEASURES)
    with pytest.raises(ValueError, match="holds files already"):
        measures.run(measures.Options(out=str(out)))
