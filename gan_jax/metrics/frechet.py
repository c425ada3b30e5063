"""The Fréchet distance of two sets of features: of Inception's, the FID."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, AT_LEAST_2, FINITE, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points, check_values

ENTRIES = ("mu", "sigma", "count", "features")


@dataclass(frozen=True, eq=False)
class Moments:
    """How many points, their mean, and Σ (x - mean)(x - mean)ᵀ, in float64 on the host.

    a + b are the moments of both sets together: each process, or each batch, may have its own, and
    they are added in any order.

    Chan, Golub & LeVeque 1979.
    """

    count: int
    mean: Float[np.ndarray, " features"]
    scatter: Float[np.ndarray, "features features"]

    @classmethod
    def of(cls, x: Float[Array | np.ndarray, "num features"], *, chunk_size: int = 1024) -> Moments:
        """The moments of features, widened to float64 `chunk_size` at a time; not to be traced.

        Raises:
            ValueError: x is no rows of features, or not finite; `chunk_size` is below 1.
        """
        check_bound(AT_LEAST_1, chunk_size=chunk_size)
        check_points(x=x)
        return cls._of(x, chunk_size)

    @classmethod
    def _of(cls, x: Any, chunk_size: int = 1024) -> Moments:
        chunks = np.split(np.asarray(x), range(chunk_size, len(x), chunk_size))
        mean = np.sum([chunk.sum(axis=0, dtype=np.float64) for chunk in chunks], axis=0) / len(x)
        scatter = np.zeros((len(mean), len(mean)))
        for chunk in chunks:
            centred = chunk.astype(np.float64) - mean
            scatter += centred.T @ centred
        return cls(len(x), mean, scatter)

    def __add__(self, other: Moments) -> Moments:
        _check_same_features(self, other)
        count, gap = self.count + other.count, other.mean - self.mean
        return Moments(
            count,
            self.mean + gap * (other.count / count),
            self.scatter + other.scatter + np.outer(gap, gap) * (self.count * other.count / count),
        )

    @property
    def covariance(self) -> Float[np.ndarray, "features features"]:
        """scatter / (count - 1).

        Raises:
            ValueError: count is 1.
        """
        check_bound(AT_LEAST_2, **{"The number of points of a covariance": self.count})
        return self.scatter / (self.count - 1)

    def save(self, path: str | PathLike[str], *, features: str = "") -> None:
        """Write an `.npz` of `mu` and `sigma`, as EDM's reference statistics, and of `count`.

        And of `features`: by which network they were made.
        """
        told = {"count": self.count, "features": features}
        with open(path, "wb") as file:
            np.savez(file, mu=self.mean, sigma=self.covariance, **told)

    @classmethod
    def load(
        cls, path: str | PathLike[str], *, count: int | None = None, features: str = ""
    ) -> Moments:
        """Read what `save` wrote, or the `mu` and `sigma` of EDM and pytorch-fid.

        Args:
            count: of how many points they are, for a file that does not say so.
            features: by which network they must have been made, where the file says by which.

        Raises:
            ValueError: the file cannot be read; an entry is missing, has another shape, or is not
                finite; the number of points is not known, or below 2; the features are others.
        """
        try:
            with open(path, "rb") as opened, np.load(opened) as file:
                found = {name: file[name] for name in ENTRIES if name in file}
        except Exception as error:
            raise Refusal(
                f"{path} is no whole .npz of plain arrays ({error}): name a file of reference "
                "statistics, or one that is to be written."
            ) from error
        made_by = str(found.pop("features", ""))
        if features and made_by and made_by != features:
            raise Refusal(
                f"{path} holds moments of other features, by {made_by} and not by {features}: name "
                "a file of these, or one that is to be written."
            )
        shapes = {name: array.shape for name, array in found.items()}
        dim = shapes.get("mu", ())
        if len(dim) != 1 or shapes.get("sigma") != dim * 2:
            raise Refusal(
                f"{path} has entries of the shapes {shapes}; it must have a mean `mu`, "
                "(features,), and a covariance `sigma`, (features, features)."
            )
        if count is None and "count" not in found:
            raise Refusal(
                f"{path} does not say of how many points its moments are; give `count`, as "
                "Moments.load(path, count=50_000), or add an entry of that name."
            )
        count = int(found.get("count", count))
        check_bound(AT_LEAST_2, count=count)
        mean, covariance = (found[name].astype(np.float64) for name in ("mu", "sigma"))
        check_values(FINITE, mu=mean, sigma=covariance)
        return cls(count, mean, covariance * (count - 1))


def frechet_distance(
    x: Moments | Float[Array | np.ndarray, "n features"],
    y: Moments | Float[Array | np.ndarray, "m features"],
) -> float:
    """‖μ₁ - μ₂‖² + Tr(C₁ + C₂ - 2 (C₁ C₂)^½), with unbiased covariances C; never negative.

    Between the Gaussians that have the sets' moments. Tr (C₁ C₂)^½ = Σ √λ_i for the eigenvalues
    λ_i of Hᵀ C₂ H with H Hᵀ = C₁, a symmetric matrix: covariances need not have full rank, and
    nothing is added to them. Of sets X, Y about their means, with fewer points than features, it is
    the nuclear norm of X Yᵀ / √((n - 1)(m - 1)), and no matrix has d rows and d columns. In float64
    on the host; not to be traced.

    Biased: n and m points of N(0, I) in d dimensions are in the mean about d (1/n + 1/m) +
    d (d + 1)/4 (1/(n - 1) + 1/(m - 1)) apart. Numbers compare only at the same set sizes.

    Args:
        x, y: features, or their `Moments`: a real set is then scored once.

    >>> import numpy as np
    >>> from gan_jax import metrics
    >>> x = np.array([[-1.0], [1.0]])
    >>> print(f"{metrics.frechet_distance(x, 2 * x + 3):.4f}")  # 3² + (2√2 - √2)²
    11.0000

    Dowson & Landau 1982; Heusel et al. 2017, equation (6).

    Raises:
        ValueError: the sets are no rows of equally many features, hold a number that is not finite,
            or have a single point.
    """
    sets = {name: z for name, z in {"x": x, "y": y}.items() if not isinstance(z, Moments)}
    if sets:
        check_points(**sets)
    if len(sets) == 2 and max(map(len, sets.values())) < sets["x"].shape[1]:
        return _of_few_points(**sets)
    x, y = (z if isinstance(z, Moments) else Moments._of(z) for z in (x, y))
    _check_same_features(x, y)
    gap, c1, c2 = x.mean - y.mean, x.covariance, y.covariance
    values, vectors = np.linalg.eigh(c1)
    half = vectors * np.sqrt(np.maximum(values, 0))
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(half.T @ c2 @ half), 0)).sum()
    distance = gap @ gap + np.trace(c1) + np.trace(c2) - 2 * overlap
    return float(max(distance, 0))


def _of_few_points(x: Any, y: Any) -> float:
    check_bound(AT_LEAST_2, **{"The number of points of a covariance": min(len(x), len(y))})
    x, y = np.asarray(x).astype(np.float64), np.asarray(y).astype(np.float64)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = (x - x_mean) / np.sqrt(len(x) - 1), (y - y_mean) / np.sqrt(len(y) - 1)
    traces = np.sum(x**2) + np.sum(y**2)
    overlap = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(max(np.sum((x_mean - y_mean) ** 2) + traces - 2 * overlap, 0))


def _check_same_features(x: Moments, y: Moments) -> None:
    if x.mean.shape != y.mean.shape:
        raise Refusal(
            f"The moments are of {len(x.mean)} and of {len(y.mean)} features; give both the same "
            "features."
        )
