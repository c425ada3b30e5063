"""Runs opened again by their directories, and the images that they make."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
import tyro
from jaxtyping import UInt8

from experiments.harness.bounds import Seed, check_bounds
from experiments.harness.command import directory, in_one_line
from gan_jax import data, training
from gan_jax.checks import SIGNED
from gan_jax.errors import Refusal
from gan_jax.games import Weights
from gan_jax.systems.checks import output_bound
from gan_jax.systems.networks import Latents
from gan_jax.typing import Batch, KeyArray

CHUNK = 100  # images that are made at a time
NUM_NAMED = 20


class Translator(NamedTuple):
    """How a run makes images, or clips, of a user's own pictures, of so many channels, one way.

    An experiment that can has `translators(config, system, batch)`, by the names `forth` and, where
    it goes both ways, `back`.
    translate: (key, weights, images in [-1, 1], of any size) -> images, or clips, in [-1, 1].
    """

    channels: int
    translate: Callable[[KeyArray, Weights, jax.Array], jax.Array]


class Players(NamedTuple):
    """The weights of both players, which a run has at its end."""

    generator: Weights
    discriminator: Weights


class Instrument(NamedTuple):
    """How a run makes notes, so many samples a second, of pitches by their names.

    An experiment that does has `instrument(config, system)`.
    latents: (key, num) -> as many timbres.
    play: (weights, timbres, places of pitches) -> sounds in [-1, 1].
    """

    rate: int
    pitches: Sequence[str]
    latents: Callable[[KeyArray, int], jax.Array]
    play: Callable[[Weights, jax.Array, jax.Array], jax.Array]

    def place(self, pitch: str) -> int:
        """The place of a pitch.

        Raises:
            ValueError: it is none of them.
        """
        names = list(self.pitches)
        if pitch not in names:
            raise Refusal(f"--pitch is {pitch!r}; it must be of {names[0]} to {names[-1]}.")
        return names.index(pitch)


Teller = Callable[[KeyArray, Players, Sequence[str]], jax.Array]
"""(key, both players' weights, sentences) -> an image, or a clip, of each, in [-1, 1].

An experiment that draws what sentences say has `teller(config, system)`."""


class Maker(NamedTuple):
    """How a run makes images, where its system does not: what a `GAN` or a `VAE` has.

    An experiment whose system makes something else has a function `maker(config, system)`.
    sample: (key, weights, num) -> images.
    generate: (weights, latents) -> images. Both are also given what `conditions` name.
    unseen: the batch whose likelihood is estimated, of a maker that starts from real images; its
        images are not compared with these.
    at: where the system's state is in that of the run; of several, whose weights are a dict, by
        their names there.
    is_signed: whether images are in [-1, 1], and not in [0, 1].
    """

    sample: Callable[..., Any]
    latents: Latents
    generate: Callable[..., Any]
    at: tuple[str, ...] | Mapping[str, tuple[str, ...]] = ()
    unseen: Batch | None = None
    conditions: tuple[str, ...] = ()
    is_signed: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunAgain:
    """Which run, which of its weights, and by which draws."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The directory of a run that is finished or was stopped."""
    seed: Seed = 0
    """Of the latents; the same seed gives the same images."""
    live: bool = False
    """The generator as it is, in place of its moving average where the run keeps one."""

    def __post_init__(self) -> None:
        check_bounds(self)

    @property
    def key(self) -> KeyArray:
        return jax.random.key(self.seed)


class Built(NamedTuple):
    """A run's experiment and configuration, and the system that they describe."""

    restored: training.Restored
    module: ModuleType
    config: Any
    system: Any


class Opened(NamedTuple):
    """A run's experiment and configuration, and what makes images by which weights."""

    restored: training.Restored
    config: Any
    system: Any
    maker: Any
    weights: Weights | dict[str, Weights]

    @property
    def is_signed(self) -> bool:
        """Whether images are in [-1, 1], and not in [0, 1]."""
        if isinstance(self.maker, Maker):
            return self.maker.is_signed
        generator = getattr(self.maker, "generator", None)
        return generator is not None and output_bound(generator) == SIGNED

    @property
    def has_labels(self) -> bool:
        return bool(getattr(self.maker, "conditions", ()))

    def to_signed(self, images: Any) -> Any:
        return images if self.is_signed else 2 * images - 1

    def to_bytes(self, images: Any) -> UInt8[np.ndarray, "num *shape"]:
        return np.asarray(data.to_uint8(self.to_signed(images)))

    def labels(self, num: int, label: str | None = None) -> tuple[np.ndarray, ...]:
        """The conditions of that many images: one label for all, else every label in its turn."""
        names = self.restored.label_names or []
        if not self.has_labels:
            if label is not None:
                raise Refusal(f"--label is {label}, but the run was not trained on labels.")
            return ()
        if label is None:
            of_each = np.full(len(names), num // len(names))
            of_each[: num % len(names)] += 1
            return (np.repeat(np.arange(len(names), dtype=np.int32), of_each),)
        known = names + [str(index) for index in range(len(names)) if str(index) not in names]
        if label not in known:
            said = ", ".join(names[:NUM_NAMED]) + (", ..." if len(names) > NUM_NAMED else "")
            raise Refusal(
                f"--label is {label!r}; it must be one of {said}, or a number below {len(names)}."
            )
        index = names.index(label) if label in names else int(label)
        return (np.full(num, index, np.int32),)

    def draw(
        self, key: KeyArray, num: int, *conditions: np.ndarray
    ) -> Iterator[UInt8[np.ndarray, "num *shape"]]:
        """Make images, or clips, a hundred at a time."""
        sample = jax.jit(self.maker.sample, static_argnums=2)
        for chunk, start in enumerate(range(0, num, CHUNK)):
            some = [np.resize(condition[start : start + CHUNK], CHUNK) for condition in conditions]
            images = sample(jax.random.fold_in(key, chunk), self.weights, CHUNK, *some)
            yield self.to_bytes(images)[: num - start]


def built(again: RunAgain) -> Built:
    """Read what a run is, and build its system.

    Raises:
        ValueError: the directory is none of a run of these experiments.
    """
    restored = training.restore(again.run)
    module, config = experiment_of(again.run, restored)
    return Built(restored, module, config, module.build(config, restored.batch))


def opened(again: RunAgain, *, clips: bool = False) -> Opened:
    """Open a run that makes images, or clips where these are wanted, too.

    Raises:
        ValueError: the directory is none of a run of these experiments, or its run makes no images.
    """
    run = built(again)
    restored, module, config, system = run
    if translators_of(run):
        raise Refusal(
            f"{again.run} is a run of {restored.experiment}, which starts from other images: give "
            f"some, by python -m experiments.sample {again.run} --input FOLDER."
        )
    maker = module.maker(config, system) if hasattr(module, "maker") else system
    if hasattr(module, "instrument"):
        raise Refusal(
            f"{again.run} is a run of {restored.experiment}, which makes notes: hear some, by "
            f"python -m experiments.sample {again.run} --pitch 60."
        )
    made = {"image", "target", "video"} if clips else {"image", "target"}
    if not made & set(restored.batch) or not hasattr(maker, "generate"):
        raise Refusal(f"{again.run} is a run of {restored.experiment}, which makes no images.")
    if hasattr(module, "teller"):
        raise Refusal(
            f"{again.run} is a run of {restored.experiment}, which draws what sentences say: give "
            f'one, by python -m experiments.sample {again.run} --text "...".'
        )
    if others := [name for name in getattr(maker, "conditions", ()) if name != "label"]:
        raise Refusal(f"The images of {again.run} depend on {', '.join(others)}, not on labels.")
    at = getattr(maker, "at", ())
    if isinstance(at, Mapping):
        weights = {name: _weights(restored, place, again.live) for name, place in at.items()}
    else:
        weights = _weights(restored, at, again.live)
    return Opened(restored, config, system, maker, weights)


def of_latents_alone(again: RunAgain) -> Opened:
    """Open a run whose images are a function of latents.

    Raises:
        ValueError: as `opened`, or they are of labels, or of other images, too.
    """
    run = opened(again)
    if run.has_labels:
        raise Refusal("The run was trained on labels, so its images are no function of latents.")
    if getattr(run.maker, "unseen", None):
        raise Refusal("The run completes images, which are no function of latents alone.")
    return run


def translators_of(run: Built) -> Mapping[str, Translator]:
    """The ways in which a run translates pictures, by name."""
    find = getattr(run.module, "translators", None)
    return find(run.config, run.system, run.restored.batch) if find else {}


def translating(again: RunAgain, way: str) -> tuple[Built, Translator, Weights]:
    """Open a run that translates images, one way.

    Raises:
        ValueError: as `built`, or its run translates none, or not this way.
    """
    run = built(again)
    ways = translators_of(run)
    if way not in ways:
        what = "translates pictures one way, without --back" if ways else "translates no pictures"
        raise Refusal(f"{again.run} is a run of {run.restored.experiment}, which {what}.")
    return run, ways[way], _weights(run.restored, (), again.live)


def playing(again: RunAgain) -> tuple[Instrument, Weights]:
    """Open a run that makes notes.

    Raises:
        ValueError: as `built`, or its run makes none.
    """
    run = built(again)
    find = getattr(run.module, "instrument", None)
    if find is None:
        raise Refusal(f"{again.run} is a run of {run.restored.experiment}, which makes no notes.")
    return find(run.config, run.system), _weights(run.restored, (), again.live)


def telling(again: RunAgain) -> tuple[Teller, Players]:
    """Open a run that draws what sentences say.

    Raises:
        ValueError: as `built`, or its run draws no sentences, or has only learned to read them.
    """
    run = built(again)
    find = getattr(run.module, "teller", None)
    if find is None:
        made = run.restored.experiment
        raise Refusal(f"{again.run} is a run of {made}, which draws nothing that sentences say.")
    if "generator" not in run.restored.state:
        raise Refusal(
            f"{again.run} has learned to read sentences, and not yet to draw what they say: run it "
            "to its end."
        )
    players = (_weights(run.restored, (), again.live, name) for name in Players._fields)
    return find(run.config, run.system), Players(*players)


def experiment_of(run: str, restored: training.Restored) -> tuple[ModuleType, Any]:
    """The experiment that a run is of, and the configuration that it had.

    Raises:
        ValueError: it is none of these experiments, or has no longer such options.
    """
    try:
        module = importlib.import_module(f"experiments.{restored.experiment}")
        known = {field.name for field in dataclasses.fields(module.Config)}
    except (ImportError, AttributeError, TypeError):
        raise Refusal(
            f"{run} is a run of {restored.experiment!r}, which is none of these experiments."
        ) from None
    if unknown := sorted(restored.config.keys() - known):
        raise Refusal(
            f"{run} was written by gan_jax {restored.version}, whose {restored.experiment} "
            f"has options that this one has not ({', '.join(unknown)}): take that version."
        )
    return module, module.Config(**restored.config)


def main(name: str, options: type[Any], run: Callable[..., str], description: str) -> None:
    """Parse the command line of a command that trains nothing, and print what it says."""
    with in_one_line(name):
        chosen = tyro.cli(options, description=description, prog=f"python -m experiments.{name}")
        training.enable_compilation_cache()
        print(run(chosen))


def new_directory(out: str | None, run: str, name: str) -> Path:
    """A directory that holds nothing yet.

    Raises:
        ValueError: there is something in it.
    """
    folder = Path(run, name) if out is None else directory(out, "--out")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refusal(f"{folder} holds files already: give another --out, or move them away.")
    return folder


def _weights(
    restored: training.Restored, at: tuple[str, ...], live: bool, player: str = "generator"
) -> Weights:
    state = restored.state
    for name in at:
        state = state[name]
    if player not in state:
        return restored.weights(*at, "player")
    average = "memory" in state and player in state["memory"] and not live
    return restored.weights(*at, *(["memory"] if average else []), player)
