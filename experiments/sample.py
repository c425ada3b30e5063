"""Images of a run that is finished or was stopped.    python -m experiments.sample runs/dcgan

The run directory says all there is to know of the training. Of a run with labels the images are
files in one folder a label, so that they are a dataset again, and rows of the grid.
"""

import dataclasses
import re

import numpy as np
import tyro

from experiments.harness.bounds import Count
from experiments.harness.command import in_one_line
from experiments.harness.runs import RunAgain, new_directory, opened
from gan_jax import plots, training


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num: Count = 100
    """How many images."""
    out: str | None = None
    """A new or empty directory for them, by default <run>/images."""
    label: str | None = None
    """The name or the number of the one label to draw; without it each label has its turn."""
    grid: bool = False
    """One picture of all, grid.png, in place of files."""


def run(options: Options) -> str:
    """Write the images; say where they are."""
    run = opened(options)
    labels = run.labels(options.num, options.label)
    folder = new_directory(options.out, options.run, "images")
    chunks = run.draw(options.key, options.num, *labels)
    if options.grid:
        images = np.concatenate(list(chunks))
        num_rows = len(set(labels[0].tolist())) if labels else 0
        columns = -(-len(images) // num_rows) if num_rows > 1 else None
        grid = plots.image_grid(images / np.float32(127.5) - 1, columns=columns)
        folder.mkdir(parents=True, exist_ok=True)
        grid.save(folder / "grid.png")
        return f"{len(images)} images in {folder / 'grid.png'}"
    names = [re.sub(r"[^\w -]", "_", name) for name in run.restored.label_names or ()]
    written = 0
    for images in chunks:
        numbers = range(written, written + len(images))
        within = [names[label] for label in labels[0][numbers]] if labels else [""] * len(images)
        for name in set(within):
            (folder / name).mkdir(parents=True, exist_ok=True)
        digits = max(len(str(options.num - 1)), 5)
        files = [f"{number:0{digits}d}.png" for number in numbers]
        plots.save_images(images, [folder / w / f for w, f in zip(within, files, strict=True)])
        written += len(images)
    return f"{written} images in {folder}"


if __name__ == "__main__":
    with in_one_line("sample"):
        chosen = tyro.cli(Options, description=__doc__, prog="python -m experiments.sample")
        training.enable_compilation_cache()
        print(run(chosen))
