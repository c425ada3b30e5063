"""StyleGAN2: a GAN whose generator is told how far its images go, and regularisers paid seldom."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gan_jax import games
from gan_jax.checks import AT_LEAST_1, DECAY, NOT_NEGATIVE, check_bound
from gan_jax.games import GameState, Optimizers, Outcome, PlayerOutcome, Weights
from gan_jax.losses import AdversarialLoss, path_lengths, r1
from gan_jax.systems.checks import take_floats
from gan_jax.systems.gan import GAN, logits
from gan_jax.systems.networks import Latents, fixed, infer, train
from gan_jax.typing import Batch, KeyArray, Step

MEAN = "path_length"
"""The running mean of path lengths, among the generator's batch statistics."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StyleGAN2:
    """Play a GAN, and after it, in every so many steps, two regularisers, a move each.

        L_D = E softplus(-D(x)) + E softplus(D(G(z))) + γ/2 E ‖∇D(x)‖²,
        L_G = E softplus(-D(G(z))) + λ E (‖J_wᵀ y‖₂ - a)²

    with `loss` non-saturating, γ the `r1_weight` and λ the `path_length_weight`. `game` has the
    first terms; `r1`, every `r1_period` steps, and `path_length`, every `path_length_period`, have
    the others, each as many times as heavy. `regularised` adds both to a step of `game`; a weight
    of 0 leaves one out, and a period of 1 is eager.

    a is a running mean of lengths, a <- a + 0.01 (mean length - a), from 0 on; as in both codes of
    the authors it is moved before it is used, and the gradient goes through it. It is among the
    generator's batch statistics. Lengths are those of fresh latents, half as many as there are
    examples, with their styles mixed.

    The generator has, beside the call, `styles(latents, train=...)` and `synthesise(styles,
    train=...)`, as `nets.StyleGAN2Generator` has.

    The authors move G, its regulariser, D, and its own; here the regularisers come last. The mean
    of styles moves when the generator moves, and not, as theirs, when the discriminator does too.

    Karras et al. 2020, sections 2 to 3.2 and appendix B, and the authors' code.

    >>> import jax
    >>> from functools import partial
    >>> from gan_jax import games, losses, nets
    >>> from gan_jax.systems import StyleGAN2, lazy_adam, networks
    >>> widths = nets.stylegan2_widths(8, base=128)
    >>> system = StyleGAN2(
    ...     generator=nets.StyleGAN2Generator(8, 1, widths, dim=32), latents=networks.normal(32),
    ...     discriminator=nets.StyleGAN2Discriminator(widths), loss=losses.non_saturating())
    >>> batch = {"image": jax.numpy.zeros((4, 8, 8, 1))}
    >>> optimizers = games.Optimizers(
    ...     generator=lazy_adam(2e-3, system.path_length_period),
    ...     discriminator=lazy_adam(2e-3, system.r1_period))
    >>> init = lambda key: system.init(key, batch, optimizers=optimizers)
    >>> state = jax.eval_shape(init, jax.random.key(0))
    >>> step = partial(games.alternating_step, game=system.game, optimizers=optimizers)
    >>> step = system.regularised(step, optimizers)
    >>> state, metrics = jax.eval_shape(step, jax.random.key(1), state, batch)
    >>> [name for name in metrics if name.endswith("penalty")]
    ['path_length/generator/penalty', 'r1/discriminator/penalty']

    Raises:
        ValueError: what is given is no network, loss or latents, a weight is negative or not
            finite, or a period is below 1.
    """

    generator: nn.Module
    discriminator: nn.Module
    loss: AdversarialLoss
    latents: Latents
    r1_weight: float = 10.0
    r1_period: int = 16
    path_length_weight: float = 2.0
    path_length_period: int = 4
    path_length_decay: float = 0.99
    field: str = "image"

    def __post_init__(self) -> None:
        _ = self.gan  # checks the networks, the loss and the latents
        check_bound(NOT_NEGATIVE, r1_weight=self.r1_weight)
        check_bound(NOT_NEGATIVE, path_length_weight=self.path_length_weight)
        check_bound(AT_LEAST_1, r1_period=self.r1_period)
        check_bound(AT_LEAST_1, path_length_period=self.path_length_period)
        check_bound(DECAY, path_length_decay=self.path_length_decay)

    @property
    def gan(self) -> GAN:
        """The same networks and loss, without regularisers."""
        return GAN(
            generator=self.generator,
            discriminator=self.discriminator,
            loss=self.loss,
            latents=self.latents,
            field=self.field,
        )

    def game(
        self, *, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray
    ) -> Outcome:
        """Play one round without regularisers, as `GAN.game`, which says what it raises."""
        return self.gan.game(generator=generator, discriminator=discriminator, batch=batch, key=key)

    def r1(
        self, *, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray
    ) -> Outcome:
        """What the discriminator pays every `r1_period` steps, as many times as heavy.

        Raises: as `game`.
        """

        def critic(x: Array) -> Array:
            return logits(train(self.discriminator, discriminator, key, x)[0])

        penalty = jnp.mean(r1(critic, take_floats(batch, self.field)))
        return Outcome(
            generator=PlayerOutcome(jnp.zeros(()), generator.state),
            discriminator=PlayerOutcome(
                self.r1_period * self.r1_weight / 2 * penalty,
                discriminator.state,
                {"penalty": penalty},
            ),
        )

    def path_length(
        self, *, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray
    ) -> Outcome:
        """What the generator pays every `path_length_period` steps, as many times as heavy.

        Raises: as `game`.
        """
        key_latents, key_styles, key_image, key_y = jax.random.split(key, 4)
        latents = self.latents(key_latents, -(-len(take_floats(batch, self.field)) // 2))
        styles, _ = train(self.generator, generator, key_styles, latents, method="styles")

        def synthesise(styles: Array) -> Array:
            return train(self.generator, generator, key_image, styles, method="synthesise")[0]

        lengths = path_lengths(synthesise, styles, key_y)
        statistics = generator.state["batch_stats"]
        past = statistics[MEAN]
        mean = past + (1 - self.path_length_decay) * (jnp.mean(lengths) - past)
        penalty = jnp.mean(jnp.square(lengths - mean))
        state = {**generator.state, "batch_stats": {**statistics, MEAN: mean}}
        return Outcome(
            generator=PlayerOutcome(
                self.path_length_period * self.path_length_weight * penalty,
                state,
                {"penalty": penalty, "mean": mean},
            ),
            discriminator=PlayerOutcome(jnp.zeros(()), discriminator.state),
        )

    def regularised(
        self, step: Step, optimizers: Optimizers, *, axis_name: str | None = None
    ) -> Step:
        """Take a step of `game`, and after it the regularisers that are due."""
        told = {"optimizers": optimizers, "axis_name": axis_name}
        if self.path_length_weight:
            extra = partial(games.generator_step, game=self.path_length, **told)
            step = games.every(self.path_length_period, extra, step, name="path_length")
        if self.r1_weight:
            extra = partial(games.discriminator_step, game=self.r1, **told)
            step = games.every(self.r1_period, extra, step, name="r1")
        return step

    def init(self, key: KeyArray, batch: Batch, *, optimizers: Optimizers) -> GameState:
        """Draw both players' weights, with a mean of path lengths of 0, as `GAN.init`."""
        state = self.gan.init(key, batch, optimizers=optimizers)
        weights = state.generator.weights
        statistics = {**weights.state.get("batch_stats", {}), MEAN: jnp.zeros(())}
        weights = weights.replace(state={**weights.state, "batch_stats": statistics})
        return state.replace(generator=state.generator.replace(weights=weights))

    def sample(
        self, key: KeyArray, weights: Weights, num: int, *, truncation: float = 1.0
    ) -> Float[Array, "num *shape"]:
        """Draw that many examples by the generator's weights, from styles that are truncated.

        Raises:
            ValueError: `num` is below 1; the weights are another network's.
        """
        check_bound(AT_LEAST_1, num=num)
        key_latents, key_network = jax.random.split(key)
        latents = self.latents(key_latents, num)
        return self.generate(weights, latents, truncation=truncation, key=key_network)

    def generate(
        self,
        weights: Weights,
        latents: Array,
        *,
        truncation: float = 1.0,
        key: KeyArray | None = None,
    ) -> Float[Array, "num *shape"]:
        """What the generator makes of these latents; without a key its noise is always the same.

        Raises:
            ValueError: the weights are another network's.
        """
        key_styles, key_image = jax.random.split(fixed(key))
        styles = self.styles(weights, latents, truncation=truncation, key=key_styles)
        return self.synthesise(weights, styles, key=key_image)

    def styles(
        self,
        weights: Weights,
        latents: Array,
        *,
        truncation: float = 1.0,
        key: KeyArray | None = None,
    ) -> Float[Array, "num layers dim"]:
        """The styles w of latents, for each layer: w̄ + ψ (w - w̄), with ψ the `truncation`.

        Raises:
            ValueError: the weights are another network's.
        """
        told = {"method": "styles", "truncation": truncation}
        return infer(self.generator, weights, latents, key=key, **told)

    def synthesise(
        self,
        weights: Weights,
        styles: Float[Array, "num layers dim"],
        *,
        noise: Sequence[Float[Array, "num _ _ 1"]] | None = None,
        key: KeyArray | None = None,
    ) -> Float[Array, "num *shape"]:
        """The images of styles, and of a map of noise for each layer that has any.

        Without `noise` it is drawn, and without a key it is then always the same.

        Raises:
            ValueError: the weights are another network's, or the noise is of other layers.
        """
        inputs = (styles,) if noise is None else (styles, noise)
        return infer(self.generator, weights, *inputs, method="synthesise", key=key)

    def discriminate(self, weights: Weights, x: Float[Array, "num *shape"]) -> Float[Array, " num"]:
        """The discriminator's logits, as `GAN.discriminate`."""
        return self.gan.discriminate(weights, x)


def lazy_adam(
    learning_rate: optax.ScalarOrSchedule, period: int | None, *, b1: float = 0.0, b2: float = 0.99
) -> optax.GradientTransformation:
    """Adam for a player of whose every `period` moves a regulariser has made one more.

    Of rate c η and β^c with c = period / (period + 1), as in the paper; None is Adam itself.

    Karras et al. 2020, appendix B.
    """
    c = 1.0 if period is None else period / (period + 1)
    adam = optax.adam(learning_rate, b1=b1**c, b2=b2**c, eps=1e-8)
    return optax.chain(adam, optax.scale(c))
