"""GANSynth that grows: its phases, and what each leaves as it was."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments import gansynth, sample
from gan_jax import training
from gan_jax.training import batch_shapes

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def test_a_phase_for_each_resolution_fades_it_in(small, monkeypatch):
    reached = []
    monkeypatch.setattr(
        gansynth, "growing", lambda step, level, **told: reached.append(level) or step
    )
    config = replace(small(gansynth, "growing"), fade_steps=4, steps=40)
    feed = config.note_feed(None)
    phases = gansynth.growth(config, gansynth.build(config, batch_shapes(feed)), feed)
    lengths = {phase.name: phase.timetable.num_steps for phase in phases}
    assert lengths == {"2x8": 4, "4x16": 8, "8x32": 40}
    found = [[float(level(step)) for step in (0, 1, 3, 4, 30)] for level in reached]
    assert found == [[0, 0, 0, 0, 0], [0, 0.25, 0.75, 1, 1], [1, 1.25, 1.75, 2, 2]]


def test_as_many_steps_in_all_with_growth_and_without():
    for fixed, grown in ((gansynth.MEL, gansynth.GROWING), gansynth.TABLES["growing"].values()):
        assert grown.fade_steps * (1 + 3 * 2) + grown.steps == fixed.steps


@pytest.mark.slow
def test_a_level_moves_from_its_phase_on(small, tmp_path):
    config = replace(small(gansynth, "growing"), fade_steps=2)
    gansynth.run(config, tmp_path)
    weights = {
        name: [
            training.restore(tmp_path / name).weights(player)
            for player in ("generator", "discriminator")
        ]
        for name in ("2x8", "4x16", "8x32")
    }
    levels = [float(player.state["fade"]["level"]) for both in weights.values() for player in both]
    assert levels == [0, 0, 1, 1, 1.5, 1.5]

    def moved(before, after, player, layer):
        old, new = (weights[name][player].params[layer] for name in (before, after))
        return not jax.tree.all(jax.tree.map(np.array_equal, old, new))

    for player, names in enumerate(
        (("EqualisedConv_2", "made_1", "EqualisedConv_4", "made_2"), ("first_1", "first_2"))
    ):
        for layer in names:
            is_last = layer in ("EqualisedConv_4", "made_2", "first_2")
            assert moved("2x8", "4x16", player, layer) is not is_last
            assert moved("4x16", "8x32", player, layer)
    made = sample.run(sample.Options(run=str(tmp_path), pitch=("60", "62"), num=2))
    assert made == f"2 notes in {tmp_path / 'notes'}"
