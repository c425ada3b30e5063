import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from gan_jax.data import signed, to_uint8, unit

EVERY_BYTE = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize(("scale", "low"), [(signed, -1.0), (unit, 0.0)])
def test_bytes_fill_the_range_evenly(scale, low):
    image = jax.jit(scale)(EVERY_BYTE.reshape(16, 16))
    assert image.dtype == jnp.float32
    np.testing.assert_allclose(image.ravel(), np.linspace(low, 1.0, 256), atol=1e-6)


def test_to_uint8_inverts_signed_at_every_byte():
    np.testing.assert_array_equal(to_uint8(signed(EVERY_BYTE)), EVERY_BYTE)


def test_to_uint8_rounds_to_the_nearest_byte_and_clips():
    image = jnp.array([-2.0, -1.0 + 0.6 / 127.5, 1.0 - 0.4 / 127.5, 1.5])
    bytes_ = to_uint8(image)
    assert bytes_.dtype == jnp.uint8
    assert bytes_.tolist() == [0, 1, 255, 255]


def test_what_is_scaled_already_is_refused(monkeypatch):
    """Outside of these tests nothing checks the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for scale in (signed, unit):
        with pytest.raises(ValueError, match=r"^The image is float32; only bytes \(uint8\)"):
            scale(jnp.ones((2, 2)))
    with pytest.raises(ValueError, match=r"^The image is uint8; only floating-point images"):
        to_uint8(EVERY_BYTE)
