"""AC-GAN's discriminator: two heads on the same features, and no look at the class."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.nets import ACGANDiscriminator


class Plain(nn.Module):
    """Examples are their own features."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return x


def test_both_heads_are_affine_in_the_features_and_the_class_is_not_looked_at():
    network, x = ACGANDiscriminator(Plain(), 3), jax.random.normal(jax.random.key(0), (5, 2))
    rng = np.random.default_rng(0)
    heads = {
        name: {"kernel": rng.normal(size=(2, num)), "bias": rng.normal(size=num)}
        for name, num in (("source", 1), ("classes", 3))
    }
    expected = [np.asarray(x) @ head["kernel"] + head["bias"] for head in heads.values()]
    variables = {"params": jax.tree.map(jnp.float32, heads)}
    for labels in ((), (jnp.zeros(5, int),), (jnp.arange(5),)):
        logits, classes = jax.jit(network.apply)(variables, x, *labels)
        np.testing.assert_allclose(logits, expected[0][:, 0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(classes, expected[1], rtol=1e-4, atol=1e-5)
