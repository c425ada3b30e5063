"""The two orders of play, and the single moves that any other order is made of.

Every step has the signature (key, state, batch, *, game, optimizers, ...) -> (state, metrics) and
is compiled by nobody but its caller. Metrics are a flat dict: per player `loss`, `grad_norm`,
`update_norm` and whatever the game reports, as in "generator/loss". `axis_name` is the mapped axis
over which gradients are averaged, of `pmap` or of `shard_map` with `check_vma=False`; under
sharded `jit` it stays None.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.games.core import (
    Game,
    GameState,
    Gradients,
    Optimizers,
    Outcome,
    Player,
    PlayerName,
    PlayerOutcome,
    check_optimizers,
    own_gradient,
    vector_field,
)
from gan_jax.typing import Batch, KeyArray, Metrics, Params, PyTree


def move(
    player: Player,
    gradient: Params,
    outcome: PlayerOutcome,
    *,
    optimizer: optax.GradientTransformation,
    prefix: str = "",
) -> tuple[Player, Metrics]:
    """Take one optimiser step with this gradient, carry the outcome's state, report the norms.

    What is kept keeps its type, also where 64-bit numbers are switched on and something computes in
    them. An optimiser that asks for them is also given the loss as `value` and the gradient as
    `grad`.

    Raises:
        ValueError: a metric is no single number, or the optimiser is a line search.
    """
    weights = player.weights
    check_metrics(outcome.metrics)
    updates, opt_state = optax.with_extra_args_support(optimizer).update(
        gradient,
        player.opt_state,
        weights.params,
        value=outcome.loss,
        grad=gradient,
        value_fn=_no_line_search,
    )
    moved = weights.replace(
        params=optax.apply_updates(weights.params, updates),
        state=weights.state if outcome.state is None else _typed_as(weights.state, outcome.state),
    )
    metrics = {
        "loss": outcome.loss,
        "grad_norm": optax.tree.norm(gradient),
        "update_norm": optax.tree.norm(updates),
        **jax.tree.map(jnp.asarray, outcome.metrics),
    }
    return (
        player.replace(weights=moved, opt_state=_typed_as(player.opt_state, opt_state)),
        {f"{prefix}{name}": value for name, value in metrics.items()},
    )


def _typed_as(before: PyTree, after: PyTree) -> PyTree:
    """Give numbers the type that they had, where what is kept has the form that it had."""

    def typed(old, new):
        kinds = (jnp.floating, jnp.integer)
        dtypes = jnp.result_type(old), jnp.result_type(new)
        alike = any(all(jnp.issubdtype(dtype, kind) for dtype in dtypes) for kind in kinds)
        return jnp.asarray(new, dtypes[0]) if alike else new

    same = jax.tree.structure(before) == jax.tree.structure(after)
    return jax.tree.map(typed, before, after) if same else after


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raise ValueError where a metric is more than one number."""
    for name, value in metrics.items():
        if jnp.shape(value) != ():
            raise Refusal(
                f"The metric {name} has shape {jnp.shape(value)}; a metric is one number: take a "
                "mean, or report each under a name of its own."
            )


def _no_line_search(*_args, **_named):
    raise Refusal(
        "The optimiser asks for the loss at other points, as a line search does; a step knows it "
        "at the present ones: give an optimiser that needs the gradient and the loss alone."
    )


def move_both(
    state: GameState, gradients: Gradients, outcome: Outcome, *, optimizers: Optimizers
) -> tuple[GameState, Metrics]:
    """Move both players along these gradients. `state.step` stays as it is."""
    check_optimizers(optimizers)
    players, metrics = {}, {}
    for name in Gradients._fields:
        players[name], of_player = move(
            getattr(state, name),
            getattr(gradients, name),
            getattr(outcome, name),
            optimizer=getattr(optimizers, name),
            prefix=f"{name}/",
        )
        metrics |= of_player
    return state.replace(**players), metrics


def simultaneous_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Move both players from the same point: neither sees the other's move.

    θ' = θ - η ∇_θ L_G(θ, ψ),  ψ' = ψ - η ∇_ψ L_D(θ, ψ), for plain gradient descent.

    The game is played once, on one sample of latents.

    Goodfellow 2016 (tutorial), section 3.1; Mescheder et al. 2017, section 2.
    """
    gradients, outcome = vector_field(key, state, batch, game=game, axis_name=axis_name)
    state, metrics = move_both(state, gradients, outcome, optimizers=optimizers)
    return state.replace(step=state.step + 1), metrics


def alternating_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    num_discriminator_steps: int = 1,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Let the discriminator move, then the generator answer the moved discriminator.

    ψ' = ψ - η ∇_ψ L_D(θ, ψ),  θ' = θ - η ∇_θ L_G(θ, ψ'), for plain gradient descent.

    With k = `num_discriminator_steps` the batch holds k·B examples: B for each move of the
    discriminator, none twice (move i takes every k-th example from the i-th on, so that a batch
    sharded over devices stays where it is). The generator answers on the last B. Every move has a
    key of its own; metrics are those of the last moves.

    >>> import jax, optax
    >>> from gan_jax import games
    >>> sgd = games.Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
    >>> x, y = (games.Weights(params=jax.numpy.float32(at)) for at in (1.0, 0.5))
    >>> state = games.init(generator=x, discriminator=y, optimizers=sgd)  # of min_x max_y xy
    >>> state, metrics = games.alternating_step(
    ...     jax.random.key(0), state, {}, game=games.toy.bilinear(), optimizers=sgd)
    >>> print(*(f"{at:.2f}" for at in games.get_params(state)))  # y = 0.5 + 0.1, x = 1 - 0.1 y
    0.94 0.60

    Goodfellow et al. 2014, Algorithm 1.

    Raises:
        ValueError: k is below 1, or the batch does not divide by k.
    """
    key_generator, key_discriminator = jax.random.split(key)
    check_bound(AT_LEAST_1, num_discriminator_steps=num_discriminator_steps)

    def turn(state, key_and_batch):
        return discriminator_step(
            key_and_batch[0],
            state,
            key_and_batch[1],
            game=game,
            optimizers=optimizers,
            axis_name=axis_name,
        )

    if num_discriminator_steps == 1:
        last = batch
        state, metrics = turn(state, (key_discriminator, last))
    else:
        batches = split_batch(batch, num_discriminator_steps, "num_discriminator_steps")
        last = jax.tree.map(lambda leaf: leaf[-1], batches)
        keys = jax.random.split(key_discriminator, num_discriminator_steps)
        state, metrics = jax.lax.scan(turn, state, (keys, batches))
        metrics = jax.tree.map(lambda leaf: leaf[-1], metrics)
    state, generator_metrics = generator_step(
        key_generator, state, last, game=game, optimizers=optimizers, axis_name=axis_name
    )
    return state.replace(step=state.step + 1), {**generator_metrics, **metrics}


def discriminator_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Move the discriminator alone: ψ' = ψ - η ∇_ψ L_D(θ, ψ). `state.step` stays as it is."""
    return _single_move(
        "discriminator", key, state, batch, game=game, optimizers=optimizers, axis_name=axis_name
    )


def generator_step(
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    optimizers: Optimizers,
    axis_name: str | None = None,
) -> tuple[GameState, Metrics]:
    """Move the generator alone: θ' = θ - η ∇_θ L_G(θ, ψ). `state.step` stays as it is."""
    return _single_move(
        "generator", key, state, batch, game=game, optimizers=optimizers, axis_name=axis_name
    )


def _single_move(
    name: PlayerName, key, state, batch, *, game, optimizers, axis_name
) -> tuple[GameState, Metrics]:
    check_optimizers(optimizers)
    gradient, outcome = own_gradient(name, key, state, batch, game=game, axis_name=axis_name)
    player, metrics = move(
        getattr(state, name),
        gradient,
        outcome,
        optimizer=getattr(optimizers, name),
        prefix=f"{name}/",
    )
    return state.replace(**{name: player}), metrics


def split_batch(batch: Batch, num_parts: int, name: str) -> Batch:
    """Split the leading axis k·B of every leaf into (k, B), part i holding examples i, i+k, ...

    `name` is what the caller calls k, for the messages.
    """

    def split(leaf):
        if jnp.ndim(leaf) == 0:
            raise Refusal(
                f"The batch holds a single number, which does not divide into the {num_parts} "
                f"parts that {name} asks for: what all examples share belongs to the game."
            )
        if leaf.shape[0] % num_parts:
            raise Refusal(
                f"A batch of {leaf.shape[0]} examples does not divide into the {num_parts} parts "
                f"that {name} asks for; give a multiple of {num_parts}."
            )
        strided = leaf.reshape(leaf.shape[0] // num_parts, num_parts, *leaf.shape[1:])
        return strided.swapaxes(0, 1)

    return jax.tree.map(split, batch)
