"""Two domains: by two names, by a folder of both, or by splits; and classes by their names."""

from dataclasses import dataclass

import numpy as np
import pytest

from experiments.harness import domains, pictures
from gan_jax import data


@dataclass(frozen=True, kw_only=True)
class Options(domains.DomainOptions):
    steps: int = 1
    steps_per_dispatch: int = 1
    evaluate_every: int = 1
    checkpoint_every: int = 1


def images(channels=1, names=None):
    arrays = {"image": np.zeros((2, 4, 4, channels), np.uint8)}
    return data.ArrayDataset(arrays | ({"label": np.arange(2)} if names else {}), names)


@pytest.fixture
def asked(monkeypatch):
    """What is loaded, by name and split; images of one or three channels by the name."""
    found = []

    def load(name, split, **told):
        found.append((name, split, told["crop"]))
        return images(3 if "colour" in name else 1)

    monkeypatch.setattr(pictures, "load_images", load)
    return found


def test_two_names_are_two_domains_and_one_has_splits_of_both(asked):
    crops = {"crop": "random", "image_size": 4}
    Options(dataset="one", target_dataset="other", **crops).domains()
    Options(dataset="cycle_gan/horse2zebra", **crops).domains()
    Options(dataset="cycle_gan/horse2zebra", **crops).domains("test")
    assert asked == [
        ("one", "train", "random"),
        ("other", "train", "random"),
        ("cycle_gan/horse2zebra", "trainA", "random"),
        ("cycle_gan/horse2zebra", "trainB", "random"),
        ("cycle_gan/horse2zebra", "testA", "center"),
        ("cycle_gan/horse2zebra", "testB", "center"),
    ]


def test_one_embedded_dataset_is_one_domain():
    with pytest.raises(ValueError, match="--dataset is digits, one domain: name the other by"):
        Options().domains()


def test_domains_of_two_shapes_are_refused(asked):
    with pytest.raises(ValueError, match=r"are \(4, 4, 1\) and those of the target \(4, 4, 3"):
        Options(dataset="grey", target_dataset="colour").domains()


def test_labels_are_places_among_the_others_names():
    target = images(names=("b", "a"))
    found = domains.labels_among(("a", "b", "c"), target, np.array([0, 1, 1]))
    assert found.tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match="The target has the class 'b', and the source a, c"):
        domains.labels_among(("a", "c"), target, np.array([0]))


@pytest.mark.parametrize(
    ("own", "others", "knows"),
    [
        (("a", "b"), ("b",), True),
        (("a", "b"), ("b", "c"), False),
        (("a",), ("a",), False),
        (("a", "b"), None, False),
        (None, ("a",), False),
    ],
)
def test_who_learned_two_classes_or_more_knows_those_alone(own, others, knows):
    some = [data.ArrayDataset({"image": np.zeros((1, 4, 4, 1))}, names) for names in (own, others)]
    assert domains.knows(*some) == knows
