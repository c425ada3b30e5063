"""What a run has measured so far, as its log has it."""

import numpy as np

from experiments import mode_collapse
from experiments.harness import history


def test_lines_without_all_numbers_and_lines_to_come_are_left_out(tmp_path, monkeypatch):
    log = [
        {"step": 1, "loss": 9.0},
        {"step": 2, "loss": 8.0, "modes": 3},
        {"step": 3, "loss": 7.0, "modes": None},
        {"step": 4, "loss": 0.0, "modes": 0},
        {"step": 6, "loss": 0.0, "modes": 0},
    ]
    monkeypatch.setattr(history, "read_log", lambda at: log if at == tmp_path else [])
    past = history.up_to(tmp_path, {"step": 4, "modes": 5})
    assert past["step"].tolist() == [2, 3, 4]
    np.testing.assert_array_equal(past["modes"], [3, np.nan, 5])
    assert past.keys() == {"step", "modes"}


def test_a_run_without_a_log_has_what_it_measures_now(tmp_path):
    assert history.up_to(tmp_path, {"step": 4, "modes": 5})["modes"].tolist() == [5]


def test_modes_are_drawn_over_the_steps_that_were_logged(tmp_path):
    names = [f"{name}/{what}" for name in ("modes", "high_quality") for what in ("mean", "std")]
    past = history.up_to(tmp_path, {"step": 4, **dict.fromkeys(names, 0.5)})
    assert mode_collapse.picture(mode_collapse.Config(), past).pixels.shape[1] == 770
