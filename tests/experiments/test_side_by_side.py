"""A VAE and a GAN of as many layers."""

import jax
import jax.numpy as jnp
import pytest

from experiments import side_by_side


@pytest.mark.parametrize(("side", "depth"), [(28, 2), (16, 2), (64, 4)])
def test_all_networks_have_as_many_convolutions(side, depth):
    systems = side_by_side.build(side_by_side.Config(), {"image": jnp.zeros((1, side, side, 3))})
    vae, gan = systems["vae"], systems["gan"]
    ends = {"images": jnp.zeros((1, side, side, 3)), "latents": jnp.zeros((1, 20))}
    for network, end in (
        (vae.encoder, "images"),
        (vae.decoder, "latents"),
        (gan.generator, "latents"),
        (gan.discriminator, "images"),
    ):
        params = jax.eval_shape(network.init, jax.random.key(0), ends[end])["params"]
        assert sum(name.startswith("Conv") for name in params) == depth
