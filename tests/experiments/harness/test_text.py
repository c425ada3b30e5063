"""Tables of text."""

import numpy as np

from experiments.harness import text


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [("", "a"), ("name", "1.25"), ("x", "3")]
    assert text.table(rows) == "         a\nname  1.25\nx        3"


def test_numbers_have_a_column_and_a_row_by_their_names():
    numbers = {"vae/loss": 1.0, "gan/pixels/fid": np.float32(2.5), "gan/loss": 1 / 3}
    rows = [line.split() for line in text.columns(numbers, ".2f").splitlines()]
    assert rows == [["vae", "gan"], ["loss", "1.00", "0.33"], ["pixels/fid", "2.50"]]
    assert text.columns(numbers).splitlines()[2] == "pixels/fid          2.5"
    assert text.columns({}) == ""


def test_a_value_and_its_spread_have_as_many_digits():
    assert text.plus_minus(1.0, 0.25, 1) == "1.0 ± 0.2"
    assert text.plus_minus(float("inf"), float("nan")) == "infinite"
