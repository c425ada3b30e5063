"""What is found out about a run as it goes: numbers, and files that show it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gan_jax.typing import PyTree


@runtime_checkable
class File(Protocol):
    """A picture, a clip or a sound that can be written; TensorBoard shows those in PNG."""

    @property
    def suffix(self) -> str:
        """How the file's name ends, with its dot."""
        ...

    def save(self, path: Path) -> None:
        """Write the file."""
        ...


class Evaluation(NamedTuple):
    """Files and metrics by name.

    A run writes the files to `samples/<name>-<step><suffix>` and the metrics to its log.
    """

    files: Mapping[str, File] = {}
    metrics: Mapping[str, Any] = {}


class Hook(NamedTuple):
    """Look at the state every so many steps, and at the end.

    `call(step, state)` may return what it finds. All processes make the call; process 0 writes.
    """

    every: int
    call: Callable[[int, PyTree], Evaluation | None]


def evaluate(hooks: Iterable[Hook], step: int, state: PyTree) -> Evaluation:
    """Call the hooks in order, and put together what they find."""
    files, metrics = {}, {}
    for hook in hooks:
        evaluation = hook.call(step, state) or Evaluation()
        files.update(evaluation.files)
        metrics.update(evaluation.metrics)
    return Evaluation(files, metrics)
