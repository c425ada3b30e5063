"""CycleGAN's domains, its ablations, and what is measured of it, without a run."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import cyclegan
from experiments.cyclegan import Config
from experiments.harness import domains as domains_
from experiments.harness import pictures, readers
from gan_jax import data

DIGITS = data.ArrayDataset(
    {
        "image": np.random.default_rng(0).integers(0, 256, (9, 4, 4, 1), np.uint8),
        "label": np.arange(9, dtype=np.int32) % 3,
    },
    ("a", "b", "c"),
)
UNKNOWN = data.ArrayDataset({"image": np.zeros((0, 4, 4, 1), np.uint8)})
BATCH = {domain: {"image": jnp.zeros((2, 8, 8, 1))} for domain in ("source", "target")}


@pytest.fixture
def at_hand(monkeypatch):
    """Nine images, whatever is asked for."""
    monkeypatch.setattr(pictures, "load_images", lambda *_, **__: DIGITS)


@pytest.mark.parametrize("known", ["inverted", "turned"])
def test_known_domains_are_halves_of_which_one_is_changed(at_hand, known):
    source, target = Config(known=known).domains()
    assert (len(source), len(target)) == (5, 4)
    unchanged = 255 - target.arrays["image"]
    if known == "turned":  # clockwise again
        unchanged = unchanged.swapaxes(1, 2)[:, :, ::-1]
    halves = [tuple(map(bytes, half)) for half in (source.arrays["image"], unchanged)]
    assert sorted(sum(halves, ())) == sorted(map(bytes, DIGITS.arrays["image"]))
    of = {bytes(image): label for image, label in zip(*DIGITS.arrays.values(), strict=True)}
    assert [of[image] for image in halves[1]] == target.arrays["label"].tolist()
    assert source.label_names == target.label_names == ("a", "b", "c")


@pytest.mark.parametrize("known", [pytest.param("inverted", marks=pytest.mark.slow), "turned"])
def test_a_system_that_knows_the_truth_makes_no_error(at_hand, monkeypatch, known):
    """And all is read as what it was, by classifiers that know the images of their domain."""
    quarters = {"inverted": 0, "turned": 1}[known]
    images, labels = DIGITS.arrays.values()
    domains = images, 255 - np.rot90(images, quarters, axes=(1, 2))

    def reader(dataset):
        first = bytes(dataset[np.arange(1)]["image"])
        (mine,) = (domain for domain in domains if first in map(bytes, domain))
        of = dict(zip(map(bytes, mine), labels, strict=True))

        def read(images, labels):
            found = [of.get(bytes(x), -1) for x in np.asarray(data.to_uint8(images))]
            return readers.Reading(np.mean(found == labels), 0.0)

        return read

    monkeypatch.setattr(readers.Reader, "of", reader)
    monkeypatch.setattr(cyclegan, "averaged", lambda state: state)
    config = Config(known=known)
    system = SimpleNamespace(
        translate=lambda weights, x: -jnp.rot90(x, quarters, axes=(1, 2)),
        back=lambda weights, x: weights * -jnp.rot90(x, -quarters, axes=(1, 2)),
    )
    evaluate = cyclegan.evaluator(config, system, config.domains())
    files, metrics = evaluate(None, SimpleNamespace(generator=jnp.float32(1.0)))
    assert list(files) == ["translated"]
    for name in ("error", "error/back", "forward_cycle", "backward_cycle"):
        assert metrics[name] == 0, name
    x = data.signed(config.domains().source.arrays["image"][:4])  # as many as of the target
    expected = np.abs(x - system.translate(1, x)).mean()
    np.testing.assert_allclose(metrics["error/identity"], expected, rtol=1e-6)
    worse = evaluate(None, SimpleNamespace(generator=jnp.float32(0.5))).metrics
    np.testing.assert_allclose(worse["error/back"], 0.5 * np.abs(x).mean(), rtol=1e-6)
    assert worse["error"] == 0
    for name in ("read/translated", "read/back"):
        assert [metrics[f"{name}{of}"] for of in ("", "/real", "/unchanged")] == [1, 1, 0]


def test_rows_of_the_ablation_have_the_terms_of_their_names():
    systems = {
        name.removeprefix("turned_"): cyclegan.build(config, BATCH)
        for name, config in cyclegan.TABLES["ablation_turned"].items()
    }
    assert {name: system.cycle_weight for name, system in systems.items()} == {
        "cycle_alone": (10.0, 10.0),
        "gan_alone": (0.0, 0.0),
        "gan_forward": (10.0, 0.0),
        "gan_backward": (0.0, 10.0),
        "cyclegan": (10.0, 10.0),
    }
    a = jnp.float32(3.0)
    for name, system in systems.items():
        curves = [curve(a) for curve in system.loss]
        expected = [0, 0, 0] if name == "cycle_alone" else [2, 4.5, 4]  # ½ of D's alone
        np.testing.assert_allclose(curves, expected)


def test_no_population_may_be_empty(monkeypatch, tmp_path):
    found = domains_.Domains(DIGITS, UNKNOWN)
    monkeypatch.setattr(Config, "domains", lambda self, split="train": found)
    with pytest.raises(ValueError, match="A step takes 4 examples, but the dataset has 0: lower"):
        cyclegan.run(Config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_sizes_that_cannot_be_halved_twice_are_refused(tmp_path, monkeypatch):
    odd = data.ArrayDataset({"image": np.zeros((9, 6, 6, 1), np.uint8)})
    monkeypatch.setattr(pictures, "load_images", lambda *_, **__: odd)
    with pytest.raises(ValueError, match=r"6x6: both sides must be multiples of 4.*to 8x8"):
        cyclegan.run(Config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    one = dataclasses.replace(Config(), target_dataset=None)
    with pytest.raises(ValueError, match="--dataset is digits, one domain: name the other"):
        cyclegan.run(one, tmp_path / "run")


def test_any_number_of_images_is_mapped_a_few_at_a_time():
    mapped = readers.in_chunks(lambda weights, x: weights * x)
    x = jax.random.normal(jax.random.key(0), (readers.CHUNK + 3, 2, 2, 1))
    np.testing.assert_array_equal(mapped(2.0, x), 2 * x)
