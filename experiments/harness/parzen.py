"""The protocol by which the first GANs were scored."""

import jax
import numpy as np

from experiments.harness.options import first_examples, flat
from gan_jax import data
from gan_jax.errors import Refusal
from gan_jax.metrics import Spread, parzen_bandwidth, parzen_log_likelihood, spread

NUM_SAMPLES = 10_000
NUM_VALIDATING = 1_000
NUM_TESTED = 10_000
CANDIDATES = tuple(np.logspace(-1, 0, 10).tolist())


def without_validation(dataset: data.Dataset) -> tuple[data.ArrayDataset, np.ndarray]:
    """Split the last sixth of the images off: of MNIST the 10,000 by which the paper validates."""
    if not isinstance(dataset, data.ArrayDataset):
        raise Refusal(
            "The dataset is streamed, but these networks learn from one that is in memory: choose "
            "a smaller one."
        )
    kept = len(dataset) - len(dataset) // 6
    arrays = {field: array[:kept] for field, array in dataset.arrays.items()}
    return data.ArrayDataset(arrays, dataset.label_names), dataset.arrays["image"][kept:]


def parzen_score(samples: jax.Array, validation: np.ndarray, test: data.Dataset) -> Spread:
    """log p̂ of up to 10,000 test images under a kernel estimate on samples, over the images.

    Of ten bandwidths from 0.1 to 1 it is the one that 1,000 validation images are likeliest under.
    Goodfellow et al. 2014, section 5, and the authors' code.

    Args:
        samples: images in [0, 1]; the protocol has 10,000.
        validation: images in bytes.
    """
    samples = flat(samples)
    bandwidth = parzen_bandwidth(flat(data.unit(validation[:NUM_VALIDATING])), samples, CANDIDATES)
    images = flat(data.unit(first_examples(test, NUM_TESTED)["image"]))
    return spread(np.asarray(parzen_log_likelihood(images, samples, bandwidth)))
