"""The table of mixed styles, and how often the discriminator may move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import stylegan2
from gan_jax.systems import networks

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)


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


def test_a_configuration_chooses_networks_and_regularisers():
    config = stylegan2.Config(augment=("shift",), skip=False, residual=False, r1_weight=0.0)
    system = stylegan2.build(config, {"image": jnp.zeros((4, 28, 28, 1))})
    assert system.generator.widths == (64, 64, 32, 16)
    assert not system.generator.skip
    assert not system.discriminator.network.residual
    assert system.r1_weight == 0
    paper = stylegan2.build(stylegan2.CONFIGS["paper"], {"image": jnp.zeros((4, 256, 256, 3))})
    assert paper.generator.widths == (512, 512, 512, 512, 512, 256, 128)
