"""Walks between nine latents of a run.    python -m experiments.walk runs/dcgan

Along straight lines (Radford, Metz & Chintala 2016, section 6.1) and along arcs: a picture of each,
with a row from each latent to the next, and a GIF of both, straight to the left. Of a run that
makes notes, by --pitch, a sound of each, from one timbre to another and back.
"""

import dataclasses
from typing import Annotated

import jax
import numpy as np

from experiments.harness import runs
from experiments.harness.bounds import Size
from experiments.harness.runs import RunAgain, new_directory, opened, playing
from gan_jax import data, plots
from gan_jax.checks import AT_LEAST_2
from gan_jax.errors import Refusal
from gan_jax.systems import walks

NUM_STATIONS = 9
NUM_TIMBRES = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(RunAgain):
    num_frames: Annotated[Size, AT_LEAST_2] = 12
    """Images, or notes, of each leg, with both of its ends."""
    out: str | None = None
    """A new or empty directory for the pictures, by default <run>/walk."""
    label: str | None = None
    """The name or the number of the label that is walked under, by default the first."""
    pitch: str | None = None
    """The pitch of notes, as MIDI numbers it, of a run that makes some."""


def run(options: Options) -> str:
    """Walk, and write what was seen."""
    if options.pitch is not None:
        return play(options, options.pitch)
    run = opened(options)
    num = NUM_STATIONS * options.num_frames
    labels = run.labels(num, options.label)
    if options.label is None:
        labels = tuple(np.zeros_like(values) for values in labels)
    folder = new_directory(options.out, options.run, "walk")
    generate = jax.jit(run.maker.generate)
    stations = run.maker.latents(options.key, NUM_STATIONS)
    seen = {}
    for name, way in walks.WAYS.items():
        legs = walks.walk(stations, options.num_frames, way)
        made = run.to_bytes(generate(run.weights, legs.reshape(-1, *legs.shape[2:]), *labels))
        seen[name] = np.asarray(data.signed(made))
    folder.mkdir(parents=True, exist_ok=True)
    for name, images in seen.items():
        grid = plots.image_grid(images, columns=options.num_frames)
        grid.save(folder / f"{name}.png")
    pairs = np.stack(list(seen.values()), axis=1)
    pairs = pairs[np.arange(len(pairs)) % options.num_frames != 0]  # where the last leg ended
    frames = np.stack([plots.image_grid(pair, columns=2, scale=4).pixels for pair in pairs])
    plots.Animation(frames).save(folder / "walk.gif")
    return f"straight.png, spherical.png and walk.gif in {folder}"


def play(options: Options, pitch: str) -> str:
    """Walk between timbres, and write what was heard."""
    if options.label is not None:
        raise Refusal("--pitch says what is played: leave out --label.")
    instrument, weights = playing(options)
    place = instrument.place(pitch)
    folder = new_directory(options.out, options.run, "walk")
    stations = instrument.latents(options.key, NUM_TIMBRES)
    played, heard = jax.jit(instrument.play), {}
    for name, way in walks.WAYS.items():
        legs = walks.walk(stations, options.num_frames, way)
        timbres = legs.reshape(-1, *legs.shape[2:])
        heard[name] = played(weights, timbres, np.full(len(timbres), place))
    folder.mkdir(parents=True, exist_ok=True)
    for name, sounds in heard.items():
        plots.in_a_row(np.asarray(sounds), instrument.rate).save(folder / f"{name}.wav")
    return f"straight.wav and spherical.wav in {folder}"


if __name__ == "__main__":
    runs.main("walk", Options, run, __doc__ or "")
