"""What methods on second derivatives cost on a DCGAN: memory of a few plain steps, no matrix."""

import jax
import optax
import pytest

from gan_jax import losses
from gan_jax.games import (
    Optimizers,
    alternating_step,
    competitive_step,
    consensus_step,
    symplectic_step,
    unrolled_step,
)
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator
from gan_jax.systems import GAN, networks

METHODS = {
    "consensus": (consensus_step, {"weight": 1.0}),
    "symplectic": (symplectic_step, {"weight": 1.0}),
    "competitive": (competitive_step, {"learning_rate": 1e-2}),
    "competitive, zero-sum": (competitive_step, {"learning_rate": 1e-2, "zero_sum": True}),
    "unrolled": (unrolled_step, {"num_unrolled_steps": 5}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_memory_is_within_five_times_that_of_alternating_play(name):
    system = GAN(
        generator=DCGANGenerator(32, 1, width=16),
        discriminator=DCGANDiscriminator(width=16),
        loss=losses.minimax(),
        latents=networks.normal(32),
    )
    sgd = optax.sgd(1e-2)
    optimizers = Optimizers(generator=sgd, discriminator=sgd)
    key = jax.random.key(0)
    batch = {"image": jax.random.uniform(key, (64, 32, 32, 1), minval=-1.0)}
    state = system.init(key, batch, optimizers=optimizers)

    def temporaries(step, **options):
        def play(key, state, batch):
            return step(key, state, batch, game=system.game, optimizers=optimizers, **options)

        program = jax.jit(play).lower(key, state, batch).compile()
        return program.memory_analysis().temp_size_in_bytes

    step, options = METHODS[name]
    assert temporaries(step, **options) < 5 * temporaries(alternating_step)
