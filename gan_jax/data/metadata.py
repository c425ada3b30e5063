"""What is known of files beside their pixels: the class by a folder's name, or a list's columns.

The lists are those of Hugging Face: `metadata.jsonl` or `metadata.csv` with a column `file_name`.
"""

import csv
import io
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data.paths import some
from gan_jax.data.sources import Examples
from gan_jax.errors import Refusal

LISTS = ("metadata.jsonl", "metadata.csv")
OURS = ("image", "condition", "extent", "video", "audio")
INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


class Known(NamedTuple):
    """What is known of files, in their order."""

    label: tuple[str, ...] | None = None
    label_names: tuple[str, ...] | None = None
    text: tuple[str, ...] | None = None
    numbers: Mapping[str, np.ndarray] = MappingProxyType({})

    def of(self, rows: np.ndarray) -> "Known":
        """What is known of some of the files; classes keep their names."""
        return self._replace(
            label=self.label and tuple(self.label[row] for row in rows),
            text=self.text and tuple(self.text[row] for row in rows),
            numbers={column: values[rows] for column, values in self.numbers.items()},
        )


class Line(NamedTuple):
    """A line of a list: where it stands, and what it says of a file."""

    place: str
    row: dict[str, Any]


def known(folder: Path, names: Sequence[str]) -> Known:
    """Find what is known of the files of these names in a folder.

    Raises:
        ValueError: a list is broken, or does not list the files that there are.
    """
    lists = [folder / name for name in LISTS if (folder / name).is_file()]
    if len(lists) > 1:
        raise Refusal(f"{folder} holds both {' and '.join(LISTS)}: keep one of them.")
    found = _columns(_lines(lists[0], names)) if lists else Known()
    if found.label is None and all("/" in name for name in names):
        label = tuple(name.partition("/")[0] for name in names)
        return found._replace(label=label, label_names=tuple(sorted(set(label))))
    return found


def labels(
    folder: Path, names: Sequence[str], told: Known, label_names: tuple[str, ...] | None
) -> Examples:
    """The labels of these files as their places among the names that training has.

    Raises:
        ValueError: one is of a class that training lacks.
    """
    if told.label is None or label_names is None:
        return {}
    places = {label: place for place, label in enumerate(label_names)}
    for name, label in zip(names, told.label, strict=True):
        if label not in places:
            raise Refusal(
                f"{folder / name} is of the class {label!r}, which train lacks; it has "
                f"{some(label_names)}: move the class away, or bring examples of it to train."
            )
    return {"label": np.array([places[label] for label in told.label], np.int32)}


def _lines(path: Path, names: Sequence[str]) -> list[Line]:
    """The lines of these files, in their order."""
    listed: dict[str, Line] = {}
    for place, row in _parsed_jsonl(path) if path.suffix == ".jsonl" else _parsed_csv(path):
        if not isinstance(row.get("file_name"), str):
            raise Refusal(f"{place} names no file: give it a file_name.")
        name = posixpath.normpath(row["file_name"])
        if name in listed:
            raise Refusal(f"{place} lists {name} a second time: keep one of the two lines.")
        listed[name] = Line(place, row)
    there = set(names)
    for name, (place, _) in listed.items():
        if name not in there:
            raise Refusal(
                f"{place} lists {name}, and there is no such picture, sound, or clip, which may be "
                "a whole folder: bring it, or delete the line."
            )
    for name in names:
        if name not in listed:
            raise Refusal(f"{path} does not list {name}: add a line for it, or move it away.")
    return [listed[name] for name in names]


def _parsed_jsonl(path: Path) -> Iterator[Line]:
    # Not by splitlines: JSON's strings may hold other ends of lines.
    for number, line in enumerate(_read(path).split("\n"), 1):
        place = f"{path}, line {number},"
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise Refusal(f'{place} is no JSON object, such as {{"file_name": "1.png"}}.')
            yield Line(place, row)


def _parsed_csv(path: Path) -> Iterator[Line]:
    reader = csv.DictReader(io.StringIO(_read(path), newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            rows.append(Line(f"{path}, line {reader.line_num},", row))
            if None in row or None in row.values():
                raise csv.Error("not as many entries as the first line has")
    except csv.Error as error:
        line = reader.reader.line_num  # the other's own stays behind where it cannot read on
        raise Refusal(f"{path}, line {line}, is no line of a table: {error}.") from None
    for column in reader.fieldnames or ():
        values = [row[column] for _, row in rows]
        if column not in ("file_name", "text"):
            for (_, row), value in zip(rows, _numbers(values, column), strict=True):
                row[column] = value
    yield from rows


def _numbers(values: list[str], column: str) -> list[Any]:
    if all(map(INTEGER.fullmatch, values)):
        return list(map(int, values))
    if column != "label" and all(map(NUMBER.fullmatch, values)):
        return list(map(float, values))
    return values


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} cannot be read as a list in UTF-8 ({error}).") from None


def _columns(lines: list[Line]) -> Known:
    columns = {column: None for _, row in lines for column in row if column != "file_name"}
    label, names, text, numbers = None, None, None, {}
    if "label" in columns:
        values = _all_of(lines, "label", {str: "strings", int: "integers"})
        label, names = tuple(map(str, values)), tuple(map(str, sorted(set(values))))
    if "text" in columns:
        text = tuple(_all_of(lines, "text", {str: "strings"}))
    for column in columns:
        values = [row.get(column) for _, row in lines]
        if column not in ("label", "text") and all(isinstance(v, int | float) for v in values):
            numbers[column] = _array(lines, column, values)
    return Known(label, names, text, numbers)


def _all_of(lines: list[Line], column: str, kinds: dict[type, str]) -> list[Any]:
    """A column whose values are all of the kind that the first one is; no class has no name."""
    values = [row.get(column) for _, row in lines]
    first = type(values[0])
    for (place, _), value in zip(lines, values, strict=True):
        if type(value) is not first or first not in kinds or (column, value) == ("label", ""):
            raise Refusal(
                f"{place} has the {column} {value!r}; a column {column} holds "
                f"{' or '.join(kinds.values())} alone, one in each line."
            )
    return values


def _array(lines: list[Line], column: str, values: list[Any]) -> np.ndarray:
    if column in OURS:
        raise Refusal(
            f"{lines[0].place} has a column {column}, as the files themselves are called: "
            "rename it."
        )
    is_whole = all(isinstance(value, int) for value in values)
    kind = "int32" if is_whole else "float32"
    limit = np.iinfo(np.int32).max if is_whole else float(np.finfo(np.float32).max)
    for (place, _), value in zip(lines, values, strict=True):
        if not abs(value) <= limit:  # nan, too
            raise Refusal(f"{place} has the {column} {value}: no number, or too large for {kind}.")
    return np.array(values, kind)
