"""The two-player game: its types, its start, and its vector field.

A game is one pure function from both players' weights to both players' losses. The two players
have the same type, so whatever there are two of is passed by keyword.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Int32

from gan_jax.errors import Refusal
from gan_jax.typing import Batch, KeyArray, Metrics, Params, PyTree, Scalar

PlayerName: TypeAlias = Literal["generator", "discriminator"]


class Weights(struct.PyTreeNode, kw_only=True):
    """What a network computes with.

    `params` are trained by gradients. `state` is what is kept but not trained: batch statistics,
    spectral norms, a frozen first stage. A player of several networks has a dict of each.
    """

    params: Params
    state: PyTree = struct.field(default_factory=dict)


class Player(struct.PyTreeNode, kw_only=True):
    """One side of the game: its weights and its optimiser's state."""

    weights: Weights
    opt_state: PyTree


class GameState(struct.PyTreeNode, kw_only=True):
    """The game between two steps; `memory` is what a method keeps from step to step."""

    step: Int32[Array, ""]
    generator: Player
    discriminator: Player
    memory: PyTree = None


class PlayerOutcome(NamedTuple):
    """What one player gets from one round: a scalar loss, its next state, what to report.

    `state` None leaves the player's state as it is. A player's metrics should depend only on what
    its own loss needs, so that a move of this player alone need not compute the opponent's share.
    """

    loss: Scalar
    state: PyTree = None
    metrics: Metrics = {}  # noqa: RUF012 (a NamedTuple's default, never written to)


class Outcome(NamedTuple):
    """What both players get from one round."""

    generator: PlayerOutcome
    discriminator: PlayerOutcome


class Gradients(NamedTuple):
    """Each player's gradient of its own loss with respect to its own params.

    Also whatever else lives in the space of both players' params: a point, a direction.
    """

    generator: Params
    discriminator: Params


class Optimizers(NamedTuple):
    """Each player's optimiser."""

    generator: optax.GradientTransformation
    discriminator: optax.GradientTransformation


@runtime_checkable
class Game(Protocol):
    """One round: it draws what is random from `key` and returns both players' losses."""

    def __call__(
        self, *, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray
    ) -> Outcome: ...


def init(*, generator: Weights, discriminator: Weights, optimizers: Optimizers) -> GameState:
    """Set up the game at step 0.

    All is copied, so that a step which donates the state never takes the caller's arrays, nor is
    given one array twice.

    Raises:
        TypeError: a player is no `Weights`, or its params are not all floating-point arrays.
        ValueError: a player has no params, or there is no optimiser for each.
    """
    check_optimizers(optimizers)
    return GameState(
        step=jnp.zeros((), jnp.int32),
        generator=init_player(generator, optimizers.generator, name="generator"),
        discriminator=init_player(discriminator, optimizers.discriminator, name="discriminator"),
    )


def init_player(
    weights: Weights, optimizer: optax.GradientTransformation, *, name: str = "player"
) -> Player:
    """Copy the weights and start the optimiser; `name` is for the messages. Raises as `init`."""
    if not isinstance(weights, Weights):
        raise TypeError(
            f"The {name} is a {type(weights).__name__}; "
            "give its parameters as Weights(params=..., state=...)."
        )
    leaves = jax.tree_util.tree_leaves_with_path(weights.params)
    if not leaves:
        raise Refusal(f"The {name} has no params: there is nothing that it could move.")
    for path, leaf in leaves:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise TypeError(
                f"The {name}'s params{jax.tree_util.keystr(path)} are {jnp.result_type(leaf)}; "
                "gradients need floating-point params, and what is not trained goes to `state`."
            )
    check_optimizer(optimizer)
    weights = jax.tree.map(lambda leaf: jnp.array(leaf, jnp.result_type(leaf)), weights)
    opt_state = jax.tree.map(jnp.copy, optimizer.init(weights.params))
    return Player(weights=weights, opt_state=opt_state)


def check_optimizers(optimizers: Any) -> None:
    """Raise ValueError unless there is an optimiser for each player, by its name."""
    if not isinstance(optimizers, Optimizers):
        raise Refusal(
            f"The optimizers are a {type(optimizers).__name__}; give one for each player, as "
            "Optimizers(generator=..., discriminator=...)."
        )
    for optimizer in optimizers:
        check_optimizer(optimizer)


def check_optimizer(optimizer: Any) -> None:
    """Raise ValueError unless it is one of Optax's, ready to be used."""
    if not isinstance(optimizer, optax.GradientTransformation):
        said = getattr(optimizer, "__name__", type(optimizer).__name__)
        raise Refusal(
            f"An optimizer is {said}; give a transformation of Optax, such as optax.adam(1e-3)."
        )


def vector_field(
    key: KeyArray, state: GameState, batch: Batch, *, game: Game, axis_name: str | None = None
) -> tuple[Gradients, Outcome]:
    """Each player's gradient of its own loss, at one point and on one sample.

    v(θ, ψ) = (∇_θ L_G(θ, ψ), ∇_ψ L_D(θ, ψ)), for θ the generator's and ψ the discriminator's
    params; a descent step goes along -v.

    The game is linearised once, so both gradients share its forward pass, and transposed once per
    player from that player's own loss, so that a non-finite loss stays with the player it belongs
    to. With `axis_name` the gradients and the outcome are means over devices (`across_devices`).

    Mescheder, Nowozin & Geiger 2017, section 2.
    """
    key = device_key(key, axis_name)

    def losses(params: Gradients):
        at = set_params(state, params)
        outcome = game(
            generator=at.generator.weights,
            discriminator=at.discriminator.weights,
            batch=batch,
            key=key,
        )
        check_scalar(outcome.generator.loss, "generator")
        check_scalar(outcome.discriminator.loss, "discriminator")
        return (outcome.generator.loss, outcome.discriminator.loss), outcome

    params = get_params(state)
    values, linear, outcome = jax.linearize(losses, params, has_aux=True)
    of_generator_loss = jax.linear_transpose(lambda tangent: linear(tangent)[0], params)
    of_discriminator_loss = jax.linear_transpose(lambda tangent: linear(tangent)[1], params)
    (generator_pull,) = of_generator_loss(jnp.ones_like(values[0]))
    (discriminator_pull,) = of_discriminator_loss(jnp.ones_like(values[1]))
    generator = across_devices(generator_pull.generator, outcome.generator, axis_name)
    discriminator = across_devices(
        discriminator_pull.discriminator, outcome.discriminator, axis_name
    )
    return (
        Gradients(generator=generator[0], discriminator=discriminator[0]),
        Outcome(generator=generator[1], discriminator=discriminator[1]),
    )


def field_at(
    key: KeyArray, state: GameState, batch: Batch, *, game: Game, axis_name: str | None = None
) -> Callable[[Gradients], tuple[Gradients, Outcome]]:
    """`vector_field` as a function of the point, on one sample: what is differentiated again."""
    return lambda params: vector_field(
        key, set_params(state, params), batch, game=game, axis_name=axis_name
    )


def own_gradient(
    player: PlayerName,
    key: KeyArray,
    state: GameState,
    batch: Batch,
    *,
    game: Game,
    axis_name: str | None = None,
) -> tuple[Params, PlayerOutcome]:
    """One player's half of `vector_field`: its own loss's gradient, its share of the outcome."""
    key = device_key(key, axis_name)
    weights = {
        "generator": state.generator.weights,
        "discriminator": state.discriminator.weights,
    }

    def own_loss(params):
        own = {player: weights[player].replace(params=params)}
        outcome: PlayerOutcome = getattr(game(**{**weights, **own}, batch=batch, key=key), player)
        check_scalar(outcome.loss, player)
        return outcome.loss, outcome

    gradient, outcome = jax.grad(own_loss, has_aux=True)(weights[player].params)
    return across_devices(gradient, outcome, axis_name)


def get_params(state: GameState) -> Gradients:
    """Where the game stands: both players' params."""
    return Gradients(
        generator=state.generator.weights.params, discriminator=state.discriminator.weights.params
    )


def set_params(state: GameState, params: Gradients) -> GameState:
    """The same game at another point."""
    generator, discriminator = state.generator, state.discriminator
    return state.replace(
        generator=generator.replace(weights=generator.weights.replace(params=params.generator)),
        discriminator=discriminator.replace(
            weights=discriminator.weights.replace(params=params.discriminator)
        ),
    )


def check_memory(state: GameState, kind: type, name: str) -> None:
    """Raise ValueError unless the state's outermost memory is of the kind that `name` starts."""
    if not isinstance(state.memory, kind):
        raise Refusal(
            f"The state's memory is {type(state.memory).__name__}, not {kind.__name__}: start it "
            f"with {name}(state), the memory of the innermost step first."
        )


def check_scalar(loss: Array, player: str) -> None:
    """Raise ValueError unless a player's loss is one number."""
    if jnp.shape(loss) != ():
        raise Refusal(
            f"The {player}'s loss has shape {jnp.shape(loss)}; a loss is a scalar: take the mean "
            "over the examples."
        )


def device_key(key: KeyArray, axis_name: str | None) -> KeyArray:
    """Fold the device's index into the key, so that each device draws latents of its own."""
    return key if axis_name is None else jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def across_devices(
    gradient: Params, outcome: PlayerOutcome, axis_name: str | None
) -> tuple[Params, PlayerOutcome]:
    """Average over devices a player's gradient and what it reports.

    Averaged are the gradient, the loss, the floating-point metrics and, of the state, the
    `batch_stats` collections alone: a pool of past images stays each device's own. What is under
    `frozen` is the same everywhere, and a mean of equal floats would move its bits.
    """
    if axis_name is None:
        return gradient, outcome

    def mean_statistics(path, x):
        names = [getattr(entry, "key", None) for entry in path]
        trained = "batch_stats" in names and "frozen" not in names
        return mean_over_devices(x, axis_name) if trained else x

    return mean_over_devices(gradient, axis_name), outcome._replace(
        loss=mean_over_devices(outcome.loss, axis_name),
        state=jax.tree_util.tree_map_with_path(mean_statistics, outcome.state),
        metrics=mean_over_devices(outcome.metrics, axis_name),
    )


def mean_over_devices(tree: PyTree, axis_name: str | None) -> PyTree:
    """Average the floating-point leaves over the mapped axis, if there is one.

    Whoever differentiates through an averaged quantity averages the result again.
    """

    def mean(x):
        floating = jnp.issubdtype(jnp.result_type(x), jnp.floating)
        return jax.lax.pmean(x, axis_name) if floating else x

    return tree if axis_name is None else jax.tree.map(mean, tree)
