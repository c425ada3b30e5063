"""CycleGAN (Zhu, Park, Isola & Efros 2017).    python -m experiments.cyclegan

Learns to map images of one domain to another and back, from images that are no pairs: by default
MNIST's digits to digits of other hands. `turned` has two domains whose true map is known, so that
the error to it can be measured: one half of the digits, and the other half inverted and turned.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, features, options, play
from experiments.harness.bounds import Count, CountOr0, Size, SizeOr0, Weight
from experiments.harness.domains import DomainOptions, Domains
from gan_jax import data, plots
from gan_jax.games import averaged
from gan_jax.losses import AdversarialLoss
from gan_jax.metrics import frechet_distance
from gan_jax.nets import PatchDiscriminator, ResidualGenerator
from gan_jax.systems import CycleGAN
from gan_jax.systems.cyclegan import distance
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch

NUM_SHOWN = 10
NUM_COMPARED = 500
ROWS = ("source", "translated", "and back", "target", "back", "and again")


@dataclass(frozen=True, kw_only=True)
class Config(play.DecliningOptions, DomainOptions):
    turned: bool = False
    """The target is one half of --dataset, inverted and turned by a quarter, and the source the
    other half, in place of --target-dataset."""
    target_dataset: str | None = "optdigits"
    image_size: Size | None = 28
    width: Size = 16
    """Channels of the first layer of all networks; the paper has 64."""
    num_blocks: SizeOr0 = 3
    """Residual blocks; the paper has 6 for images of 128x128, and 9 for 256x256."""
    num_layers: CountOr0 = 2
    """Halvings in the discriminators, which see patches of 34x34 with 2, and 70x70 with 3."""
    forward_weight: Weight = 10.0
    """Of the cycle that starts with the source, source -> target -> source."""
    backward_weight: Weight = 10.0
    """Of the cycle that starts with the target."""
    identity_weight: Weight = 0.0
    """Of leaving images of the target as they are; 5 in the paper, where colours are to stay."""
    adversarial: bool = True
    """Without it there is no game, and cycles are all that is learned."""
    pool_size: SizeOr0 = 50
    """Past fakes among which the discriminators see."""
    loss: play.LossName = "least_squares"
    update: play.Update = "simultaneous"
    """As the authors': the discriminators see the fakes of before the generators' move."""
    steps: Count = 4_000
    constant_steps: CountOr0 = 2_000
    decay_steps: Count = 2_000
    batch_size: Size = 4
    learning_rate: float = 2e-4
    average_decay: float = 0.99
    steps_per_dispatch: Count = 50
    evaluate_every: Count = 1_000
    checkpoint_every: Count = 500

    def domains(self, split: str = "train") -> Domains:
        if not self.turned:
            return super().domains(split)
        whole = self.images(split)
        rows = np.random.RandomState(0).permutation(len(whole))
        source, target = (whole[half] for half in np.array_split(rows, 2))
        target["image"] = 255 - turn(target["image"])
        names = getattr(whole, "label_names", None)
        return Domains(*(data.ArrayDataset(half, names) for half in (source, target)))


def turn(images):
    """A quarter, counterclockwise."""
    return np.rot90(images, axes=(1, 2))
