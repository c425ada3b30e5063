"""Tables of text, as experiments print them."""

import math
from collections.abc import Mapping, Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Cells in columns: the first flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        row[0].ljust(widths[0])
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def columns(numbers: Mapping[str, float], form: str = ".4g") -> str:
    """A table of numbers that are called column/row, with nothing where there is none."""
    heads = dict.fromkeys(name.partition("/")[0] for name in numbers)
    rows = dict.fromkeys(name.partition("/")[2] for name in numbers)

    def cell(head: str, row: str) -> str:
        number = numbers.get(f"{head}/{row}")
        return "" if number is None else f"{float(number):{form}}"

    return table([("", *heads), *((row, *(cell(head, row) for head in heads)) for row in rows)])


def plus_minus(value: float, spread: float, digits: int = 2) -> str:
    """A value and its spread, to as many digits after the point, or that it is infinite."""
    if math.isinf(value):
        return "infinite"
    return f"{value:.{digits}f} ± {spread:.{digits}f}"
