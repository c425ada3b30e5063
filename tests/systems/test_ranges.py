"""What a batch that can be looked at must hold."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, nets, systems
from gan_jax.checks import SIGNED, UNIT
from gan_jax.games import Optimizers
from gan_jax.systems import checks, networks

KEY = jax.random.key(0)
SGD = optax.sgd(0.1)
BOTH = Optimizers(generator=SGD, discriminator=SGD)
ENCODER, DECODER = nets.MLPEncoder(4, ()), nets.MLPGenerator((2,), (), output=nn.sigmoid)
PLAYERS = {"generator": nets.MLPGenerator((2,), (), output=nn.tanh), "latents": networks.normal(3)}


def bounded():
    """A likelihood that has a support, as a tuple that others read."""

    class Bounded(losses.Likelihood):
        support = UNIT

    return Bounded(*losses.bernoulli())


def build(name):
    encoded = {"encoder": ENCODER, "decoder": DECODER}
    modelled = {**encoded, "latent_dim": 2, "likelihood": bounded()}
    return {
        "gan": lambda: systems.GAN(
            **PLAYERS, discriminator=nets.MLPDiscriminator(()), loss=losses.hinge()
        ),
        "gmmn": lambda: systems.GMMN(**PLAYERS, kernel=losses.linear_kernel()),
        "autoencoder": lambda: systems.Autoencoder(**encoded, latent_dim=4),
        "vae": lambda: systems.VAE(**modelled),
        "cvae": lambda: systems.CVAE(**modelled, target="image", condition="condition"),
        "hierarchical vae": lambda: systems.HierarchicalVAE(
            encoders=[ENCODER], decoders=[DECODER], latent_dims=[2], likelihood=bounded()
        ),
    }[name]()


def start(name, image):
    batch = {"image": image, "condition": jnp.zeros((3, 1))}
    if name in ("gan", "relativistic"):
        return build(name).init(KEY, batch, optimizers=BOTH)
    return build(name).init(KEY, batch, optimizer=SGD)


RANGES = {
    "gan": ("generator", SIGNED, "signed"),
    "gmmn": ("generator", SIGNED, "signed"),
    "autoencoder": ("decoder", UNIT, "unit"),
    "vae": ("likelihood", UNIT, "unit"),
    "cvae": ("likelihood", UNIT, "unit"),
    "hierarchical vae": ("likelihood", UNIT, "unit"),
}


@pytest.mark.parametrize("name", RANGES)
def test_examples_out_of_range_are_refused_where_they_can_be_seen(name):
    maker, bound, scaling = RANGES[name]
    bytes_ = jnp.array([[0.0, 255.0]] * 3)
    said = (
        f"The batch's `image` is from 0.0 to 255.0, but the {maker} makes what is {bound.words}: "
        f"scale it by gan_jax.data.{scaling}."
    )
    with pytest.raises(ValueError, match=r"is from 0\.0 to 255\.0") as refusal:
        start(name, bytes_)
    assert str(refusal.value) == said
    for hidden in (bytes_.at[1, 0].set(jnp.nan), bytes_.at[1, 0].set(-jnp.inf)):
        with pytest.raises(ValueError, match="`image` holds what is not finite, from"):
            start(name, hidden)

    def traced(image):
        return start(name, image)

    jax.eval_shape(lambda: start(name, jnp.array([[0.0, 1.0]] * 3)))
    jax.eval_shape(traced, bytes_)  # traced
    jax.eval_shape(lambda: start(name, jax.ShapeDtypeStruct((3, 2), jnp.float32)))


def test_a_batch_is_looked_at_on_the_host_also_where_the_start_is_compiled():
    image = np.full((3, 2), 200.0)
    with pytest.raises(ValueError, match="scale it by"):
        jax.eval_shape(lambda: start("gan", image))


def test_conditions_and_labels():
    batch = {"label": jnp.array([0, 7]), "text": jnp.array([1.0, jnp.nan])}
    checks.check_examples(batch, "label", SIGNED)  # no floats: others refuse them in their words
    with pytest.raises(ValueError, match="`text` holds what is not finite, from nan to nan"):
        checks.check_examples(batch, "text", None)
    checks.check_examples({"image": jnp.zeros((0, 2))}, "image", SIGNED)
    checks.check_examples({"image": jnp.full((1, 2), 300.0)}, "image", None)
