"""The table of mixed styles, whose weights are drawn from, and what a configuration chooses."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import stylegan2
from gan_jax import games
from gan_jax.systems import networks

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)


@pytest.mark.slow
def test_rows_have_their_coarse_styles_and_columns_their_fine_ones():
    config = stylegan2.Config(width=2, max_width=2, style_dim=3, mapping_depth=1)
    batch = {"image": jnp.zeros((4, 8, 8, 1))}
    system = stylegan2.build(config, batch)

    @jax.jit
    def tables():
        _, weights = networks.start(system.generator, KEY, jnp.zeros((1, 3)))
        coarse, fine = system.latents(KEY, 3), system.latents(jax.random.key(1), 3)
        table = stylegan2.mixed(system, weights, coarse, fine)
        rows, columns = (system.styles(weights, latents) for latents in (coarse, fine))
        first = jnp.concatenate([rows[1, :2], columns[2, 2:]])[None]
        alone = (rows[1:2], columns[2:3], first)
        return table, [system.synthesise(weights, styles)[0] for styles in alone]

    table, (row, column, both) = tables()
    table = np.asarray(table).reshape(4, 4, 8, 8, 1)
    np.testing.assert_allclose(table[2, 0], row, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table[0, 3], column, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table[2, 3], both, rtol=1e-4, atol=1e-5)
    assert (table[0, 0] == -1).all()


def test_a_step_has_one_move_of_the_discriminator():
    with pytest.raises(ValueError, match=r"--num-discriminator-steps is 2, .*: leave it out"):
        stylegan2.Config(num_discriminator_steps=2)


def test_pictures_and_measures_are_of_the_averaged_generator(monkeypatch):
    monkeypatch.setattr(stylegan2.plots, "image_grid", lambda *told, columns=8: (*told, columns))
    averaged, moved = (games.Weights(params=jnp.full((1, 1, 1, 1), x)) for x in (3.0, 9.0))

    def images(weights, num):
        return jnp.broadcast_to(weights.params, (num, 1, 1, 1))

    system = SimpleNamespace(
        sample=lambda key, weights, num: images(weights, num),
        latents=lambda key, num: jnp.zeros((num, 1)),
        styles=lambda weights, latents: jnp.zeros((len(latents), 2, 1)),
        synthesise=lambda weights, styles: images(weights, len(styles)),
    )
    sgd = optax.sgd(0.1)
    optimizers = games.Optimizers(generator=sgd, discriminator=sgd)
    state = games.init(generator=averaged, discriminator=averaged, optimizers=optimizers)
    state = games.exponential_average_memory(state)
    state = state.replace(generator=state.generator.replace(weights=moved))
    config = SimpleNamespace(measuring=lambda *told: told)
    evaluate, _, draw = stylegan2.evaluator(config, system, None)
    files = evaluate(KEY, state).files
    assert (files["samples"][0] == 3).all()
    mixed, columns = files["mixed"]
    assert (mixed[1:] == 3).all()
    assert len(mixed) == columns**2 == 49
    assert (draw(KEY, state, {"image": np.zeros(5)}) == np.full((5, 1, 1, 1), 3)).all()


def test_a_player_that_pays_a_regulariser_is_slower():
    def rates(**changes):
        told = {"learning_rate": 0.1, "discriminator_learning_rate": None, **changes}
        optimizers = stylegan2.Config(**told).optimizers()
        players = (optimizers.generator, optimizers.discriminator)
        one = jnp.ones(())
        return [float(-player.update(one, player.init(one))[0]) for player in players]

    both = rates(path_length_weight=2.0)
    assert both == pytest.approx([0.1 * 4 / 5, 0.1 * 16 / 17], rel=1e-4)
    without = {"path_length_weight": 0.0, "r1_weight": 0.0}
    assert rates(**without, generator_learning_rate=0.2) == pytest.approx([0.2, 0.1], rel=1e-4)
    assert rates(**without, discriminator_learning_rate=0.3) == pytest.approx([0.1, 0.3], rel=1e-4)


def test_a_step_of_the_game_is_followed_by_its_regularisers():
    system = SimpleNamespace(game=None, regularised=lambda *told, axis_name: told)
    step, optimizers = stylegan2.Config().update_step(system)
    assert step.func is games.alternating_step
    assert isinstance(optimizers, games.Optimizers)


def test_a_configuration_chooses_networks_and_regularisers():
    told = {"r1_weight": 0.0, "r1_period": 5, "path_length_weight": 3.0, "path_length_period": 6}
    config = stylegan2.Config(
        augment=("shift",), skip=False, residual=False, group=2, mixing=0.5, **told
    )
    system = stylegan2.build(config, {"image": jnp.zeros((4, 28, 28, 1))})
    assert system.generator.widths == (64, 64, 32, 16)
    assert not system.generator.skip
    assert system.generator.mixing == 0.5
    assert not system.discriminator.network.residual
    assert system.discriminator.network.group == 2
    assert {name: getattr(system, name) for name in told} == told
    paper = stylegan2.build(stylegan2.CONFIGS["paper"], {"image": jnp.zeros((4, 256, 256, 3))})
    assert paper.generator.widths == (512, 512, 512, 512, 512, 256, 128)
