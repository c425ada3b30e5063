"""WGAN (Arjovsky et al., Gulrajani et al. 2017).    python -m experiments.wgan

The critic is constrained by a gradient penalty or by clipping its weights.
Learns a ring, a grid or digits, and draws the critic's estimate of the distance along the run: the
curve that is said to follow the quality of the samples.
Cost: a minute on 2 CPU cores, digits 4 minutes; expect 8 of 8 modes and 95.1 % +- 0.7 %
high-quality samples on the ring by the gradient penalty (mean and standard deviation over 3 seeds).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.command import main
from experiments.options import LOSSES, GameOptions, LossName
from gan_jax import data
from gan_jax.games import GameState, Optimizers, averaged, clip_params
from gan_jax.losses import gradient_penalty
from gan_jax.metrics import mode_coverage
from gan_jax.nets import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_jax.plots import save_curves, save_image_grid, save_points_over_surface
from gan_jax.systems import GAN, gan
from gan_jax.training.logs import METRICS_FILE
from gan_jax.training.rundir import SAMPLES

NUM_POINTS = 100_000
NUM_SAMPLES = 2_500
NUM_SHOWN = 64
MIXTURES = {"ring": data.ring(), "grid": data.grid()}


@dataclass(frozen=True, kw_only=True)
class Config(GameOptions):
    dataset: Literal["ring", "grid", "digits"] = "ring"
    """Gaussians on a circle or on a lattice, or the embedded digits."""
    constraint: Literal["clip", "gradient_penalty"] = "gradient_penalty"
    """What keeps the critic's slope in bounds."""
    clip_limit: float = 0.01
    """Where the critic's weights are clipped, after every move of RMSProp."""
    penalty_weight: float = 0.1
    """What the gradient penalty is multiplied by; both players then move by Adam."""
    width: int = 128
    """Units in each of three hidden layers; for digits, channels next to the image."""
    latent_dim: int = 2
    """Size of the latents, from N(0, I)."""
    loss: LossName = "wasserstein"
    num_discriminator_steps: int = 5
    steps: int = 4_000
    batch_size: int = 256
    learning_rate: float = 1e-3
    """Of both players."""
    average_decay: float = 0.99
    steps_per_dispatch: int = 100
    evaluate_every: int = 1_000
    checkpoint_every: int = 1_000

    def optimizers(self) -> Optimizers:
        if self.constraint == "clip":
            move = optax.rmsprop(self.learning_rate)
            return Optimizers(
                generator=move, discriminator=optax.chain(move, clip_params(self.clip_limit))
            )
        move = optax.adam(self.learning_rate, b1=0.5, b2=0.9)
        return Optimizers(generator=move, discriminator=move)


DIGITS = Config(
    dataset="digits",
    penalty_weight=10.0,
    width=32,
    latent_dim=64,
    steps=1_000,
    batch_size=64,
    learning_rate=2e-4,
    steps_per_dispatch=25,
    evaluate_every=250,
    checkpoint_every=250,
)
CONFIGS = {
    "ring": Config(),
    "ring-clip": Config(constraint="clip", learning_rate=5e-4, clip_limit=0.1),
    "grid": Config(dataset="grid"),
    "grid-clip": Config(dataset="grid", constraint="clip", learning_rate=5e-4, clip_limit=0.1),
    "digits": DIGITS,
}


class Result(NamedTuple):
    state: GameState
    estimate: float
    modes: int | None
    pictures: Path

    def __str__(self) -> str:
        modes = "" if self.modes is None else f"{self.modes} modes, "
        return f"{modes}critic's last estimate {self.estimate:.4f}; pictures in {self.pictures}"


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train, and draw samples and the critic's estimate E f(x) - E f(G(z)) at intervals."""
    key_run, key_init, key_data, key_samples = config.keys(4)
    mixture = MIXTURES.get(config.dataset)
    if mixture is None:
        dataset, field = data.load("digits"), "image"
    else:
        points = np.asarray(data.mixtures.sample(key_data, mixture, NUM_POINTS))
        dataset, field = data.ArrayDataset({"point": points}), "point"
    system, critic = build(config, field)
    if mixture is None:
        feed = config.image_feed(dataset, config.examples_per_step, data.signed)
    else:
        feed = config.feed(dataset, config.examples_per_step)
    num = NUM_SHOWN if mixture is None else NUM_SAMPLES
    sample = jax.jit(lambda state: system.sample(key_samples, averaged(state), num))

    def evaluate(step: int, state: GameState) -> dict[str, jax.Array]:
        generated = sample(state)
        found = {}
        if mixture is not None:
            found = mode_coverage(generated, mixture.means, mixture.std)._asdict()
        if jax.process_index() == 0:
            picture = workdir / SAMPLES / f"{step:06d}.png"
            if mixture is None:
                save_image_grid(picture, np.asarray(generated))
            else:
                params = jax.device_get(state.discriminator.weights.params)
                save_points_over_surface(
                    picture,
                    real=np.asarray(dataset[np.arange(NUM_SAMPLES)]["point"]),
                    generated=np.asarray(generated),
                    surface=lambda plane: critic.apply({"params": params}, jnp.asarray(plane)),
                    title=f"step {step}: {int(found['modes'])} of {len(mixture.means)} modes",
                )
            save_estimate(workdir)
        return found

    state = config.play(
        system,
        feed,
        evaluate,
        key_run=key_run,
        key_init=key_init,
        workdir=workdir,
        fresh=fresh,
        unit="images" if mixture is None else "points",
    )
    modes = evaluate(int(state.step), state).get("modes")
    return Result(
        state,
        estimates(workdir)[1][-1] if jax.process_index() == 0 else math.nan,
        None if modes is None else int(modes),
        workdir / SAMPLES,
    )


def build(config: Config, field: str) -> tuple[GAN, nn.Module]:
    if field == "image":
        generator = DCGANGenerator(28, 1, config.width, axis_name=config.axis_name)
        critic = DCGANDiscriminator(config.width, batch_norm=False)
    else:
        generator = MLPGenerator((2,), (config.width,) * 3)
        critic = MLPDiscriminator((config.width,) * 3)
    system = gan(
        generator=generator,
        discriminator=critic,
        loss=LOSSES[config.loss](),
        latent_dim=config.latent_dim,
        field=field,
        penalty=weighted_penalty(config.penalty_weight)
        if config.constraint == "gradient_penalty"
        else None,
    )
    return system, critic


def weighted_penalty(weight: float):
    return lambda *arguments: weight * gradient_penalty(*arguments)


def estimates(workdir: Path) -> tuple[np.ndarray, np.ndarray]:
    """The steps of the log, and E f(x) - E f(G(z)) at each."""
    lines = [json.loads(line) for line in (workdir / METRICS_FILE).read_text().splitlines()]
    gaps = [line["discriminator/real_logits"] - line["discriminator/fake_logits"] for line in lines]
    return np.array([line["step"] for line in lines]), np.array(gaps)


def save_estimate(workdir: Path) -> None:
    steps, gaps = estimates(workdir)
    save_curves(
        workdir / SAMPLES / "estimate.png",
        x=steps,
        curves={"E f(x) - E f(G(z))": gaps},
        x_label="step",
        y_label="critic's estimate",
    )


if __name__ == "__main__":
    main("wgan", run, CONFIGS, __doc__ or "")
