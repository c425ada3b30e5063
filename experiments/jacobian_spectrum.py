"""The spectrum of a small GAN along its training.    python -m experiments.jacobian_spectrum

Trains the same GAN on a ring of Gaussians plainly, with R1, and by consensus optimisation, and
computes all eigenvalues of the Jacobian of the field that each descends, at the point where it is.
Eigenvalues left of the imaginary axis repel; those near it, far from the real axis, rotate.
Cost: a minute on 2 CPU cores. Over five seeds the plain spectrum reached 0.4 to 5 to the left of
the imaginary axis; by consensus never more than 0.1; with R1 so in three of them, and 0.8 and 1.9
in the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.command import main
from experiments.options import RunOptions, together
from gan_jax import data, losses
from gan_jax.games import GameState, Optimizers, consensus_step, init, simultaneous_step
from gan_jax.games.analysis import eigenvalues, game_jacobian, rotation_share, step_jacobian
from gan_jax.metrics import mode_coverage
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.plots import save_eigenvalues
from gan_jax.systems import GAN, gan
from gan_jax.training.rundir import SAMPLES
from gan_jax.typing import Step

MIXTURE = data.ring()
NUM_SAMPLES = 2_500
NUM_EXAMPLES = 512
"""In the one batch on which every spectrum is taken."""


@dataclass(frozen=True, kw_only=True)
class Config(RunOptions):
    width: int = 12
    """Units in each of the two hidden layers of both networks."""
    r1_weight: float = 1.0
    """γ of R1's γ/2 ‖∇D‖²."""
    consensus_weight: float = 1.0
    """γ of consensus optimisation."""
    batch_size: int = 256
    """Real points, and as many fakes, in each step."""
    learning_rate: float = 1e-3
    """Adam's, for both players, which move at once; beta1 is 0.5."""
    steps: int = 6_000
    steps_per_dispatch: int = 500
    evaluate_every: int = 1_500
    checkpoint_every: int = 1_500


CONFIGS = {"ring": Config()}


class Spectrum(NamedTuple):
    """All eigenvalues of a field's Jacobian, and how much of the game itself is rotation."""

    values: np.ndarray
    rotation: float

    @property
    def left(self) -> float:
        """How far the spectrum reaches to the left of the imaginary axis: -min Re λ."""
        return float(-np.real(self.values).min())

    @property
    def angle(self) -> float:
        """The largest |Im λ| / |λ| among eigenvalues that matter: 1 is a pure rotation."""
        large = self.values[np.abs(self.values) > 1e-3 * np.abs(self.values).max()]
        return float(np.max(np.abs(np.imag(large)) / np.abs(large)))


class Result(NamedTuple):
    state: dict[str, GameState]
    spectra: dict[str, Spectrum]
    modes: dict[str, int]
    picture: Path

    def __str__(self) -> str:
        lines = [
            f"{'':10s} {'-min Re λ':>10s} {'max Re λ':>10s} {'max |Im λ|':>11s} "
            f"{'max |Im λ|/|λ|':>15s} {'rotation':>9s} {'modes':>6s}"
        ]
        lines += [
            f"{name:10s} {at.left:10.3g} {np.real(at.values).max():10.3g} "
            f"{np.abs(np.imag(at.values)).max():11.3g} {at.angle:15.3g} {at.rotation:9.3g} "
            f"{self.modes[name]:6d}"
            for name, at in self.spectra.items()
        ]
        return "\n".join([*lines, f"picture in {self.picture}"])


class Variant(NamedTuple):
    """A game and the step that plays it with given optimisers."""

    system: GAN
    step: Any

    def play(self, optimizer: optax.GradientTransformation) -> Step:
        optimizers = Optimizers(generator=optimizer, discriminator=optimizer)
        return partial(self.step, game=self.system.game, optimizers=optimizers)


def variants(config: Config) -> dict[str, Variant]:
    def r1(critic, real, fake, key):
        return config.r1_weight / 2 * losses.r1(critic, real)

    build = partial(
        gan,
        generator=MLPGenerator((2,), (config.width,) * 2, activation=nn.tanh),
        discriminator=MLPDiscriminator((config.width,) * 2, activation=nn.tanh),
        loss=losses.non_saturating(),
        latent_dim=2,
        field="point",
    )
    return {
        "plain": Variant(build(), simultaneous_step),
        "r1": Variant(build(penalty=r1), simultaneous_step),
        "consensus": Variant(build(), partial(consensus_step, weight=config.consensus_weight)),
    }


def run(config: Config, workdir: Path, *, fresh: bool = False) -> Result:
    """Train the three from the same weights on the same points, and look at them on the way."""
    adam = optax.adam(config.learning_rate, b1=0.5)
    players = variants(config)
    spectrum = {name: spectrum_of(variant) for name, variant in players.items()}
    key_run, key_init, key_look = config.keys(3)
    optimizers = Optimizers(generator=adam, discriminator=adam)
    play = together({name: variant.play(adam) for name, variant in players.items()})

    def step(key, state, batch):
        key_data, key_step = jax.random.split(key)
        points = {"point": data.mixtures.sample(key_data, MIXTURE, config.batch_size)}
        return play(key_step, state, points)

    def look(state: dict[str, GameState]) -> tuple[dict[str, Spectrum], dict[str, int]]:
        key_data, key_game = jax.random.split(key_look)
        points = {"point": data.mixtures.sample(key_data, MIXTURE, NUM_EXAMPLES)}
        spectra, modes = {}, {}
        for name, variant in players.items():
            spectra[name] = spectrum[name](key_game, state[name], points)
            samples = variant.system.sample(key_look, state[name], NUM_SAMPLES)
            modes[name] = int(mode_coverage(samples, MIXTURE.means, MIXTURE.std).modes)
        return spectra, modes

    def picture_at(step: int) -> Path:
        return workdir / SAMPLES / f"{step:06d}.png"

    def evaluate(step: int, state: dict[str, GameState]) -> dict[str, float]:
        spectra, modes = look(state)
        titles = {f"{name}, step {step}": at.values for name, at in spectra.items()}
        save_eigenvalues(picture_at(step), titles, of_step=False, linear_below=0.1)
        measured = {f"{name}/modes": float(num) for name, num in modes.items()}
        for name, at in spectra.items():
            measured |= {f"{name}/left": at.left, f"{name}/rotation": at.rotation}
        return measured

    state = config.train(
        step,
        {
            name: variant.system.init(key_init, optimizers=optimizers)
            for name, variant in players.items()
        },
        data.no_feed(),
        evaluate,
        key=key_run,
        workdir=workdir,
        fresh=fresh,
        batch_size=config.batch_size,
        shown=("plain/discriminator/loss", "r1/discriminator/loss"),
        unit="points",
    )
    spectra, modes = look(state)
    return Result(state, spectra, modes, picture_at(int(state["plain"].step)))


def spectrum_of(variant: Variant) -> Callable[..., Spectrum]:
    """Of the field that the step descends: a step of plain descent of rate 1 is z - field(z)."""
    descent = optax.sgd(1.0)
    step = variant.play(descent)

    @jax.jit
    def jacobians(key, state: GameState, batch):
        start = init(
            generator=state.generator.weights,
            discriminator=state.discriminator.weights,
            optimizers=Optimizers(generator=descent, discriminator=descent),
        )
        of_step = step_jacobian(key, start, batch, step=step)
        return of_step, game_jacobian(key, start, batch, game=variant.system.game)

    def look(key, state: GameState, batch) -> Spectrum:
        of_step, of_game = jacobians(key, state, batch)
        values = eigenvalues(jnp.eye(len(of_step)) - of_step)
        return Spectrum(values, float(rotation_share(of_game)))

    return look


if __name__ == "__main__":
    main("jacobian_spectrum", run, CONFIGS, __doc__ or "")
