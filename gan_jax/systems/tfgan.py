"""TFGAN: clips of texts, by two critics that convolve with filters made of the text."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax import games
from gan_jax.checks import AT_LEAST_1, NOT_NEGATIVE, check_bound
from gan_jax.errors import Refusal
from gan_jax.games import GameState, Optimizers, Outcome, PlayerOutcome, Weights
from gan_jax.losses import AdversarialLoss, r1
from gan_jax.systems.checks import (
    blank,
    check_examples,
    check_gradients,
    check_made,
    check_networks,
    check_shape,
    output_bound,
    take,
    take_floats,
    take_integers,
)
from gan_jax.systems.gan import OTHER_LOSSES, logits
from gan_jax.systems.gan_cls import differ, neighbours, per_example
from gan_jax.systems.networks import (
    Latents,
    check_latents,
    first,
    infer,
    join,
    of_part,
    part,
    start,
    train,
)
from gan_jax.typing import Batch, KeyArray

CRITICS = ("image", "video")


@dataclass(frozen=True, kw_only=True, eq=False)
class TFGAN:
    """Let a generator make clips x of texts t, judged frame by frame and as they move.

    The encoder E makes of t embeddings of content c and of motion m, and filters for either critic.
    D_I gives each frame a logit, under c and the filters of content; D_V each clip one, under m and
    the filters of motion. With the three curves of `loss`, for each D of both,

        L_D = mean real(D(x, t)) + ½ mean fake(D(x, t')) + ½ mean fake(D(G(z, c, m), t))
              + γ mean ‖∇ₓ D(x, t)‖²,
        L_G = mean generator(D_I(G(z, c, m), t)) + mean generator(D_V(G(z, c, m), t)),

    and the discriminator's loss is the sum of both L_D. Means are over clips, and over frames too
    for D_I. t' is the text of the neighbour, the example before; one with the same text makes no
    wrong pair, and the fake of its place counts 1 instead of ½, as in `gan_cls`. The authors take
    any other line of their texts. γ is the `gradient_penalty`; as in their code its gradient is
    that of the sum of a clip's logits, so for D_I squares are summed over frames, and nothing is
    halved. γ = 0 computes none.

    E belongs to the discriminator, whose params are {"encoder": ..., "image": ..., "video": ...}.
    The generator reads c and m under `stop_gradient`: neither loss moves E through a fake's own
    pixels. The authors move D_I, then D_V, each with E and fakes of its own. Here one move of the
    player moves all three, on the same fakes: our choice, by which the game is one function. They
    also add noise of U(0, 1/128) to real clips; we do not.

    E is called on tokens and returns (c, m, filters of content, filters of motion), the filters
    tuples of any arrays, one row for each text, or (); D_I is called as (clips, c, *filters), D_V
    as (clips, m, *filters), G as (latents, c, m).

    Balaji et al. 2019, and the authors' code.

    >>> import jax, optax
    >>> from functools import partial
    >>> from gan_jax import games, losses, nets
    >>> from gan_jax.systems import TFGAN, networks
    >>> generator = nets.TFGANGenerator(num_frames=4, size=8, channels=3, width=16, dim=64)
    >>> system = TFGAN(
    ...     generator=generator, latents=networks.normal(*generator.latent_shape),
    ...     encoder=nets.TextEncoder(num_words=40, dim=64, width=64, num_filters=8),
    ...     image_critic=nets.FilterCritic(16, by_frame=True), video_critic=nets.FilterCritic(16),
    ...     loss=losses.non_saturating())
    >>> batch = {"video": jax.numpy.zeros((2, 4, 8, 8, 3)), "text": jax.numpy.ones((2, 16), int)}
    >>> adam = optax.adam(1e-4, b1=0.0, b2=0.99)
    >>> optimizers = games.Optimizers(generator=adam, discriminator=adam)
    >>> init = partial(system.init, optimizers=optimizers)
    >>> state = jax.eval_shape(init, jax.random.key(0), batch)
    >>> step = partial(games.alternating_step, game=system.game, optimizers=optimizers)
    >>> state, metrics = jax.eval_shape(step, jax.random.key(1), state, batch)
    >>> weights = state.discriminator.weights
    >>> content, motion = jax.eval_shape(system.embed, weights, batch["text"])
    >>> content.shape, motion.shape
    ((2, 64), (2, 64))

    Raises:
        ValueError: what is given is no network, loss or latents, or γ is negative or not finite.
    """

    generator: nn.Module
    encoder: nn.Module
    image_critic: nn.Module
    video_critic: nn.Module
    loss: AdversarialLoss
    latents: Latents
    gradient_penalty: float = 10.0
    video: str = "video"
    text: str = "text"

    def __post_init__(self) -> None:
        check_networks(generator=self.generator, encoder=self.encoder)
        check_networks(image_critic=self.image_critic, video_critic=self.video_critic)
        check_made(AdversarialLoss, "losses.non_saturating()", OTHER_LOSSES, loss=self.loss)
        check_latents(self.latents)
        check_bound(NOT_NEGATIVE, gradient_penalty=self.gradient_penalty)

    def game(
        self, *, generator: Weights, discriminator: Weights, batch: Batch, key: KeyArray
    ) -> Outcome:
        """Play one round, for any step of `gan_jax.games`.

        Metrics of the discriminator are the terms of its loss, and sum to it: `image_real`,
        `image_wrong`, `image_fake`, `image_penalty` where γ > 0, and those of `video`; of the
        generator `image` and `video`.

        Raises:
            ValueError: the batch lacks a field, its clips are no floating-point numbers or not of
                the generator's shape, its tokens no whole numbers; the weights are another
                network's.
        """
        keys = jax.random.split(key, 5)
        real, text = take_floats(batch, self.video), take_integers(batch, self.text)
        encoded, seen = of_part(train, "encoder")(self.encoder, discriminator, keys[0], text)
        read = jax.lax.stop_gradient(encoded[:2])
        latents = self.latents(keys[1], len(real))
        made, after = train(self.generator, generator, keys[2], latents, *read)
        fake = first(made)
        check_shape(real, fake, self.video)
        told, wrong = _told(encoded), differ(text, neighbours(text))
        terms, answers = {}, {}
        for name, key_critic in zip(CRITICS, keys[3:], strict=True):
            judged, answer, seen = self._judge(
                name, seen, key_critic, real, fake, told[name], wrong
            )
            terms |= {f"{name}_{term}": jnp.mean(value) for term, value in judged.items()}
            answers[name] = jnp.mean(self.loss.generator(answer))
        return Outcome(
            generator=PlayerOutcome(sum(answers.values(), jnp.zeros(())), after.state, answers),
            discriminator=PlayerOutcome(sum(terms.values(), jnp.zeros(())), seen.state, terms),
        )

    def init(self, key: KeyArray, batch: Batch, *, optimizers: Optimizers) -> GameState:
        """Draw the weights of all four networks. Of the batch shapes count, and what it holds, as
        for a `GAN`.

        Raises:
            ValueError: the batch lacks a field or holds what is out of range; the encoder does not
                return four things; the generator makes clips of another shape; a critic does not
                give each frame, or each clip, one number, or has batch normalisation under a
                gradient penalty.
        """
        keys = jax.random.split(key, 5)
        check_examples(batch, self.video, output_bound(self.generator), "generator")
        take_integers(batch, self.text)
        encoded, encoder = start(self.encoder, keys[0], blank(batch, self.text))
        if not isinstance(encoded, tuple) or len(encoded) != 4:
            raise Refusal(
                "The encoder must return (content, motion, filters of content, filters of motion), "
                "as nets.TextEncoder does; without filters give two empty tuples."
            )
        latents = self.latents(keys[1], 1)
        made, generator = start(self.generator, keys[2], latents, *encoded[:2])
        fake, told, parts = first(made), _told(encoded), {"encoder": encoder}
        check_shape(take(batch, self.video), fake, self.video)
        for name, key_critic in zip(CRITICS, keys[3:], strict=True):
            judged, parts[name] = start(self._critic(name), key_critic, fake, *told[name])
            _check_logits(name, fake, first(judged))
        players = {"generator": generator, "discriminator": join(parts)}
        if self.gradient_penalty and any("batch_stats" in parts[name].state for name in CRITICS):
            check_gradients(self.game, **players, batch=batch, key=key)
        return games.init(**players, optimizers=optimizers)

    def embed(
        self, weights: Weights, tokens: Int[Array, "num length"], *, key: KeyArray | None = None
    ) -> tuple[Float[Array, "num *content"], Float[Array, "num *motion"]]:
        """Content and motion of texts, for `sample`, by the discriminator's weights.

        Without a key the encoder's random streams, if it has any, are always the same.

        Raises:
            ValueError: the weights are another network's.
        """
        content, motion, *_ = infer(self.encoder, part(weights, "encoder"), tokens, key=key)
        return content, motion

    def sample(
        self, key: KeyArray, weights: Weights, num: int, content: Array, motion: Array
    ) -> Float[Array, "num *shape"]:
        """Draw that many clips by the generator's weights, one of each content and motion.

        Raises:
            ValueError: `num` is below 1, or not the number of embeddings; the weights are another
                network's.
        """
        check_bound(AT_LEAST_1, num=num)
        if not len(content) == len(motion) == num:
            raise Refusal(
                f"There are {len(content)} contents and {len(motion)} motions for {num} clips: "
                "give as many of each."
            )
        key_latents, key_network = jax.random.split(key)
        latents = self.latents(key_latents, num)
        return self.generate(weights, latents, content, motion, key=key_network)

    def generate(
        self,
        weights: Weights,
        latents: Array,
        content: Array,
        motion: Array,
        *,
        key: KeyArray | None = None,
    ) -> Float[Array, "num *shape"]:
        """What the generator makes of these latents, one for each content and motion.

        Without a key the generator's random streams, if it has any, are always the same.

        Raises:
            ValueError: the weights are another network's.
        """
        return first(infer(self.generator, weights, latents, content, motion, key=key))

    def _critic(self, name: str) -> nn.Module:
        return {"image": self.image_critic, "video": self.video_critic}[name]

    def _judge(
        self,
        name: str,
        weights: Weights,
        key: KeyArray,
        real: Array,
        fake: Array,
        told: tuple[Array, ...],
        wrong: Array,
    ) -> tuple[dict[str, Array], Array, Weights]:
        """The terms of one critic, what it says of fakes, and the weights that this leaves."""
        keys = jax.random.split(key, 4)

        def judge(weights: Weights, key: KeyArray, x: Array, *told: Array) -> tuple[Array, Weights]:
            output, after = of_part(train, name)(self._critic(name), weights, key, x, *told)
            return logits(output), after

        of_real, seen = judge(weights, keys[0], real, *told)
        of_wrong, seen = judge(seen, keys[1], real, *map(neighbours, told))
        of_fake, seen = judge(seen, keys[2], fake, *told)
        share = per_example(wrong, of_fake) / 2
        terms = {
            "real": self.loss.real(of_real),
            "wrong": share * self.loss.fake(of_wrong),
            "fake": (1 - share) * self.loss.fake(of_fake),
        }
        if self.gradient_penalty:
            slopes = r1(lambda x: judge(seen, keys[3], x, *told)[0], real)
            terms["penalty"] = self.gradient_penalty * slopes
        return terms, of_fake, seen


def _told(encoded: Any) -> dict[str, tuple[Array, ...]]:
    """What each critic is told of a text: an embedding and filters."""
    content, motion, of_frames, of_clips = encoded
    return {"image": (content, *of_frames), "video": (motion, *of_clips)}


def _check_logits(name: str, x: Array, judged: Any) -> None:
    shape = {"image": x.shape[:2], "video": x.shape[:1]}[name]
    if jnp.shape(judged) != shape:
        raise Refusal(
            f"The {name} critic gives clips of shape {x.shape} logits of shape "
            f"{jnp.shape(judged)}; they must be {shape}, one for each "
            f"{'frame' if name == 'image' else 'clip'}."
        )
