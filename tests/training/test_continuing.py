"""A new run from another's weights: what is taken, what starts anew, what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.games import (
    Optimizers,
    Weights,
    exponential_average_memory,
    init,
    init_descent,
    lookahead_memory,
)
from gan_jax.training import CheckpointError, Checkpoints, RunDirectoryError, open_run
from gan_jax.training.continuing import continue_from
from gan_jax.training.record import run_digest

ADAM = Optimizers(generator=optax.adam(0.1), discriminator=optax.adam(0.1))


def game(value, optimizers=ADAM, size=3):
    """A state whose every number is `value`."""
    weights = Weights(params={"w": jnp.zeros(size)}, state={"batch_stats": {"m": jnp.zeros(2)}})
    state = init(generator=weights, discriminator=weights, optimizers=optimizers)
    return filled(exponential_average_memory(state), value)


def filled(state, value):
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, value), state)


def left(workdir, state):
    """The directory of a run that came to a state."""
    record = open_run(workdir, {"seed": 0}, fresh=False)
    with Checkpoints(workdir / "checkpoints", run=run_digest(record)) as checkpoints:
        checkpoints.save(5, state)
    return workdir


def numbers(tree):
    return {float(leaf.ravel()[0]) for leaf in jax.tree.leaves(tree)}


def test_all_is_taken_but_the_count_of_steps(tmp_path, capsys):
    state = continue_from(left(tmp_path, game(7)), game(1))
    assert int(state.step) == 1
    assert numbers(state.replace(step=jnp.float32(7))) == {7.0}
    assert capsys.readouterr().err == (
        f"starting with the weights of {tmp_path} at its step 5; the optimiser of discriminator "
        "goes on; the optimiser of generator goes on\n"
    )


def test_a_falling_rate_starts_anew_and_moments_go_on(tmp_path):
    falling = optax.adam(optax.linear_schedule(0.1, 0.0, 5))
    both = Optimizers(falling, falling)
    state = continue_from(left(tmp_path, game(7, both)), game(1, both))
    moments, schedule = state.generator.opt_state
    assert numbers(moments) == {7.0}
    assert int(schedule.count) == 0


@pytest.mark.parametrize(
    ("old", "new"), [(optax.adam(0.1), optax.sgd(0.1)), (optax.sgd(0.1), optax.adam(0.1))]
)
def test_an_optimiser_of_another_form_starts_anew_and_the_other_player_s_goes_on(
    tmp_path, capsys, old, new
):
    left(tmp_path, game(7, ADAM._replace(generator=old)))
    state = continue_from(tmp_path, game(1, ADAM._replace(generator=new)))
    assert numbers(state.generator.weights) == {7.0}
    assert numbers(state.generator.opt_state) <= {1.0}
    assert numbers(state.discriminator) == {7.0}
    said = capsys.readouterr().err
    assert "the optimiser of discriminator goes on" in said
    assert "the optimiser of generator starts anew" in said


def test_an_optimiser_that_keeps_more_or_less_starts_anew_as_a_whole(tmp_path):
    momentum = ADAM._replace(generator=optax.sgd(0.1, momentum=0.9))
    state = continue_from(left(tmp_path, game(7)), game(1, momentum))
    assert numbers(state.generator.opt_state) == {1.0}


def test_models_of_one_player_in_a_dict(tmp_path):
    def models(value):
        player = init_descent(weights=Weights(params=jnp.ones(2)), optimizer=optax.adam(0.1))
        return filled({"vae": player, "other": player}, value)

    state = continue_from(left(tmp_path, models(7)), models(1))
    assert numbers(state["vae"].player) == {7.0}
    assert [int(model.step) for model in state.values()] == [1, 1]


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    left(tmp_path, game(7))
    with pytest.raises(ValueError, match=r"float32\[4\] at \S+\.w, where it has float32\[3\]"):
        continue_from(tmp_path, game(1, size=4))
    other = game(1)
    other = lookahead_memory(other.replace(memory=None))
    with pytest.raises(ValueError, match=r"at memory\.\S+, where it has nothing.*way of playing"):
        continue_from(tmp_path, other)


def test_a_directory_of_no_run_and_a_run_without_checkpoints_are_refused(tmp_path):
    with pytest.raises(RunDirectoryError, match="is not the directory of a run"):
        continue_from(tmp_path / "none", game(1))
    open_run(tmp_path / "begun", {}, fresh=False)
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        continue_from(tmp_path / "begun", game(1))


def test_the_run_that_is_continued_stays_as_it_is(tmp_path):
    left(tmp_path, game(7))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    state = continue_from(tmp_path, game(1))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    np.testing.assert_array_equal(state.generator.weights.params["w"], np.full(3, 7.0))
