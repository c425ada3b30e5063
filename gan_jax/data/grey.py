"""Images without their colours."""

import numpy as np

from gan_jax.data.sources import ArrayDataset, Dataset

SHARES = np.array([19_595, 38_470, 7_471], np.uint32)
"""Of 2^16: 0.299 of red, 0.587 of green, 0.114 of blue."""


def grey(dataset: Dataset) -> Dataset:
    """Take the brightness of a dataset's images, rounded: one channel in place of three.

    It is that of ITU-R BT.601, as in Pillow, so that a grey picture stays as it is. What has one
    channel is given back.
    """
    if dataset[np.arange(1)]["image"].shape[-1] == 1:
        return dataset
    examples = dataset[np.arange(len(dataset))]
    brightness = (examples["image"] @ SHARES + (1 << 15)) >> 16
    return ArrayDataset(
        {**examples, "image": brightness.astype(np.uint8)[..., None]},
        getattr(dataset, "label_names", None),
        getattr(dataset, "text", None),
    )
