"""The Fréchet distance, its moments, and the files that hold them."""

import functools
import itertools
import operator

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import Moments, frechet_distance

X = np.random.RandomState(0).randn(300, 8)
Y = 1.2 * np.random.RandomState(1).randn(300, 8) + 0.3
GOLDEN = 1.65958178513  # torch-fidelity 0.4.0, pytorch-fid 0.3.0 and torchmetrics 1.9.0


def assert_same(a, b, rtol=1e-12):
    assert a.count == b.count
    for found, expected in ((a.mean, b.mean), (a.scatter, b.scatter)):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def test_the_value_of_the_reference_packages():
    np.testing.assert_allclose(frechet_distance(X, Y), GOLDEN, rtol=1e-11)
    np.testing.assert_allclose(frechet_distance(Y, X), GOLDEN, rtol=1e-11)


def test_covariances_without_full_rank():
    """Exact: Tr (C₁ C₂)^½ is the nuclear norm of R₁ R₂ᵀ, where Rᵀ R = C."""
    x = np.random.RandomState(0).randn(20, 32)
    y = 1.2 * np.random.RandomState(1).randn(24, 32) + 0.3
    np.testing.assert_allclose(frechet_distance(x, y), 37.78992585, rtol=1e-7)
    rx, ry = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))
    gap = x.mean(0) - y.mean(0)
    exact = gap @ gap + (rx**2).sum() + (ry**2).sum() - 2 * np.linalg.norm(rx @ ry.T, "nuc")
    np.testing.assert_allclose(frechet_distance(x, y), exact, rtol=1e-7)


def test_on_a_line_it_is_the_distance_of_means_and_deviations():
    x, y = X[:, :1], Y[:100, :1]
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    np.testing.assert_allclose(frechet_distance(x, y), expected, rtol=1e-10)


def test_a_set_and_itself_a_shift_and_a_constant_feature():
    assert 0 <= frechet_distance(X, X) < 1e-12
    assert frechet_distance(X[:5], X[:5]) == 0
    np.testing.assert_allclose(frechet_distance(X, X + 2.0), 8 * 4, rtol=1e-12)
    x, y = (np.pad(z, ((0, 0), (0, 1)), constant_values=7.0) for z in (X, Y))
    np.testing.assert_allclose(frechet_distance(x, y), GOLDEN, rtol=1e-10)
    assert frechet_distance(np.ones((5, 3)), np.ones((4, 3))) == 0


def test_the_mean_distance_of_two_samples_of_one_law():
    """d (1/n + 1/m) + d (d + 1)/4 (1/(n - 1) + 1/(m - 1)), up to terms of higher order."""
    d, n, m, num = 4, 400, 300, 400
    rng = np.random.default_rng(0)
    found = [frechet_distance(rng.normal(size=(n, d)), rng.normal(size=(m, d))) for _ in range(num)]
    expected = d * (1 / n + 1 / m) + d * (d + 1) / 4 * (1 / (n - 1) + 1 / (m - 1))
    error = np.std(found) / num**0.5
    assert abs(np.mean(found) - expected) < 4 * error + 0.01 * expected
    assert error < 0.03 * expected


def test_moments_of_one_pass():
    moments = Moments.of(X)
    assert moments.count == 300
    np.testing.assert_allclose(moments.mean, X.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(moments.covariance, np.cov(X.T), rtol=1e-10)


def test_moments_add_up_in_any_order():
    whole = Moments.of(X)
    parts = [Moments.of(part) for part in np.split(X, [1, 40, 170])]
    for order in itertools.permutations(parts):
        assert_same(functools.reduce(operator.add, order), whole)
    a, b, c, _ = parts
    assert_same((a + b) + c, a + (b + c))


@pytest.mark.parametrize("chunk_size", [1, 7, 300])
def test_moments_do_not_depend_on_chunks_or_order(chunk_size):
    shuffled = X[np.random.default_rng(1).permutation(300)]
    x = Moments.of(shuffled, chunk_size=chunk_size)
    assert_same(x, Moments.of(X))
    np.testing.assert_allclose(frechet_distance(x, Y), GOLDEN, rtol=1e-9)


def test_narrow_features_are_widened_before_they_are_added_up():
    """Far from 0, where sums in float32 have no digit of the covariance left."""
    x = jnp.float32(X + 1_000.0)
    exact = np.asarray(x, np.float64)
    assert_same(Moments.of(x, chunk_size=64), Moments.of(exact))
    half = jnp.bfloat16(X)
    assert_same(Moments.of(half), Moments.of(np.asarray(half, np.float64)))


def test_files_of_statistics_are_read_again(tmp_path):
    path = tmp_path / "statistics.npz"
    moments = Moments.of(X)
    moments.save(path)
    assert_same(Moments.load(path), moments)
    assert_same(Moments.load(path, count=300), moments)
    assert frechet_distance(Moments.load(path), Y) == pytest.approx(GOLDEN, rel=1e-11)
    with np.load(path) as file:
        np.testing.assert_allclose(file["sigma"], np.cov(X.T), rtol=1e-10)


def test_files_of_other_programs_do_not_say_how_many_points(tmp_path):
    path = tmp_path / "edm.npz"
    np.savez(path, mu=X.mean(axis=0), sigma=np.cov(X.T))
    assert_same(Moments.load(path, count=300), Moments.of(X))
    with pytest.raises(ValueError, match=r"edm.npz does not say of how many points its moments"):
        Moments.load(path)


def test_files_that_hold_something_else_are_refused(tmp_path):
    path = tmp_path / "statistics.npz"
    np.savez(path, mu=np.zeros(3), sigma=np.eye(2), count=10)
    with pytest.raises(ValueError, match=r"shapes \{'mu': \(3,\), 'sigma': \(2, 2\), 'count'"):
        Moments.load(path)
    np.savez(path, features=X)
    with pytest.raises(ValueError, match=r"has entries of the shapes \{\}; it must have a mean"):
        Moments.load(path)
    np.savez(path, mu=np.full(2, np.nan), sigma=np.eye(2), count=10)
    with pytest.raises(ValueError, match="mu holds nan; every number in it must be finite"):
        Moments.load(path)
    np.savez(path, mu=np.zeros(2), sigma=np.eye(2))
    with pytest.raises(ValueError, match="count is 1; it must be an integer, at least 2"):
        Moments.load(path, count=1)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    path = tmp_path / "statistics.npz"
    Moments.of(X).save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"statistics.npz is no whole .npz of plain arrays"):
            Moments.load(path)
    np.savez(path, mu=np.array([{}], object), sigma=np.eye(1))
    for named in (path, tmp_path, tmp_path / "none.npz"):
        with pytest.raises(
            ValueError, match=r"is no whole .npz of plain arrays .*: name a file of"
        ):
            Moments.load(named)


def test_a_file_says_of_which_features_its_moments_are(tmp_path):
    path = tmp_path / "statistics.npz"
    Moments.of(X).save(path, features="pixels")
    assert_same(Moments.load(path), Moments.of(X))
    assert_same(Moments.load(path, features="pixels"), Moments.of(X))
    with pytest.raises(ValueError, match="of other features, by pixels and not by lenet: name a"):
        Moments.load(path, features="lenet")
    Moments.of(X).save(path)
    assert_same(Moments.load(path, features="lenet"), Moments.of(X))


@pytest.mark.parametrize(("n", "m"), [(5, 9), (9, 5), (2, 2)])
def test_few_points_of_many_features_are_as_far_apart_as_their_moments(n, m):
    random = np.random.RandomState(0)
    x, y = random.randn(n, 30), 2 * random.randn(m, 30) + 1
    expected = frechet_distance(Moments.of(x), Moments.of(y))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="number of points of a covariance is 1; it must be"):
        frechet_distance(x[:1], y)


def test_one_point_has_no_covariance():
    with pytest.raises(ValueError, match="points of a covariance is 1; it must be an integer, at"):
        frechet_distance(X, Y[:1])


def test_other_features_are_refused():
    with pytest.raises(ValueError, match="of 8 and of 7 features; give both the same features"):
        frechet_distance(X, Moments.of(Y[:, 1:]))
    with pytest.raises(ValueError, match="of 8 and of 7 features"):
        Moments.of(X) + Moments.of(Y[:, 1:])
