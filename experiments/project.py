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

from experiments.harness import runs, text
from experiments.harness.bounds import Count
from experiments.harness.feature_networks import Features, check_differentiable, features_by
from experiments.harness.options import flat
from experiments.harness.pictures import PictureOptions
from experiments.harness.runs import RunAgain, new_directory, opened
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

    images: jax.Array
    made: list[jax.Array]
    params: Params

    def save(self, path: Path) -> None:
        """Write a picture with a row for each image, itself to the left, and an archive."""
        rows = np.stack([self.images, *self.made], axis=1)
        grid = rows.reshape(-1, *rows.shape[2:])
        plots.image_grid(grid, columns=rows.shape[1]).save(path.with_suffix(".png"))
        noise = {f"noise_{layer}": maps for layer, maps in enumerate(self.params["noise"])}
        np.savez(path.with_suffix(".npz"), style=self.params["style"], **noise)


def distances(features: Features, made: Any, images: Any) -> jax.Array:
    """By features and by pixels, for each image."""
    ways = (features.of, flat)
    return jnp.stack([jnp.mean(jnp.square(of(made) - of(images)), axis=1) for of in ways])


def projector(projection: StyleProjection, key: KeyArray) -> Callable[[np.ndarray], Found]:
    """What finds images in bytes, some at a time."""
    key_init, key_steps = jax.random.split(key)

    @jit_with_options
    def advance(state: DescentState, batch: Batch, end: int) -> DescentState:
        def move(step: jax.Array, state: DescentState) -> DescentState:
            return projection.step(jax.random.fold_in(key_steps, step), state, batch)[0]

        return jax.lax.fori_loop(state.step, end, move, state)

    init, look = jax.jit(projection.init), jax.jit(projection.images)

    def project(images: np.ndarray) -> Found:
        batch = {"image": data.signed(images)}
        state, made = init(key_init, batch), []
        for share in SHOWN:
            state = advance(state, batch, int(share * projection.num_steps))
            made.append(look(state.player.weights).clip(-1, 1))
        return Found(batch["image"], made, state.player.weights.params)

    def project_all(images: np.ndarray) -> Found:
        parts = [project(images[at : at + PART]) for at in range(0, len(images), PART)]
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    return project_all


def in_words(features: Features, found: dict[str, Found]) -> str:
    """Medians over images, and how often an image of the run is nearer than a real one."""
    near, rows = {}, [["median distance", features.kind, "pixels", "of the mean style"]]
    for name, (images, made, _) in found.items():
        start = distances(features, made[0], images)
        near[name] = np.asarray(distances(features, made[-1], images))
        medians = [*np.median(near[name], axis=1), np.median(start[0])]
        rows.append([f"{len(images)} {name}", *(f"{median:.4g}" for median in medians)])
    said = [text.table(rows), f"features: {features.name}"]
    if "real" in near:
        is_nearer = near["generated"][0][:, None] < near["real"][0]
        said.append(f"generated is nearer than real in {np.mean(is_nearer):.0%} of all pairs")
    return "\n".join(said)


def run(options: Options) -> str:
    """Find, write down what was found, and say how near it is."""
    run, images = opened(options), {}
    if not isinstance(run.system, StyleGAN2):
        raise Refusal(
            f"{options.run} is a run of {run.restored.experiment}, whose images have no styles: "
            "name the directory of a run of stylegan2."
        )
    folder = new_directory(options.out, options.run, "projected")
    if options.image is not None:
        shape = run.restored.batch["image"].shape[1:]
        _, images["given"] = data.read_pictures(
            options.image, shape, background=run.config.background
        )
    train = PictureOptions.images(run.config, crop="center")
    features = features_by(options.features, train)
    check_differentiable(features, "project")
    if options.num is not None or not images:
        rows = np.random.default_rng(options.seed).permutation(features.standing_for(train))
        chosen = rows[: options.num or NUM]
        images["generated"] = np.concatenate(list(run.draw(options.key, len(chosen))))
        images["real"] = train[chosen]["image"]
    trained: Any = run.weights
    projection = StyleProjection(
        system=run.system,
        trained=trained,
        distance=lambda made, images: jnp.sum(distances(features, made, images), axis=0),
        num_steps=options.num_steps,
    )
    project = projector(projection, options.key)
    found = {name: project(some) for name, some in images.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, some in found.items():
        some.save(folder / name)
    return f"{in_words(features, found)}\npictures, and styles and noise as .npz, in {folder}"


if __name__ == "__main__":
    runs.main("project", Options, run, __doc__ or "")
