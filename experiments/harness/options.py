"""The options of every run, and the run that they describe."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.bounds import Count, Seed, check_bounds
from gan_jax import data
from gan_jax.errors import Refusal
from gan_jax.games import Objective, descent_step
from gan_jax.signals import center_crop
from gan_jax.training import Evaluation, Hook, Timetable, continue_from, process_rows, train
from gan_jax.training.compile import AXIS, Parallel
from gan_jax.training.rundir import SAMPLES, starts_anew
from gan_jax.typing import Feed, KeyArray, PyTree, Step

Evaluate: TypeAlias = Callable[[KeyArray, PyTree], Evaluation]
"""(key, state) -> what there is to see and to measure; the key is the same at every evaluation."""

Purpose = Literal[
    "run",
    "init",
    "evaluate",
    "data",
    "pixels",
    "score",
    "refine",
    "bounds",
    "parzen",
    "measure",
    "encoder",
]
"""What a run draws keys for."""

Dtype = Literal["float32", "bfloat16"]

SHOWN_SEEDS = {"train": 2**32 - 1, "test": 2**32 - 2}
"""Of drawn examples that are the same in every run: the last seeds, which few runs will have."""

FEATURES = ("pixels", "lenet", "inception")
"""What images are compared by: the names of numbers on features begin so."""


class Result(NamedTuple):
    """A finished run: its last state, what was measured there, what the command prints."""

    state: PyTree
    metrics: Mapping[str, Any]
    samples: Path
    text: str = ""

    def __str__(self) -> str:
        return f"{self.text}\npictures in {self.samples}"

    def says(self, text: str, scores: Mapping[str, Any] = MappingProxyType({})) -> "Result":
        """Say what was found, on features too, and add what was measured after the run."""
        on_features = [
            f"{name} {value:.4g}"
            for name, value in self.metrics.items()
            if name.split("/")[0] in FEATURES
        ]
        said = "; ".join(filter(None, [text, ", ".join(on_features)]))
        return self._replace(metrics={**self.metrics, **scores}, text=said)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How long a run is, and when it comes back to Python."""

    parallel: ClassVar[Parallel] = "none"
    batch_size: ClassVar[int] = 1
    steps: Count
    """Where the run ends; a run that is resumed may be given more."""
    seed: Seed = 0
    """Seed of the weights, the order of the data and the latents."""
    steps_per_dispatch: Count
    """Steps that are compiled into one program, and averaged in one line of the log."""
    evaluate_every: Count
    """Steps between two evaluations; a multiple of steps_per_dispatch."""
    checkpoint_every: Count
    """Steps between two checkpoints; a multiple of steps_per_dispatch."""
    continue_from: str | None = None
    """The directory of another run whose weights this one starts with."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, list):  # JSON, from which a run is read again, has no tuples
                object.__setattr__(self, name, tuple(value))
        check_bounds(self)

    def key(self, purpose: Purpose) -> KeyArray:
        """A key of its own for each purpose."""
        return jax.random.fold_in(jax.random.key(self.seed), get_args(Purpose).index(purpose))

    @property
    def examples_per_step(self) -> int:
        return self.batch_size

    @property
    def axis_name(self) -> str | None:
        """The axis over which the step must average by itself: pmap's."""
        return AXIS if self.parallel == "pmap" else None

    def descent(self, objective: Objective, optimizer: optax.GradientTransformation) -> Step:
        """One step down an objective."""
        told = {"optimizer": optimizer, "axis_name": self.axis_name}
        return partial(descent_step, objective=objective, **told)

    def feed(self, dataset: data.Dataset, fields: data.Fields) -> Feed:
        """The batches that this process reads of the dataset."""
        batch_size = self.examples_per_step
        if batch_size > len(dataset):
            raise Refusal(
                f"A step takes {batch_size} examples, but the dataset has {len(dataset)}: lower "
                "--batch-size, or --num-discriminator-steps where there is one."
            )
        rows = process_rows(batch_size)
        return data.feed(dataset, fields, batch_size=batch_size, seed=self.seed, rows=rows)

    def timetable(self, num_steps: int) -> Timetable:
        return Timetable(num_steps, self.steps_per_dispatch, self.checkpoint_every)

    def looking(self, evaluate: Evaluate) -> Hook:
        """Evaluate at intervals, always with the same key."""

        def look(step: int, state: PyTree) -> Evaluation:
            return evaluate(self.key("evaluate"), state)

        return Hook(self.evaluate_every, look)

    def told(self, label_names: Sequence[str] | None) -> dict[str, Any]:
        """What every run is told of itself."""
        return {
            "key": self.key("run"),
            "experiment": Path(inspect.getfile(type(self))).stem,
            "config": asdict(self),
            "label_names": label_names,
            "parallel": self.parallel,
        }

    def train(
        self,
        step: Step,
        state: PyTree,
        feed: Feed,
        evaluate: Evaluate,
        *,
        workdir: Path,
        fresh: bool,
        label_names: Sequence[str] | None = None,
        **shown: Any,
    ) -> Result:
        """Train from the start, or from where the run in `workdir` was stopped."""

        if self.continue_from is not None and starts_anew(workdir, fresh):
            if Path(self.continue_from).resolve() == workdir.resolve():
                raise Refusal(
                    f"--continue-from is {self.continue_from}, the run's own directory, which "
                    "would be lost: give the new run another --workdir."
                )
            state = continue_from(self.continue_from, state)

        hook = self.looking(evaluate)
        state, evaluation = train(
            step,
            state,
            feed,
            timetable=self.timetable(self.steps),
            batch_size=self.examples_per_step,
            workdir=workdir,
            fresh=fresh,
            hooks=[hook],
            **self.told(label_names),
            **shown,
        )
        return self.ended(state, evaluation, hook, workdir)

    def ended(
        self, state: PyTree, evaluation: Evaluation | None, hook: Hook, workdir: Path
    ) -> Result:
        """The result of a run, looked at where it has not been at its end."""
        metrics = (evaluation or hook.call(self.steps, state) or Evaluation()).metrics
        return Result(state, metrics, workdir / SAMPLES)


def load_images(name: str, split: str = "train", **framing: Any) -> data.Dataset:
    """Load a dataset of images; refuse another in one line."""
    dataset = data.load(name, split=split, **framing)
    if "image" not in dataset[np.arange(1)]:
        raise Refusal(f"--dataset {name} has no images: choose one that has.")
    return dataset


def label_names(dataset: data.Dataset) -> tuple[str, ...]:
    """The names of a dataset's classes.

    Raises:
        ValueError: it has no labels.
    """
    names = getattr(dataset, "label_names", None)
    if names is None:
        raise Refusal("The images have no labels: choose a --dataset that has.")
    return names


def first_examples(dataset: data.Dataset, num: int) -> data.Examples:
    """The first examples, as many as there are of `num`; what is cropped anew in every step is
    cropped at its centre, to its shorter side."""
    some = dataset[np.arange(min(num, len(dataset)))]
    if "extent" in some:
        image, extent = jnp.asarray(some["image"]), jnp.asarray(some.pop("extent"))
        some["image"] = np.asarray(center_crop(image, extent, int(extent.min())))
    return some


def flat(examples: Any) -> Any:
    """One row for each example."""
    return jnp.reshape(examples, (len(examples), -1))
