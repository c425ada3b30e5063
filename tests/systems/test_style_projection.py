"""Images back to styles: the loss by hand, what a step does, and images of the generator's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses, nets
from gan_jax.games import Weights
from gan_jax.systems import StyleGAN2, StyleProjection, networks

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
WIDTHS = (4, 3)
SYSTEM = StyleGAN2(
    generator=nets.StyleGAN2Generator(8, 1, WIDTHS, dim=5, depth=1),
    discriminator=nets.StyleGAN2Discriminator(WIDTHS),
    loss=losses.non_saturating(),
    latents=networks.normal(5),
)


def squares(made, images):
    return jnp.mean(jnp.square(made - images), axis=(1, 2, 3))


@pytest.fixture(scope="module")
def generated():
    """Weights by which noise is seen, as those of a start are not, and images that they make."""

    def louder(path, x):
        return jnp.full_like(x, 0.1) if path[-1].key == "strength" else x

    @jax.jit
    def make():
        _, weights = networks.start(SYSTEM.generator, KEY, jnp.zeros((1, 5)))
        params = jax.tree_util.tree_map_with_path(louder, weights.params)
        weights = weights.replace(params=params)
        return weights, {"image": SYSTEM.sample(jax.random.key(1), weights, 3)}

    return make()


def of(trained, **changes):
    told = {"system": SYSTEM, "trained": trained, "distance": squares, "num_steps": 120}
    return StyleProjection(**told | changes)


@pytest.mark.slow
def test_it_starts_at_the_mean_style(generated):
    """Up to the error of a mean of so many; the deviation is that of the sum over a style."""
    trained, batch = generated
    weights = jax.device_get(jax.jit(of(trained).init)(KEY, batch).player.weights)
    latents = jax.random.normal(jax.random.key(9), (10_000, 5))
    styles = np.asarray(jax.jit(SYSTEM.styles)(trained, latents))[:, 0]
    assert weights.params["style"].shape == (3, 5)
    error = styles.std(axis=0) / 100
    assert (np.abs(weights.params["style"] - styles.mean(axis=0)) < 6 * error).all()
    deviation = np.sqrt(np.sum(styles.var(axis=0)))
    assert float(weights.state["deviation"]) == pytest.approx(deviation, rel=0.03)
    assert [maps.shape for maps in weights.params["noise"]] == [
        (3, 4, 4, 1),
        (3, 8, 8, 1),
        (3, 8, 8, 1),
    ]


def test_the_loss_is_that_of_every_image_alone(generated):
    trained, batch = generated
    projection = of(trained, noise_weight=7.0)

    @jax.jit
    def both():
        weights = projection.init(KEY, batch).player.weights
        style, noise = weights.params["style"], weights.params["noise"]
        moved = style + 0.2 * jax.random.normal(KEY, style.shape)
        styles = jnp.repeat(moved[:, None], 4, axis=1)
        made = SYSTEM.synthesise(trained, styles, noise=noise)
        correlation = sum(losses.noise_correlation(maps) for maps in noise)
        expected = jnp.sum(squares(made, batch["image"])) + 7 * jnp.sum(correlation)
        told = {"weights": weights, "batch": batch, "key": KEY}
        return projection.objective(**told, disturbance=0.2).loss, expected

    found, expected = both()
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_rates_go_up_for_a_twentieth_and_down_for_a_quarter():
    """Adam moves by its rate where the gradient is always the same."""
    optimizer = of(Weights(params={}), num_steps=100, learning_rate=0.2).optimizer
    state, rates = optimizer.init(jnp.zeros(())), []
    for _ in range(100):
        move, state = jax.jit(optimizer.update)(jnp.ones(()), state)
        rates.append(-float(move))
    steps = np.arange(100) / 100
    down = 0.5 - 0.5 * np.cos(np.pi * np.minimum(1, (1 - steps) / 0.25))
    np.testing.assert_allclose(rates, 0.2 * np.minimum(1, steps / 0.05) * down, atol=1e-5)


def test_styles_are_disturbed_less_and_less(generated):
    """By 0.05 σ_w times a square that is 0 from three quarters of the steps on."""
    trained, batch = generated

    class Watched(StyleProjection):
        def objective(self, *, disturbance, **told):
            outcome = super().objective(disturbance=disturbance, **told)
            return outcome._replace(metrics={"disturbance": disturbance})

    projection = Watched(system=SYSTEM, trained=trained, distance=squares, num_steps=100)

    @jax.jit
    def disturbances(steps):
        state = projection.init(KEY, batch)

        def look(step):
            return projection.step(KEY, state.replace(step=step), batch)[1]["disturbance"]

        return jax.lax.map(look, steps) / state.player.weights.state["deviation"]

    found = disturbances(jnp.array([0, 30, 75, 99]))
    np.testing.assert_allclose(found, 0.05 * np.array([1, 0.6**2, 0, 0]), atol=1e-6)


def test_images_of_the_generator_are_found_again(generated):
    """Each from its own noise, nearer by far than the mean style; the trained weights stay."""
    trained, batch = generated
    projection = of(trained)

    @jax.jit
    def project():
        def step(state, key):
            state, metrics = projection.step(key, state, batch)
            return state, metrics

        state = projection.init(KEY, batch)
        start = squares(projection.images(state.player.weights), batch["image"])
        state, metrics = jax.lax.scan(step, state, jax.random.split(KEY, projection.num_steps))
        weights = state.player.weights
        return weights, start, squares(projection.images(weights), batch["image"]), metrics

    weights, start, end, metrics = project()
    assert (end < 0.25 * start).all()
    assert metrics["distance"][-1] < 0.25 * metrics["distance"][0]
    assert metrics["loss"][-1] < 0.25 * metrics["loss"][0]
    for maps in weights.params["noise"]:
        np.testing.assert_allclose(np.mean(maps, axis=(1, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(np.std(maps, axis=(1, 2, 3)), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"system": None}, "system is a NoneType; it must be a StyleGAN2"),
        ({"trained": {}}, "trained is a dict; it must be a Weights"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"noise_weight": -1.0}, "noise_weight is -1"),
    ],
)
def test_what_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        of(**{"trained": Weights(params={}), **changes})


def test_images_in_bytes_are_refused():
    with pytest.raises(ValueError, match="`image` is uint8"):
        of(Weights(params={})).init(KEY, {"image": jnp.zeros((1, 8, 8, 1), jnp.uint8)})
