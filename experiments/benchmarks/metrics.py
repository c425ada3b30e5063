"""Seconds of the measures on features, beside reference packages'.

    python -m experiments.benchmarks.metrics

Packages that are not installed (torch-fidelity, torchmetrics, prdc: none is a dependency) are named
and left out.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType

import jax
import numpy as np

from experiments.benchmarks import timing
from experiments.benchmarks.timing import Timed
from experiments.harness.bounds import Count, Several, Size
from gan_jax import metrics

K = 5  # of all four measures by neighbours: prdc has one number


@dataclass(frozen=True)
class Config(timing.Options):
    num: Several = 10_000
    """Points of each of the two sets."""
    features: Size = 2_048
    repeats: Count = 3


def package(name: str) -> ModuleType | None:
    """Import a reference, or say that there is none."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        print(f"{name} is not installed: no ratios to it.")
        return None


def ours(x: np.ndarray, y: np.ndarray) -> dict[str, Timed]:
    on_device = jax.device_put((x, y))
    return {
        "FID": lambda _: metrics.frechet_distance(x, y),
        "KID": lambda _: metrics.kernel_distance(*on_device),
        "PRDC": lambda _: jax.block_until_ready(metrics.prdc(*on_device, k=K, k_density=K)),
    }


def of_torch_fidelity(x: np.ndarray, y: np.ndarray) -> dict[str, Timed]:
    fid, kid, torch = map(
        package, ("torch_fidelity.metric_fid", "torch_fidelity.metric_kid", "torch")
    )
    if fid is None or kid is None or torch is None:
        return {}
    tensors = torch.from_numpy(x), torch.from_numpy(y)

    def distance(_):
        statistics = (fid.fid_features_to_statistics(features) for features in tensors)
        return fid.fid_statistics_to_metric(*statistics, False)

    return {
        "FID, torch-fidelity": distance,
        "KID, torch-fidelity": lambda _: kid.kid_features_to_metric(
            *tensors, kid_subsets=1, kid_subset_size=len(x), verbose=False
        ),
    }


def of_torchmetrics(x: np.ndarray, y: np.ndarray) -> dict[str, Timed]:
    fid, kid, torch = map(package, ("torchmetrics.image.fid", "torchmetrics.image.kid", "torch"))
    if fid is None or kid is None or torch is None:
        return {}
    tensors = torch.from_numpy(x), torch.from_numpy(y)

    def timed(measure):
        def run(_):
            measure.reset()
            for features, real in zip(tensors, (True, False), strict=True):
                measure.update(features, real=real)
            return measure.compute()

        return run

    class Identity(torch.nn.Identity):
        num_features = x.shape[1]

    return {
        "FID, torchmetrics": timed(fid.FrechetInceptionDistance(feature=Identity())),
        "KID, torchmetrics": timed(
            kid.KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=len(x))
        ),
    }


def of_prdc(x: np.ndarray, y: np.ndarray) -> dict[str, Timed]:
    prdc = package("prdc")
    if prdc is None:
        return {}
    return {"PRDC, prdc": lambda _: prdc.compute_prdc(x, y, nearest_k=K)}


def main(config: Config) -> None:
    rng = np.random.default_rng(0)
    shape = config.num, config.features
    x, y = (np.float32(rng.normal(mean, 1, shape)) for mean in (0, 0.1))
    contenders = ours(x, y)
    for of_package in (of_torch_fidelity, of_torchmetrics, of_prdc):
        contenders |= of_package(x, y)
    seconds = timing.measure(contenders, 1, config.repeats)
    timing.report(
        config,
        seconds,
        lambda name: [other for other in contenders if other.startswith(f"{name}, ")],
    )


if __name__ == "__main__":
    timing.command("metrics", main, Config, __doc__ or "")
