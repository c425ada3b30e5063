"""Arithmetic and walks in a run's latent space.    python -m experiments.latents runs/dcgan

Thick threes - thin threes + thin eights = thick eights? A concept, a class and a stroke weight, is
the mean of three latents (Radford, Metz & Chintala 2016, section 6.3.2). What comes out is read off
by a classifier of the real images, and by its ink. Then walks from class to class: how much the
image changes from frame to frame, and how sure the classifier is of a frame half-way.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import features, runs, text
from experiments.harness.bounds import Count
from experiments.harness.runs import Opened, RunAgain, new_directory, opened
from gan_jax import plots
from gan_jax.errors import Refusal
from gan_jax.systems import walks
from gan_jax.typing import KeyArray

NUM_MADE = 5_000
NUM_EXEMPLARS = 3
NUM_FRAMES = 11
NUM_SHOWN = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num_draws: Count = 100
    """Sums, and walks, of each seed."""
    num_seeds: Count = 3
    """Seeds of the images that concepts are made of, from --seed on."""
    out: str | None = None
    """A new or empty directory for a picture of sums, by default <run>/latents."""


class Space(NamedTuple):
    """A run, a classifier of its real images, and some of what the run makes.

    weights: the mean brightness of each image, in [-1, 1]: the ink of a digit.
    thin, thick: the rows of each class that are in the lower and in the upper third of its weights.
    """

    run: Opened
    judge: features.Classifier
    latents: jax.Array
    images: np.ndarray
    classes: np.ndarray
    weights: np.ndarray
    thin: dict[int, np.ndarray]
    thick: dict[int, np.ndarray]


def explored(key: KeyArray, run: Opened, judge: features.Classifier) -> Space:
    """Draw images, and sort them by class and stroke weight.

    Raises:
        ValueError: they are not of two classes or more.
    """
    latents = run.maker.latents(key, NUM_MADE)
    images = made(run, latents)
    classes, weights = judge.classes(images), images.mean(axis=(1, 2, 3))
    thin, thick = {}, {}
    for name in np.unique(classes):
        of_class = classes == name
        low, high = np.quantile(weights[of_class], (1 / 3, 2 / 3))
        lower = np.flatnonzero(of_class & (weights < low))
        upper = np.flatnonzero(of_class & (weights > high))
        if min(len(lower), len(upper)) >= NUM_EXEMPLARS:
            thin[name], thick[name] = lower, upper
    if len(thin) < 2:
        raise Refusal("The run makes one class alone, so there is nothing to add or to walk to.")
    return Space(run, judge, latents, images, classes, weights, thin, thick)


def made(run: Opened, latents: jax.Array) -> np.ndarray:
    """Images in [-1, 1]."""
    generate = jax.jit(run.maker.generate)
    parts = [generate(run.weights, latents[i : i + 500]) for i in range(0, len(latents), 500)]
    return run.to_signed(np.concatenate(parts))


def arithmetic(
    space: Space, chance: np.random.Generator, num: int
) -> tuple[dict[str, float], np.ndarray]:
    """Score thick a - thin a + thin b, of random classes a and b; give rows of what was added.

    Beside it thin b alone, which has the class already, and images drawn at random.
    """
    pairs = [chance.choice(list(space.thin), 2, replace=False) for _ in range(num)]
    goals = np.array([b for _, b in pairs])
    concepts = [(space.thick[a], space.thin[a], space.thin[b]) for a, b in pairs]
    rows = np.array([[chance.choice(of, NUM_EXEMPLARS) for of in three] for three in concepts])
    means = jnp.mean(space.latents[rows], axis=2)
    sums = made(space.run, means[:, 0] - means[:, 1] + means[:, 2])
    enough = np.array([space.weights[space.thick[b]].min() for b in goals])
    drawn = space.images[chance.integers(len(space.images), size=num)]
    scores = {}
    for name, images in {
        "sum": sums,
        "thin b alone": made(space.run, means[:, 2]),
        "chance": drawn,
    }.items():
        is_class = space.judge.classes(images) == goals
        is_thick = images.mean(axis=(1, 2, 3)) >= enough
        scores[f"{name}: class b"] = np.mean(is_class)
        scores[f"{name}: thick b"] = np.mean(is_class & is_thick)
    of_means = made(space.run, means[:NUM_SHOWN].reshape(-1, *means.shape[2:]))
    of_means = of_means.reshape(-1, 3, 1, *of_means.shape[1:])
    shown = np.concatenate([space.images[rows[:NUM_SHOWN]], of_means], axis=2)
    shown = shown.reshape(len(shown), -1, *shown.shape[3:])
    return scores, np.concatenate([shown, sums[:NUM_SHOWN, None]], axis=1)


def walked(space: Space, chance: np.random.Generator, num: int) -> dict[str, float]:
    """Walk between images of different classes, and look at every frame.

    change: the mean distance of a frame to the next, in root mean square of a pixel; unevenness:
    the largest of a walk over its mean. confidence: the classifier's largest probability.
    """
    starts = chance.integers(len(space.images), size=4 * num)
    ends = chance.integers(len(space.images), size=4 * num)
    apart = np.flatnonzero(space.classes[starts] != space.classes[ends])[:num]
    scores = {}
    for name, way in walks.WAYS.items():
        legs = jax.vmap(jax.vmap(way, (None, None, 0)), (0, 0, None))(
            space.latents[starts[apart]], space.latents[ends[apart]], jnp.linspace(0, 1, NUM_FRAMES)
        )
        images = made(space.run, legs.reshape(-1, *legs.shape[2:]))
        sure = np.max(jax.nn.softmax(space.judge.logits(images)), axis=-1).reshape(-1, NUM_FRAMES)
        frames = images.reshape(len(apart), NUM_FRAMES, -1)
        changes = np.sqrt(np.mean(np.square(np.diff(frames, axis=1)), axis=2))
        scores[f"{name}: change"] = np.mean(changes)
        scores[f"{name}: unevenness"] = np.mean(changes.max(axis=1) / changes.mean(axis=1))
        scores[f"{name}: confidence at the ends"] = np.mean(sure[:, [0, -1]])
        scores[f"{name}: confidence half-way"] = np.mean(sure[:, NUM_FRAMES // 2])
    return scores


def run(chosen: Options) -> str:
    """Score sums and walks over seeds, and write a picture of some sums."""
    run = opened(chosen)
    if run.has_labels:
        raise Refusal("The run was trained on labels, so its latents do not say the class.")
    folder = new_directory(chosen.out, chosen.run, "latents")
    judge = features.train_classifier(run.config.images(crop="center"))
    found, shown = [], []
    for seed in range(chosen.seed, chosen.seed + chosen.num_seeds):
        space = explored(jax.random.key(seed), run, judge)
        chance = np.random.default_rng(seed)
        scores, rows = arithmetic(space, chance, chosen.num_draws)
        shown.append(rows)
        found.append(scores | walked(space, chance, chosen.num_draws))
    folder.mkdir(parents=True, exist_ok=True)
    images, columns = np.concatenate(shown[0]), shown[0].shape[1]
    plots.image_grid(images, columns=columns).save(folder / "sums.png")
    table = [("", f"mean ± std over {len(found)} seeds")]
    for name in found[0]:
        values = np.array([scores[name] for scores in found])
        table.append((name, text.plus_minus(values.mean(), values.std(ddof=len(values) > 1), 3)))
    return (
        f"{text.table(table)}\n{judge.name}, accuracy {judge.accuracy:.1%}; {folder / 'sums.png'}"
    )


if __name__ == "__main__":
    runs.main("latents", Options, run, __doc__ or "")
