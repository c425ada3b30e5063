"""What a dataset is: examples by their indices."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from gan_jax.errors import Refusal

Examples: TypeAlias = dict[str, np.ndarray]
"""Field name (`image`, `label`, `point`) -> values, examples along the first axis."""


@runtime_checkable
class Dataset(Protocol):
    """Examples by their indices: `dataset[np.arange(16)]["image"]` are the first 16 images.

    What has one value for all examples is an attribute, where there is such: `label_names`, and
    `rate`, of sounds in samples a second. So is `text`, the strings of the examples in their order,
    of which no array goes to a device.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, indices: np.ndarray, /) -> Examples: ...


@dataclass(frozen=True)
class ArrayDataset:
    """Hold a dataset in memory, with the names of its classes, its texts, and its rate, if it has.

    >>> import numpy as np
    >>> from gan_jax import data
    >>> points = data.ArrayDataset({"point": np.zeros((5, 2)), "label": np.arange(5) % 2})
    >>> len(points), points[np.array([3, 4])]["label"].tolist()
    (5, [1, 0])

    Raises:
        ValueError: there is no field, or the fields, or the texts, differ in their number of
            examples.
    """

    arrays: Examples
    label_names: tuple[str, ...] | None = None
    text: tuple[str, ...] | None = None
    rate: int | None = None

    def __post_init__(self) -> None:
        lengths = {field: len(array) for field, array in self.arrays.items()}
        if self.text is not None:
            lengths["text"] = len(self.text)
        if len(set(lengths.values())) != 1:
            raise Refusal(f"A dataset's fields need one number of examples, not {lengths}.")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, indices: np.ndarray) -> Examples:
        return {field: array[indices] for field, array in self.arrays.items()}
