"""Pictures back to styles, by a run of StyleGAN2.    python -m experiments.project RUN picture.png

Finds by descent the style and the noise of which the generator makes a picture as near as it can
(Karras et al. 2020, section 5). A picture is brought to the size and the colours of those that the
run has learned from. Without one, images that the run makes are found again, and beside them as
many real ones of its dataset: the run's own come nearer. How near is the mean squared distance of
features and of pixels in [-1, 1], which are minimised in sum.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array

from experiments.harness import runs, text
from experiments.harness.bounds import Count
from experiments.harness.feature_networks import Features, check_differentiable, features_by
from experiments.harness.options import flat
from experiments.harness.pictures import PictureOptions
from experiments.harness.runs import Opened, RunAgain, new_directory, opened
from gan_jax import data, plots
from gan_jax.errors import Refusal
from gan_jax.games import DescentState
from gan_jax.systems import StyleGAN2, StyleProjection
from gan_jax.training.compile import jit_with_options
from gan_jax.typing import Batch, KeyArray, Params

NUM = 10
PART = 10  # images that are found at a time
SHOWN = (0, 0.25, 0.5, 0.75, 1)  # shares of all steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    image: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")] = None
    """A picture of yours, or a folder of some."""
    num: Count | None = None
    """How many images of the run, and as many real ones, are found; without IMAGE 10."""
    num_steps: Count = 1_000
    """Of the descent."""
    features: str = "auto"
    """What images are compared by, beside pixels: pixels, lenet (a classifier of the dataset's own
    classes), or auto: lenet where there are labels."""
    out: str | None = None
    """A new or empty directory for what is found, by default <run>/projected."""


class Found(NamedTuple):
    """Images, what was made for them at shares of all steps, and of which style and noise."""

    images: np.ndarray
    made: list[np.ndarray]
    params: Params

    def save(self, path: Path) -> None:
        """Write a picture with a row for each image, itself to the left, and an archive."""
        rows = np.stack([self.images, *self.made], axis=1)
        grid = rows.reshape(-1, *rows.shape[2:])
        plots.image_grid(grid, columns=rows.shape[1]).save(path.with_suffix(".png"))
        noise = {f"noise_{layer}": maps for layer, maps in enumerate(self.params["noise"])}
        np.savez(path.with_suffix(".npz"), style=self.params["style"], **noise)


Project = Callable[[np.ndarray], Found]


def distances(features: Features, made: Any, images: Any) -> jax.Array:
    """By features and by pixels, for each image."""
    ways = (features.of, flat)
    return jnp.stack([jnp.mean(jnp.square(of(made) - of(images)), axis=1) for of in ways])


def projector(options: Options, run: Opened, features: Features) -> Project:
    """What finds images in bytes, some at a time."""
    projection = StyleProjection(
        system=run.system,
        trained=run.weights,
        distance=lambda made, images: jnp.sum(distances(features, made, images), axis=0),
        num_steps=options.num_steps,
    )

    @jit_with_options
    def advance(key: KeyArray, state: DescentState, batch: Batch, end: int) -> DescentState:
        def move(step: Array, state: DescentState) -> DescentState:
            return projection.step(jax.random.fold_in(key, step), state, batch)[0]

        return jax.lax.fori_loop(state.step, end, move, state)

    init, look = jax.jit(projection.init), jax.jit(projection.images)

    def project_some(key: KeyArray, images: np.ndarray) -> Found:
        key_init, key_steps = jax.random.split(key)
        batch = {"image": data.signed(images)}
        state, made = init(key_init, batch), []
        for share in SHOWN:
            state = advance(key_steps, state, batch, int(share * options.num_steps))
            made.append(look(state.player.weights).clip(-1, 1))
        return jax.device_get(Found(batch["image"], made, state.player.weights.params))

    def project(images: np.ndarray) -> Found:
        size = min(PART, len(images))
        parts = []
        for at in range(0, len(images), size):
            some = np.resize(images[at : at + size], (size, *images.shape[1:]))
            found = project_some(jax.random.fold_in(options.key, at), some)
            parts.append(jax.tree.map(lambda array: array[: len(images) - at], found))  # noqa: B023
        return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)

    return project


def in_words(features: Features, found: dict[str, Found]) -> str:
    """Medians over images, and how often an image of the run is nearer than a real one."""
    near, rows = {}, [("median distance", features.kind, "pixels", "of the mean style")]
    for name, some in found.items():
        start, near[name] = (
            np.asarray(distances(features, made, some.images))
            for made in some.made[:: len(SHOWN) - 1]
        )
        medians = [*np.median(near[name], axis=1), np.median(start[0])]
        rows.append((f"{len(some.images)} {name}", *(f"{median:.4g}" for median in medians)))
    said = [text.table(rows), f"features: {features.name}"]
    if "generated" in found:
        is_nearer = near["generated"][0][:, None] < near["real"][0]
        said.append(f"generated is nearer than real in {np.mean(is_nearer):.0%} of all pairs")
    return "\n".join(said)


def run(options: Options) -> str:
    """Find, write down what was found, and say how near it is."""
    run = opened(options)
    if not isinstance(run.system, StyleGAN2):
        raise Refusal(
            f"{options.run} is a run of {run.restored.experiment}, whose images have no styles: "
            "name the directory of a run of stylegan2."
        )
    folder = new_directory(options.out, options.run, "projected")
    images = {}
    if options.image is not None:
        shape = run.restored.batch["image"].shape[1:]
        _, given = data.read_pictures(options.image, shape, background=run.config.background)
        images["given"] = given
    train = PictureOptions.images(run.config, crop="center")
    features = features_by(options.features, train)
    check_differentiable(features, "a projection")
    if options.num is not None or not images:
        rows = np.arange(len(train)) if features.reference is None else features.reference
        chosen = np.random.default_rng(options.seed).permutation(rows)[: options.num or NUM]
        images["generated"] = np.concatenate(list(run.draw(options.key, len(chosen))))
        images["real"] = train[chosen]["image"]
    project = projector(options, run, features)
    found = {name: project(some) for name, some in images.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, some in found.items():
        some.save(folder / name)
    return f"{in_words(features, found)}\npictures, and styles and noise as .npz, in {folder}"


if __name__ == "__main__":
    runs.main("project", Options, run, __doc__ or "")
