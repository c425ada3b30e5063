"""GANSynth's players, which notes are made, scored and heard, and how it grows."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import gansynth, sample
from gan_jax import data, games, training
from gan_jax.training import batch_shapes

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)


def test_both_players_move_by_adam_without_momentum():
    optimizers = gansynth.Config().optimizers()
    for player in (optimizers.generator, optimizers.discriminator):
        _, state = player.update(jnp.ones(()), player.init(jnp.ones(())))
        kept = [1 - optax.tree.get(state, name) for name in ("mu", "nu")]
        np.testing.assert_allclose(kept, [0, 0.99], rtol=1e-4)


def test_a_configuration_chooses_networks_and_weights(monkeypatch):
    monkeypatch.setattr(gansynth, "gansynth", SimpleNamespace)
    weights = {"pitch_weight": 2.0, "penalty_weight": 3.0, "drift_weight": 0.5}
    config = gansynth.Config(width=3, max_width=20, **weights)
    system = gansynth.build(config, {"spectrogram": jnp.zeros((2, 8, 64, 2))})
    for network in (system.generator, system.discriminator):
        assert (network.base, network.widths) == ((2, 16), (12, 6, 3))
    assert system.discriminator.last_width == 20
    assert {name: getattr(system, name) for name in weights} == weights


def test_four_notes_of_each_pitch_are_made_by_the_averaged_generator(monkeypatch):
    """Scored by their own pitches; every fifth pitch is heard once."""
    asked = {}

    def scores(made, pitch):
        np.testing.assert_array_equal(made[:, 0, 0, 0], pitch)
        asked.update(made=made, pitch=pitch)
        return {"fid": 1.0}

    listener = SimpleNamespace(of_real={"real/heard": 0.5}, scores=scores)
    monkeypatch.setattr(gansynth, "Listener", lambda config, sounds: listener)
    monkeypatch.setattr(gansynth.plots, "spectrogram_grid", lambda notes: notes)
    monkeypatch.setattr(gansynth.plots, "in_a_row", lambda sounds, rate: sounds)

    def sample(key, weights, num, pitch):
        return jnp.stack([pitch + 0.0, jnp.full(num, weights.params)], -1)[:, None, None] / 2

    config = SimpleNamespace(
        in_own_units=lambda seen: 2 * seen,
        learned=lambda sounds: np.arange(3, 15),
        rate=1,
        spectrograms=SimpleNamespace(audio=lambda notes: notes[:, 0, 0, 0]),
    )
    sgd = optax.sgd(0.1)
    averaged, moved = (games.Weights(params=jnp.array(x)) for x in (3.0, 9.0))
    optimizers = games.Optimizers(generator=sgd, discriminator=sgd)
    state = games.init(generator=averaged, discriminator=averaged, optimizers=optimizers)
    state = games.exponential_average_memory(state)
    state = state.replace(generator=state.generator.replace(weights=moved))
    found = gansynth.evaluator(config, SimpleNamespace(sample=sample), None)(KEY, state)
    assert found.metrics == {"real/heard": 0.5, "fid": 1.0}
    assert np.bincount(asked["pitch"]).tolist() == [0] * 3 + [4] * 12
    assert (asked["made"][..., 1] == 3).all()
    assert found.files["notes"].tolist() == [3, 8, 13]
    assert found.files["spectrograms"][:, 0, 0, 0].tolist() == [3, 8, 13]


def test_slopes_are_in_the_scale_of_networks_or_in_units_of_notes(monkeypatch):
    notes = {"spectrogram": jnp.array([[[[-3.0, 1.0]]]]), "pitch": jnp.array([7])}
    feed = data.drawn_feed(lambda key, num: notes, batch_size=1)
    monkeypatch.setattr(gansynth.Config, "note_feed", lambda config, sounds: feed)
    for slopes, expected in (("scaled", [[[[-0.8, 0.8]]]]), ("own", [[[[-3, 1]]]])):
        config = gansynth.Config(loudness=(-3.0, 1.0), slopes=slopes)
        fed = config.fed(None)
        (chunk,) = fed.chunks([(0, 1)])
        batch = jax.jit(fed.read)(KEY, fed.resident, chunk[0])
        np.testing.assert_allclose(batch["spectrogram"], expected)
        assert batch["pitch"] == 7
        np.testing.assert_allclose(config.in_own_units(batch["spectrogram"]), [[[[-3, 1]]]])
        network = gansynth.build(config, {"spectrogram": jnp.zeros((2, 8, 64, 2))}).discriminator
        seen = network._scaled(jnp.tile(batch["spectrogram"], (1, 8, 64, 1)))
        np.testing.assert_allclose(seen[0, 0, 0], [-0.8, 0.8], rtol=1e-6)


def test_what_is_heard_is_in_units_of_notes():
    config = gansynth.Config(loudness=(-3.0, 1.0))
    monkey = SimpleNamespace(latents=None, generate=lambda weights, z, pitch: weights * z + pitch)
    played = gansynth.instrument(config, monkey).play(0.0, jnp.ones(()), jnp.zeros((1, 32, 128, 2)))
    silent = config.spectrograms.audio(config.unscaled(jnp.zeros((1, 32, 128, 2))))
    np.testing.assert_allclose(played, silent)


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
        num_doublings = (fixed.num_frames // 2).bit_length() - 1  # from two frames on
        assert grown.fade_steps * (2 * num_doublings - 1) + grown.steps == fixed.steps


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
