"""Ways of playing a game, on games whose rates are known.    python -m experiments.dynamics

Every method plays the bilinear game, the Dirac-GAN near its equilibrium, a game that is part
potential and part rotation, and a bilinear game seen through noise. Prints the factor per step by
which each run grew or shrank, beside the exact one, and draws the runs over the vector field.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, options
from experiments.harness.bounds import Count, CountOr0, Rate, Weight
from experiments.harness.methods import (
    INTERVAL,
    METHODS,
    MOMENTUM,
    RATE,
    Method,
    MethodName,
    choose,
)
from gan_jax import data, losses, plots
from gan_jax.games import Game, GameState, Gradients, Weights, init, rates, reporting, together, toy
from gan_jax.games.analysis import growth_factor, phase_portrait, spectral_radius, trajectory
from gan_jax.training import Evaluation
from gan_jax.typing import Step

POTENTIAL = np.array([[0.4, 0.0], [0.0, 0.2]])
ROTATION = np.array([[0.0, 1.0], [-1.0, 0.0]])
NUM_SHOWN = 100
EXTENT = 1.6
SINGULAR_VALUES = {"bilinear": 1.0, "dirac_gan": 0.5}
"""Of the bilinear game that each rotating game is at its equilibrium."""
LINEAR = (*SINGULAR_VALUES, "mixed")
"""The games on which a run shrinks or grows by a factor."""


@dataclass(frozen=True, kw_only=True)
class Config(options.RunOptions):
    learning_rate: Rate = 0.3
    """Of plain gradient descent, for both players of every game."""
    weight: Weight = 0.5
    """Of consensus and of symplectic adjustment."""
    num_unrolled_steps: CountOr0 = 5
    """Moves that an unrolled generator foresees."""
    steps: Count = 300
    steps_per_dispatch: Count = 50
    evaluate_every: Count = 300
    checkpoint_every: Count = 100


CONFIGS = {"games": Config()}


class Playground(NamedTuple):
    """A game, where it starts, and where its equilibrium is."""

    game: Game
    start: Gradients
    equilibrium: Gradients


def playgrounds(config: Config) -> dict[str, Playground]:
    def at(x, y) -> Gradients:
        return Gradients(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))

    mixed = toy.quadratic(potential=POTENTIAL, hamiltonian=ROTATION)
    return {
        "bilinear": Playground(toy.bilinear(), at(1.0, 0.5), at(0.0, 0.0)),
        "dirac_gan": Playground(toy.dirac_gan(losses.minimax()), at(1e-2, 5e-3), at(0.0, 0.0)),
        "mixed": Playground(mixed, at([1.0], [0.5]), at([0.0], [0.0])),
        "stochastic": stochastic(config.seed),
    }


def stochastic(seed: int) -> Playground:
    """Terms around ⟨x, y⟩, one a round; the start is at distance 1 from the equilibrium."""
    terms = toy.random_terms(seed)
    at = toy.stochastic_bilinear_equilibrium(*terms)
    aside = 1 / np.sqrt(2 * at.generator.size)
    return Playground(
        toy.stochastic_bilinear(*terms, num_samples=1),
        Gradients(at.generator + aside, at.discriminator - aside),
        at,
    )


def build(config: Config) -> dict[str, dict[MethodName, Method]]:
    """Every method on every game."""
    return {
        ground: {
            name: choose(
                name,
                at.game,
                learning_rate=config.learning_rate,
                rule="sgd",
                weight=config.weight,
                num_unrolled_steps=config.num_unrolled_steps,
            )
            for name in METHODS
        }
        for ground, at in playgrounds(config).items()
    }


def evaluator(config: Config, methods: dict[str, dict[MethodName, Method]]) -> options.Evaluate:
    """Draw every run so far."""
    grounds = playgrounds(config)

    def evaluate(key, state) -> Evaluation:
        num_steps = int(state["bilinear"]["simultaneous"].step)
        shown = min(num_steps, NUM_SHOWN)
        return Evaluation({g: portrait(grounds[g], methods[g], shown) for g in LINEAR})

    return evaluate


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Play every game by every method, all at once."""
    grounds, methods = playgrounds(config), build(config)
    steps, state = {}, {}
    for ground, row in methods.items():
        distance = partial(toy.distance, equilibrium=grounds[ground].equilibrium)
        reported = {name: reporting(m.step, distance=distance) for name, m in row.items()}
        steps[ground] = together(reported)
        state[ground] = {name: start(m, grounds[ground].start) for name, m in row.items()}
    result = config.train(
        together(steps),
        state,
        data.drawn_feed(lambda key, num: {}, batch_size=1),
        evaluator(config, methods),
        workdir=workdir,
        fresh=fresh,
        shown=("bilinear/simultaneous/distance", "bilinear/extragradient/distance"),
        unit="plays",
    )
    scores = {
        f"stochastic/{name}/end": float(toy.distance(state, grounds["stochastic"].equilibrium))
        for name, state in result.state["stochastic"].items()
    }
    for ground, exact in exact_factors(config).items():
        for name, method in methods[ground].items():
            factor = measure(method, grounds[ground], config.steps)
            scores |= {f"{ground}/{name}/factor": factor, f"{ground}/{name}/exact": exact[name]}
    return result.says(table({**result.metrics, **scores}), scores)


def start(method: Method, point: Gradients) -> GameState:
    state = init(
        generator=Weights(params=point.generator),
        discriminator=Weights(params=point.discriminator),
        optimizers=method.optimizers,
    )
    return method.remember(state)


@partial(jax.jit, static_argnames=("step", "num_steps"))
def path_of(state: GameState, *, step: Step, num_steps: int) -> Gradients:
    return trajectory(jax.random.key(0), state, {}, step=step, num_steps=num_steps)[1]


def measure(method: Method, at: Playground, num_steps: int) -> float:
    """How a run to or from 0 grew or shrank."""
    path = path_of(start(method, at.start), step=method.step, num_steps=num_steps)
    return growth_factor(np.hypot(*(np.ravel(z).astype(float) for z in path)))


def exact_factors(config: Config) -> dict[str, dict[str, float]]:
    """By the papers' formulas on a purely rotating game, else from the step's own Jacobian."""
    options = {"weight": config.weight, "num_unrolled_steps": config.num_unrolled_steps}
    options |= {"momentum": MOMENTUM, "interval": INTERVAL, "rate": RATE}
    exact = {
        ground: rates.factors(config.learning_rate, sigma, **options)
        for ground, sigma in SINGULAR_VALUES.items()
    }
    mixed, methods = playgrounds(config)["mixed"], build(config)["mixed"]
    return exact | {"mixed": {name: of_step(name, m, mixed) for name, m in methods.items()}}


def of_step(name: MethodName, method: Method, at: Playground) -> float:
    """The spectral radius at the equilibrium, per step; lookahead's is that of a whole interval."""
    num = INTERVAL if name == "lookahead" else 1

    def block(key, state, batch):
        metrics = {}
        for _ in range(num):
            state, metrics = method.step(key, state, batch)
        return state, metrics

    key = jax.random.key(0)
    state, _ = block(key, start(method, at.equilibrium), {})
    return spectral_radius(key, state, {}, step=block) ** (1 / num)


def portrait(at: Playground, methods: dict[MethodName, Method], num_steps: int) -> plots.Picture:
    """A panel for each method, over the flow on a plane that holds the start."""
    first = next(iter(methods.values()))
    extent = EXTENT * float(np.hypot(*map(np.ravel, at.start))[0])
    ticks = np.linspace(-extent, extent, 21, dtype=np.float32)
    flow = phase_portrait(
        jax.random.key(0),
        start(first, at.start),
        {},
        game=at.game,
        generator=jnp.asarray(ticks),
        discriminator=jnp.asarray(ticks),
    )
    trajectories = {}
    for name, method in methods.items():
        path_of_method = path_of(start(method, at.start), step=method.step, num_steps=num_steps)
        trajectories[name] = tuple(np.ravel(z) for z in path_of_method)
    return plots.phase_portraits(
        x=ticks,
        y=ticks,
        flow=(np.asarray(flow.generator), np.asarray(flow.discriminator)),
        trajectories=trajectories,
    )


def table(metrics) -> str:
    """A row for each method, a pair of columns for each game."""
    lines = [
        "factor per step " + " ".join(f"{ground:>17s}" for ground in LINEAR) + "    stochastic",
        f"{'':18s} " + " ".join(f"{'measured':>9s} {'exact':>7s}" for _ in LINEAR) + "  at the end",
    ]
    for name in METHODS:
        pairs = ([metrics[f"{g}/{name}/{what}"] for what in ("factor", "exact")] for g in LINEAR)
        cells = " ".join(f"{factor:9.4f} {exact:7.4f}" for factor, exact in pairs)
        lines.append(f"{name:18s} {cells} {metrics[f'stochastic/{name}/end']:12.3g}")
    return "\n".join(lines)


if __name__ == "__main__":
    command.main("dynamics", run, CONFIGS, __doc__ or "")
