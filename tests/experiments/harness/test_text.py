"""Tables of text."""

from experiments.harness import text


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [("", "a"), ("name", "1.25"), ("x", "3")]
    assert text.table(rows) == "         a\nname  1.25\nx        3"


def test_a_value_and_its_spread_have_as_many_digits():
    assert text.plus_minus(1.0, 0.25, 1) == "1.0 ± 0.2"
    assert text.plus_minus(float("inf"), float("nan")) == "infinite"
