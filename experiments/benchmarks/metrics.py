"""Time of the measures on features, beside other packages'.

    python -m experiments.benchmarks.metrics

torch-fidelity, torchmetrics and prdc take part where they are installed; none is a dependency. On
the same features of the same length each computes the same number: KID of all points, and PRDC with
one k.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from experiments.benchmarks import timing
from experiments.benchmarks.timing import Timed
from experiments.harness.bounds import Count, Several, Size
from gan_jax import metrics

K = 5


@dataclass(frozen=True)
class Config(timing.Options):
    num: Several = 10_000
    """Points in each of the two sets."""
    features: Size = 2_048
    repeats: Count = 3


def modules(*names: str) -> list[Any]:
    """Import what a reference needs, or say what there is not."""
    try:
        return [importlib.import_module(name) for name in names]
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: no ratios to it.")
        return []


def ours(x: Float[np.ndarray, "num dim"], y: Float[np.ndarray, "num dim"]) -> dict[str, Timed]:
    return {
        "FID": lambda _: metrics.frechet_distance(x, y),
        "KID": lambda _: metrics.kernel_distance(x, y),
        "PRDC": lambda _: jax.block_until_ready(metrics.prdc(x, y, k=K, k_density=K)),
    }


def of_torch_fidelity(
    x: Float[np.ndarray, "num dim"], y: Float[np.ndarray, "num dim"]
) -> dict[str, Timed]:
    found = modules("torch_fidelity.metric_fid", "torch_fidelity.metric_kid", "torch")
    if not found:
        return {}
    fid, kid, torch = found
    sets = torch.from_numpy(x), torch.from_numpy(y)

    def frechet(_):
        statistics = (fid.fid_features_to_statistics(features) for features in sets)
        return fid.fid_statistics_to_metric(*statistics, verbose=False)

    def kernel(_):
        return kid.kid_features_to_metric(
            *sets, kid_subsets=1, kid_subset_size=len(x), verbose=False
        )

    return {"FID, torch-fidelity": frechet, "KID, torch-fidelity": kernel}


def of_torchmetrics(
    x: Float[np.ndarray, "num dim"], y: Float[np.ndarray, "num dim"]
) -> dict[str, Timed]:
    found = modules("torchmetrics.image.fid", "torchmetrics.image.kid", "torch")
    if not found:
        return {}
    fid, kid, torch = found
    network = torch.nn.Identity()
    network.num_features = x.shape[1]

    def timed(measure):
        def run(_):
            measure.reset()
            measure.update(torch.from_numpy(x), real=True)
            measure.update(torch.from_numpy(y), real=False)
            return measure.compute()

        return run

    kernel = kid.KernelInceptionDistance(feature=network, subsets=1, subset_size=len(x))
    return {
        "FID, torchmetrics": timed(fid.FrechetInceptionDistance(feature=network)),
        "KID, torchmetrics": timed(kernel),
    }


def of_prdc(x: Float[np.ndarray, "num dim"], y: Float[np.ndarray, "num dim"]) -> dict[str, Timed]:
    found = modules("prdc")
    if not found:
        return {}
    (prdc,) = found
    return {"PRDC, prdc": lambda _: prdc.compute_prdc(x, y, nearest_k=K)}


def main(config: Config) -> None:
    rng = np.random.default_rng(0)
    shape = config.num, config.features
    x, y = (rng.normal(mean, size=shape).astype(np.float32) for mean in (0.0, 0.1))
    contenders = ours(x, y)
    for of_package in (of_torch_fidelity, of_torchmetrics, of_prdc):
        contenders |= of_package(x, y)
    seconds = timing.measure(contenders, 1, config.repeats)
    timing.report(config, seconds, lambda name: [c for c in contenders if c.startswith(f"{name},")])


if __name__ == "__main__":
    timing.command("metrics", main, Config, __doc__ or "")
