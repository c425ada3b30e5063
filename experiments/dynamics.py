"""Ways of playing a game, on games whose rates are known.    python -m experiments.dynamics

Every method plays the bilinear game, the Dirac-GAN near its equilibrium, a game that is part
potential and part rotation, and a bilinear game seen through noise. Prints the factor per step by
which each run grew or shrank, beside the exact one, and draws the runs over the vector field.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import command, methods, options, text
from experiments.harness.bounds import Count, Rate, Weight
from experiments.harness.methods import METHODS, Method, MethodName
from gan_jax import data, games, losses, plots
from gan_jax.games import playgrounds, toy
from gan_jax.games.analysis import growth_factor, phase_portrait
from gan_jax.games.playgrounds import Playground
from gan_jax.training import Evaluation
from gan_jax.typing import Batch

Played = tuple[Playground, dict[MethodName, Method]]

NUM_SHOWN = 100
EXTENT = 1.6
SINGULAR_VALUES = {"bilinear": 1.0, "dirac_gan": 0.5}
"""Of the bilinear game that each rotating game is at its equilibrium."""
LINEAR = (*SINGULAR_VALUES, "mixed")
"""The games on which a run shrinks or grows by a factor."""


@dataclass(frozen=True, kw_only=True)
class Config(methods.MethodOptions):
    learning_rate: Rate = 0.3
    """Of plain gradient descent, for both players of every game."""
    weight: Weight = 0.5
    steps: Count = 300
    steps_per_dispatch: Count = 50
    evaluate_every: Count = 300
    checkpoint_every: Count = 100


CONFIGS = {"games": Config()}


def build(config: Config, batch: Batch | None = None) -> dict[str, Played]:
    """The games, and every method on each."""
    grounds = {
        "bilinear": playgrounds.bilinear(),
        "dirac_gan": playgrounds.dirac_gan(losses.minimax()),
        "mixed": playgrounds.mixed(),
        "stochastic": playgrounds.stochastic(config.seed),
    }
    return {
        ground: (at, {name: config.choose(name, at.game, "sgd") for name in METHODS})
        for ground, at in grounds.items()
    }


def evaluator(config: Config, played: dict[str, Played]) -> options.Evaluate:
    """Draw every run so far."""

    def evaluate(key, state) -> Evaluation:
        num_steps = min(int(state["bilinear"]["simultaneous"].step), NUM_SHOWN)
        return Evaluation({name: portrait(*played[name], num_steps) for name in LINEAR})

    return evaluate


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Play every game by every method, all at once."""
    played, steps, state = build(config), {}, {}
    for ground, (at, row) in played.items():
        distance = partial(toy.distance, equilibrium=at.equilibrium)
        reported = {name: games.reporting(m.step, distance=distance) for name, m in row.items()}
        steps[ground] = games.together(reported)
        state[ground] = {name: method.start(at.start) for name, method in row.items()}
    result = config.train(
        games.together(steps),
        state,
        data.drawn_feed(lambda key, num: {}, batch_size=1),
        evaluator(config, played),
        workdir=workdir,
        fresh=fresh,
        shown=("bilinear/simultaneous/distance", "bilinear/extragradient/distance"),
        unit="plays",
    )
    exact = {name: config.rotating_factors(sigma) for name, sigma in SINGULAR_VALUES.items()}
    at, row = played["mixed"]
    exact["mixed"] = {name: m.convergence_factor(at.equilibrium) for name, m in row.items()}
    scores = {
        f"stochastic/{name}/end": float(toy.distance(end, played["stochastic"][0].equilibrium))
        for name, end in result.state["stochastic"].items()
    }
    for ground, factors in exact.items():
        at, row = played[ground]
        for name, method in row.items():
            x, y = method.path(at.start, config.steps)
            scores[f"{ground}/{name}/factor"] = growth_factor(np.hypot(x.astype(float), y))
            scores[f"{ground}/{name}/exact"] = factors[name]
    return result.says(table(scores), scores)


def portrait(at: Playground, row: dict[MethodName, Method], num_steps: int) -> plots.Picture:
    """A panel for each method, over the flow on a plane that holds the start."""
    extent = EXTENT * float(np.hypot(*map(np.ravel, at.start))[0])
    ticks = np.linspace(-extent, extent, 21, dtype=np.float32)
    flow = phase_portrait(
        jax.random.key(0),
        row["simultaneous"].start(at.start),
        {},
        game=at.game,
        generator=jnp.asarray(ticks),
        discriminator=jnp.asarray(ticks),
    )
    paths = {name: method.path(at.start, num_steps) for name, method in row.items()}
    return plots.phase_portraits(x=ticks, y=ticks, flow=jax.device_get(flow), trajectories=paths)


def table(scores) -> str:
    """A row for each method, a pair of columns for each game."""
    rows = [
        ["factor per step", *(word for ground in LINEAR for word in (ground, "")), "stochastic"],
        ["", *("measured", "exact") * len(LINEAR), "at the end"],
    ]
    for name in METHODS:
        pairs = [scores[f"{g}/{name}/{what}"] for g in LINEAR for what in ("factor", "exact")]
        end = f"{scores[f'stochastic/{name}/end']:.3g}"
        rows.append([name, *(f"{factor:.4f}" for factor in pairs), end])
    return text.table(rows)


if __name__ == "__main__":
    command.main("dynamics", run, CONFIGS, __doc__ or "")
