"""Images of a run that is finished or was stopped.    python -m experiments.sample runs/dcgan

The run directory says all there is to know of the training. Of a run with labels the images are
files in one folder a label, so that they are a dataset again, and rows of the grid. A run that
translates images is given pictures of yours, of any sizes, by --input FOLDER; one that draws what
sentences say, a sentence by --text; one that makes notes, pitches by --pitch. Clips are GIFs, and
notes wav files.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness import runs
from experiments.harness.bounds import Count
from experiments.harness.runs import (
    CHUNK,
    RunAgain,
    new_directory,
    opened,
    playing,
    telling,
    translating,
)
from gan_jax import data, plots
from gan_jax.data.paths import pictures_in, some
from gan_jax.data.pictures import background_colour, read_header, read_picture
from gan_jax.errors import Refusal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num: Count = 100
    """How many images, clips or notes."""
    out: str | None = None
    """A new or empty directory for them, by default <run>/images, with --input <run>/translated,
    with --text <run>/told, with --pitch <run>/notes."""
    input: str | None = None
    """A folder of pictures to translate, each to a file of its name; --num is then their number.
    pix2pix takes what it was trained to start from: light outlines on black, small or grey images,
    one half of a pair; of inpainting whole images, of which a part is hidden. video_gan makes a
    clip of each, of the run's size."""
    back: bool = False
    """Translate from the target to the source, where a run goes both ways."""
    text: str | None = None
    """A sentence to draw, by a run that has learned to read some; clips become GIFs. It is read up
    to the run's --length. Where words are read, all must be known; where characters, what is none
    of the 70 that are known is passed over."""
    pitch: tuple[str, ...] = ()
    """The pitches of notes, as MIDI numbers them (60 64 67), which have their turns."""
    label: str | None = None
    """The name or the number of the one label to draw; without it each label has its turn."""
    grid: bool = False
    """One picture of all, grid.png, of clips grid.gif, in place of files; of notes one after the
    other, grid.wav."""


def run(options: Options) -> str:
    """Write the images; say where they are."""
    if options.pitch:
        return play(options)
    if options.input is not None:
        return translate(options, Path(options.input))
    if options.back:
        raise Refusal("--back translates pictures of yours: name their folder by --input.")
    if options.text is not None:
        return tell(options, options.text)
    run = opened(options, clips=True)
    labels = run.labels(options.num, options.label)
    folder = new_directory(options.out, options.run, "images")
    chunks = run.draw(options.key, options.num, *labels)
    if options.grid:
        return write_grid(np.asarray(data.signed(np.concatenate(list(chunks)))), folder, *labels)
    names = folder_names(run.restored.label_names or [])
    files, written = IMAGES, 0
    for images in chunks:
        files = files_of(images)
        numbers = range(written, written + len(images))
        within = [names[label] for label in labels[0][numbers]] if labels else [""] * len(images)
        for name in set(within):
            (folder / name).mkdir(parents=True, exist_ok=True)
        own = file_names(numbers, options.num, files.suffix)
        files.save(images, [folder / w / name for w, name in zip(within, own, strict=True)])
        written += len(images)
    return f"{written} {files.what} in {folder}"


def tell(options: Options, sentence: str) -> str:
    """Draw what a sentence says, so often; say where the images are."""
    if options.label is not None:
        raise Refusal("--text says what is drawn: leave out --label.")
    teller, players = telling(options)
    folder = new_directory(options.out, options.run, "told")
    made = teller(options.key, players, [sentence] * options.num)
    if options.grid:
        return write_grid(np.asarray(made), folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = files_of(made)
    names = file_names(range(options.num), options.num, files.suffix)
    files.save(np.asarray(data.to_uint8(made)), [folder / name for name in names])
    return f"{len(made)} {files.what} in {folder}"


def play(options: Options) -> str:
    """Make notes of each pitch; say where they are."""
    if options.label is not None or options.text is not None or options.input is not None:
        raise Refusal("--pitch says what is played: leave out --label, --text and --input.")
    instrument, weights = playing(options)
    asked = [instrument.place(pitch) for pitch in options.pitch]
    if options.num < len(options.pitch):
        raise Refusal(f"--num is {options.num}; {len(options.pitch)} pitches take as many notes.")
    folder = new_directory(options.out, options.run, "notes")
    places = np.resize(asked, options.num)
    played = jax.jit(instrument.play)
    parts = []
    for at in range(0, options.num, CHUNK):
        some = np.resize(places[at : at + CHUNK], min(CHUNK, options.num))
        timbres = instrument.latents(jax.random.fold_in(options.key, at), len(some))
        parts.append(np.asarray(played(weights, timbres, some)))
    made = np.concatenate(parts)[: options.num]
    folder.mkdir(parents=True, exist_ok=True)
    if options.grid:
        plots.in_a_row(made, instrument.rate).save(folder / "grid.wav")
        return f"{len(made)} notes in {folder / 'grid.wav'}"
    for name, place, sound in zip(
        file_names(range(options.num), options.num, ".wav"), places, made, strict=True
    ):
        plots.Sound(sound, instrument.rate).save(folder / f"{instrument.pitches[place]}_{name}")
    return f"{len(made)} notes in {folder}"


class Files(NamedTuple):
    """What is made, and how it is written."""

    what: str
    suffix: str
    save: Callable[..., None]


IMAGES = Files("images", ".png", plots.save_images)
CLIPS = Files("clips", ".gif", plots.save_clips)


def files_of(made: Any) -> Files:
    """Whether these are images, or clips, which have an axis more."""
    return CLIPS if made.ndim == 5 else IMAGES


def write_grid(made: np.ndarray, folder: Path, *labels: np.ndarray) -> str:
    """Write one picture of images or clips in [-1, 1]; say where it is."""
    files = files_of(made)
    path = folder / f"grid{files.suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    (plots.clip_grid(made) if files is CLIPS else grid_of(made, *labels)).save(path)
    return f"{len(made)} {files.what} in {path}"


def file_names(numbers: Iterable[int], num: int, suffix: str) -> list[str]:
    """Names of files that are in the order of their numbers, of which there are `num`."""
    digits = max(len(str(num - 1)), 5)
    return [f"{number:0{digits}d}{suffix}" for number in numbers]


def translate(options: Options, source: Path) -> str:
    """Translate every picture of a folder; say where what is made of them is."""
    if options.label is not None or options.grid or options.text is not None:
        raise Refusal(
            "--input gives each picture a file of its own: leave out --label and --grid, or --text."
        )
    run, translator, weights = translating(options, "back" if options.back else "forth")
    names = pictures_in(source)
    folder = new_directory(options.out, options.run, "translated")
    background = background_colour(run.config.background)
    files, broken = IMAGES, []
    for index, name in enumerate(names):
        try:
            header = read_header(source / name, background)
            picture = read_picture(
                source / name, header.orientation, translator.channels, background
            )
        except Exception as error:  # Pillow raises whatever a broken file makes it raise
            broken.append(f"{name} ({error})")
            continue
        image = np.asarray(picture).reshape(1, header.height, header.width, -1)
        key = jax.random.fold_in(options.key, index)
        made = data.to_uint8(translator.translate(key, weights, data.signed(image)))
        files = files_of(made)
        path = folder / (name if name.lower().endswith(files.suffix) else f"{name}{files.suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        files.save(np.asarray(made), [path])
    if len(broken) == len(names):
        raise Refusal(f"None of the pictures in {source} can be read: {some(broken)}.")
    left_out = f"; left out, as they cannot be read: {some(broken)}" if broken else ""
    return f"{len(names) - len(broken)} {files.what} in {folder}{left_out}"


def grid_of(images: np.ndarray, labels: np.ndarray | None = None) -> plots.Picture:
    """Put images in [-1, 1] into one picture, with a row for each label that there is."""
    if labels is None or labels[0] == labels[-1]:
        return plots.image_grid(images)
    rows = np.split(images, np.flatnonzero(np.diff(labels)) + 1)
    columns = max(map(len, rows))
    white = np.ones((columns, *images.shape[1:]), images.dtype)
    filled = [np.concatenate([row, white])[:columns] for row in rows]
    return plots.image_grid(np.concatenate(filled), columns=columns)


def folder_names(label_names: Sequence[str]) -> list[str]:
    """A folder for each label, called as it is, as far as that makes a name of its own."""
    names = [re.sub(r"[^\w -]", "_", name) for name in label_names]
    return [
        f"{label}_{name}" if names.count(name) > 1 or not name.strip() else name
        for label, name in enumerate(names)
    ]


if __name__ == "__main__":
    runs.main("sample", Options, run, __doc__ or "")
