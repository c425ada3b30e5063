"""StyleGAN2 (Karras et al. 2020).    python -m experiments.stylegan2

Learns to make square images, by default 4,500 digits that come with the installed packages, at
28x28. The pictures are samples, and a table in which every image has the styles of its row at the
coarse layers and of its column at the fine ones. Scored by the distances of a classifier's
features.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, options, pictures, play
from experiments.harness.bounds import Count, Decay, Rate, Share, Size, Weight
from gan_jax import data, games, nets, plots
from gan_jax.errors import Refusal
from gan_jax.games import Weights, averaged
from gan_jax.signals import augment
from gan_jax.systems import StyleGAN2, lazy_adam, networks
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch, KeyArray, Step

NUM_SHOWN = 64
NUM_MIXED = 6
AUGMENTS = {
    "colour": augment.random_colour,
    "shift": augment.random_shift,
    "cutout": augment.random_cutout,
}


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, pictures.SampleOptions):
    width: Size = 16
    """Channels at the images' own size, and twice as many at each halving; 32 in the paper's
    configuration F at 1024, 16 in E."""
    max_width: Size = 64
    """Channels are at most these; 512 in the paper."""
    style_dim: Size = 64
    """Size of the latents, which are normal, and of the styles; 512 in the paper."""
    mapping_depth: Size = 4
    """Dense layers between the two; 8 in the paper."""
    augment: tuple[Literal["colour", "shift", "cutout"], ...] = ()
    """What the discriminator sees is augmented by these, real and made alike."""
    r1_weight: Weight = 2.0
    """Of the discriminator's squared gradient, halved; 10 in the paper, and 0 leaves it out."""
    r1_period: Count = 16
    """Steps from one such move to the next; 1 is eager."""
    path_length_weight: Weight = 0.0
    """Of the deviation of path lengths from their mean; 2 in the paper, and 0 leaves it out."""
    path_length_period: Count = 4
    """Steps from one such move to the next; 1 is eager."""
    mixing: Share = 0.0
    """How often a batch has the styles of other latents from a layer on; 0.9 in the paper."""
    demodulate: bool = True
    """Bring the kernels that styles have scaled to norm 1."""
    skip: bool = True
    """Sum the colours over all sizes, and do not read them off the last layer alone."""
    residual: bool = True
    """Add to each block of the discriminator what it halves."""
    group: Size = 4
    """Examples whose deviation the discriminator sees."""
    steps: Count = 3_072
    batch_size: Size = 32
    learning_rate: Rate = 4e-3
    """Adam's, of beta1 0 and beta2 0.99; 2e-3 for both players in the paper. A regulariser makes
    it lower."""
    discriminator_learning_rate: Rate | None = 8e-3
    """The discriminator's, where it is another."""
    average_decay: Decay = 0.995
    steps_per_dispatch: Count = 16
    evaluate_every: Count = 512
    checkpoint_every: Count = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_discriminator_steps != 1:
            raise Refusal(
                f"--num-discriminator-steps is {self.num_discriminator_steps}, but regularisers "
                "are paid by steps of one move each: leave it out."
            )

    def optimizers(self) -> games.Optimizers:
        def lazy(rate: float | None, weight: float, period: int):
            return lazy_adam(rate or self.learning_rate, period if weight else None)

        return games.Optimizers(
            generator=lazy(
                self.generator_learning_rate, self.path_length_weight, self.path_length_period
            ),
            discriminator=lazy(self.discriminator_learning_rate, self.r1_weight, self.r1_period),
        )

    def update_step(self, system: StyleGAN2) -> Step:
        step = super().update_step(system)
        return system.regularised(step, self.optimizers(), axis_name=self.axis_name)


DIGITS = Config()
TABLE = replace(DIGITS, image_size=16, steps=2_048, evaluate=("fid", "kid", "precision", "recall"))
PAPER = Config(
    dataset="./pictures",
    image_size=256,
    flip=True,
    width=128,
    max_width=512,
    style_dim=512,
    mapping_depth=8,
    r1_weight=10.0,
    path_length_weight=2.0,
    mixing=0.9,
    learning_rate=2e-3,
    discriminator_learning_rate=None,
    average_decay=0.99778,
    steps=781_248,
    evaluate_every=4_800,
    checkpoint_every=4_800,
)
CONFIGS = {
    "digits": DIGITS,
    "paper": PAPER,
    "config_f": replace(PAPER, image_size=1_024, width=32),
    "config_e": replace(PAPER, image_size=1_024, width=16, r1_weight=100.0),
    "table": TABLE,
}
TABLES = {
    "augmentation": {"plain": TABLE, "augmented": replace(TABLE, augment=("shift", "cutout"))}
}


def build(config: Config, batch: Batch) -> StyleGAN2:
    *_, size, channels = batch["image"].shape
    dtype = config.network_dtype
    widths = nets.stylegan2_widths(
        size, base=config.width * (1 << (size - 1).bit_length()) // 2, most=config.max_width
    )
    critic = nets.StyleGAN2Discriminator(
        widths, group=config.group, residual=config.residual, dtype=dtype
    )
    if config.augment:
        chosen = [AUGMENTS[name] for name in config.augment]
        critic = nets.Augmented(critic, augment.in_turn(*chosen))
    return StyleGAN2(
        generator=nets.StyleGAN2Generator(
            size,
            channels,
            widths,
            dim=config.style_dim,
            depth=config.mapping_depth,
            mixing=config.mixing,
            demodulate=config.demodulate,
            skip=config.skip,
            dtype=dtype,
        ),
        discriminator=critic,
        loss=play.LOSSES[config.loss](),
        latents=networks.normal(config.style_dim),
        r1_weight=config.r1_weight,
        r1_period=config.r1_period,
        path_length_weight=config.path_length_weight,
        path_length_period=config.path_length_period,
    )


def evaluator(config: Config, system: StyleGAN2, dataset: data.Dataset) -> options.Evaluate:
    """Draw samples, and mix the styles of some."""
    sample = jax.jit(system.sample, static_argnums=2)

    @jax.jit
    def mix(key: KeyArray, weights: Weights) -> jax.Array:
        latents = system.latents(key, 2 * NUM_MIXED)
        return mixed(system, weights, *jnp.split(latents, 2))

    def evaluate(key, state) -> Evaluation:
        key_samples, key_mixed = jax.random.split(key)
        weights = averaged(state).generator
        shown = np.asarray(sample(key_samples, weights, NUM_SHOWN))
        grid = np.asarray(mix(key_mixed, weights))
        files = {
            "samples": plots.image_grid(shown),
            "mixed": plots.image_grid(grid, columns=NUM_MIXED + 1),
        }
        return Evaluation(files, {})

    def draw(key, state, real):
        return sample(key, averaged(state).generator, len(real["image"]))

    return config.measuring(evaluate, dataset, draw)


def mixed(system: StyleGAN2, weights: Weights, coarse: jax.Array, fine: jax.Array) -> jax.Array:
    """A table of images, with those of the fine latents above it, and of the coarse at its left."""
    rows, columns = (system.styles(weights, latents) for latents in (coarse, fine))
    _, num_layers, dim = columns.shape
    is_coarse = (jnp.arange(num_layers) < num_layers // 2)[None, None, :, None]
    both = jnp.where(is_coarse, rows[:, None], columns[None])
    table = jnp.concatenate([rows[:, None], both], axis=1)
    corner = jnp.zeros((1, num_layers, dim), columns.dtype)
    head = jnp.concatenate([corner, columns])[None]
    images = system.synthesise(weights, jnp.concatenate([head, table]).reshape(-1, num_layers, dim))
    return images.at[0].set(-1)


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and compare samples with real images."""
    dataset = config.images()
    feed = config.picture_feed(dataset, {"image": data.signed})
    system = build(config, batch_shapes(feed))
    result = config.play(
        system,
        feed,
        evaluator(config, system, dataset),
        workdir=workdir,
        fresh=fresh,
        label_names=getattr(dataset, "label_names", None),
    )
    height, width = batch_shapes(feed)["image"].shape[1:3]
    return result.says(f"images of {height}x{width}")


if __name__ == "__main__":
    command.main("stylegan2", run, CONFIGS, __doc__ or "")
