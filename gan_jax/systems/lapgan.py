"""LAPGAN: a Laplacian pyramid of GANs, each a game of its own (Denton et al. 2015)."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.games import GameState, Optimizers, Weights, together
from gan_jax.signals.filters import mean_down, nearest_up
from gan_jax.signals.images import Resample, enlarged, laplacian_pyramid
from gan_jax.systems.checks import check_examples, check_made, output_bound, take, take_floats
from gan_jax.systems.gan import GAN
from gan_jax.systems.networks import Latents, fixed
from gan_jax.typing import Batch, KeyArray, Step

COARSE = "coarse"
"""The condition of every level but the last: u(I_{k+1})."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LAPGAN:
    """Make the coarsest image, and add to it, level by level, what each halving has lost.

    Î_K = G_K(z_K, y),    Î_k = u(Î_{k+1}) + G_k(z_k, u(Î_{k+1}), y)    for k = K - 1, ..., 0.

    `size` is the height and width of I_0; odd sides are halved as `laplacian_pyramid` does.
    `levels` are the games of k = 0, ..., K, the finest first. Each but the last has the band
    h_k = I_k - u(I_{k+1}) for its examples and "coarse" for its first condition, u(I_{k+1}); the
    last has I_K, and no such condition. Both come from the pyramid of the batch's images, by d =
    `down` and u = `up`. Further conditions y, such as "label", are those of the batch, and the same
    for every level. No level plays with what another has made, so that they are trained in any
    order, or at once, as `step` does. Fakes have the conditions of the batch's own images, where
    the authors' code draws other ones for them.

    What there is several of is a dict by the names "level0", ..., "levelK": states, weights.

    >>> import jax, optax
    >>> from functools import partial
    >>> from gan_jax import games, losses, nets
    >>> from gan_jax.systems import GAN, LAPGAN, networks
    >>> fine = GAN(
    ...     generator=nets.LAPGANGenerator(1, 2), discriminator=nets.LAPGANDiscriminator(2),
    ...     loss=losses.non_saturating(), latents=networks.uniform(9, 9, 1), conditions=("coarse",))
    >>> base = GAN(
    ...     generator=nets.LAPGANBaseGenerator((5, 5, 1), (4,)),
    ...     discriminator=nets.LAPGANBaseDiscriminator((4,)),
    ...     loss=losses.non_saturating(), latents=networks.uniform(3))
    >>> system = LAPGAN(size=(9, 9), levels=(fine, base))
    >>> batch = {"image": jax.numpy.zeros((8, 9, 9, 1))}
    >>> sgd = games.Optimizers(generator=optax.sgd(0.1), discriminator=optax.sgd(0.1))
    >>> state = jax.jit(partial(system.init, optimizers=sgd))(jax.random.key(0), batch)
    >>> step = system.step(
    ...     lambda level: partial(games.simultaneous_step, game=level.game, optimizers=sgd))
    >>> state, metrics = jax.jit(step)(jax.random.key(1), state, batch)
    >>> weights = {name: of_level.generator.weights for name, of_level in state.items()}
    >>> make = jax.jit(system.making, static_argnums=2)
    >>> [made.shape for made in make(jax.random.key(2), weights, 2)]
    [(2, 5, 5, 1), (2, 9, 9, 1)]

    Denton et al. 2015, equations (3) and (5).

    Raises:
        ValueError: a side is below 1; a level is no `GAN`, or there is none; its field or its
            conditions are not those said above; the last has no latents.
    """

    size: tuple[int, int]
    levels: tuple[GAN, ...]
    down: Resample = mean_down
    up: Resample = nearest_up

    def __post_init__(self) -> None:
        height, width = self.size
        check_bound(AT_LEAST_1, **{"size[0]": height, "size[1]": width})
        check_bound(AT_LEAST_1, **{"The number of levels": len(self.levels)})
        check_made(GAN, "systems.GAN(...)", {}, **self.named)
        *finer, last = self.named
        expected = dict.fromkeys(finer, (COARSE, *self.conditions)) | {last: self.conditions}
        for name, level in self.named.items():
            if (level.field, level.conditions) != (self.field, expected[name]):
                raise Refusal(
                    f"{name} has the field {level.field!r} and the conditions {level.conditions}, "
                    f"and should have {self.field!r} and {expected[name]}: all have the field and "
                    f"the conditions of the last, and all but the last {COARSE!r} in front of them."
                )
        if self.levels[-1].latents is None:
            raise Refusal(
                "The last level has no latents: give it some, such as networks.uniform(100)."
            )

    @property
    def field(self) -> str:
        """The images' name in a batch."""
        return self.levels[-1].field

    @property
    def conditions(self) -> tuple[str, ...]:
        """What an image depends on besides latents."""
        return self.levels[-1].conditions

    @property
    def named(self) -> dict[str, GAN]:
        """The levels by their names, the finest first."""
        return {f"level{k}": level for k, level in enumerate(self.levels)}

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each level's images: halves, rounded up."""
        height, width = self.size
        return [(-(-height >> k), -(-width >> k)) for k in range(len(self.levels))]

    def batches(self, batch: Batch) -> dict[str, Batch]:
        """What each level is trained on: its bands, the coarser images, enlarged, and y.

        Raises:
            ValueError: the batch lacks a field, or holds no floating-point images that can be
                halved as often as there are levels.
        """
        images = take_floats(batch, self.field)
        if images.ndim != 4 or images.shape[1:3] != self.size:
            raise Refusal(
                f"The batch's `{self.field}` holds examples of shape {images.shape[1:]}, the "
                f"levels make images of {self.size[0]} x {self.size[1]}: give the system the "
                "data's size, and images their channels."
            )
        given = {name: take(batch, name) for name in self.conditions}
        *bands, image = laplacian_pyramid(
            images, num_levels=len(self.levels), down=self.down, up=self.up
        )
        found = [{self.field: image, **given}]
        for band in reversed(bands):
            coarse = enlarged(image, band.shape, up=self.up)
            found.append({self.field: band, COARSE: coarse, **given})
            image = coarse + band
        return dict(zip(self.named, reversed(found), strict=True))

    def init(self, key: KeyArray, batch: Batch, *, optimizers: Optimizers) -> dict[str, GameState]:
        """Start the game of every level, each with these optimisers. Of the batch as `GAN.init`.

        Raises:
            ValueError: as `batches`, and as `GAN.init` for a level.
        """
        check_examples(batch, self.field, output_bound(self.levels[-1].generator), "generator")
        for name in self.conditions:
            check_examples(batch, name, None)
        shapes = jax.eval_shape(self.batches, dict(batch))
        return {
            name: level.init(key_level, shapes[name], optimizers=optimizers)
            for name, level, key_level in self._keyed(key)
        }

    def steps(self, play: Callable[[GAN], Step]) -> dict[str, Step]:
        """Make each level's step, which finds its own share in a batch of whole images.

        `play` says how a level is played: `lambda level: partial(games.alternating_step,
        game=level.game, optimizers=...)`.
        """

        def of_level(name: str, move: Step) -> Step:
            return lambda key, state, batch: move(key, state, self.batches(batch)[name])

        return {name: of_level(name, play(level)) for name, level in self.named.items()}

    def step(self, play: Callable[[GAN], Step]) -> Step:
        """Move all levels at once, on the same images, by keys of their own: one program."""
        return together(self.steps(play))

    def sample(
        self, key: KeyArray, weights: Mapping[str, Weights], num: int, *conditions: Any
    ) -> Float[Array, "num height width channels"]:
        """Draw images by the generators' weights, level by level, under that many of each y.

        Raises:
            ValueError: `num` is below 1, or as `GAN.sample` for a level.
        """
        return self.making(key, weights, num, *conditions)[-1]

    def making(
        self, key: KeyArray, weights: Mapping[str, Weights], num: int, *conditions: Any
    ) -> tuple[Float[Array, "num _ _ channels"], ...]:
        """The images of `sample` as they stand after each level, the coarsest first."""
        check_bound(AT_LEAST_1, num=num)
        self.levels[-1].check_conditions(conditions, num)
        key_latents, key_networks = jax.random.split(key)
        latents = self.latents(key_latents, num)
        return tuple(self._made(weights, latents, conditions, key_networks))

    def latents(self, key: KeyArray, num: int) -> Float[Array, "num numbers"]:
        """Draw the latents of all levels, joined to one row an image: what walks go between."""
        drawn = [
            level.latents(key_level, num).reshape(num, -1)
            for _, level, key_level in self._keyed(key)
            if level.latents is not None
        ]
        return jnp.concatenate(drawn, axis=1)

    def generate(
        self,
        weights: Mapping[str, Weights],
        latents: Float[Array, "num numbers"],
        *conditions: Any,
        key: KeyArray | None = None,
    ) -> Float[Array, "num height width channels"]:
        """What the levels make of these latents. Keys and errors as of `GAN.generate`."""
        *_, finest = self._made(weights, latents, conditions, fixed(key))
        return finest

    def _keyed(self, key: KeyArray) -> list[tuple[str, GAN, KeyArray]]:
        """The levels and their names, with a key for each."""
        keys = jax.random.split(key, len(self.levels))
        return [(*named, own) for named, own in zip(self.named.items(), keys, strict=True)]

    def _made(
        self, weights: Mapping[str, Weights], latents: Array, given: tuple[Any, ...], key: KeyArray
    ) -> Iterator[Array]:
        """The images after each level, from the coarsest on."""
        if set(weights) != set(self.named):
            raise Refusal(
                f"The weights are those of {', '.join(map(str, weights))}; give the generator's "
                f"weights of each level: {', '.join(self.named)}."
            )
        parts = zip(self._keyed(key), self._split(latents), self.sizes, strict=True)
        *finer, ((name, base, key_base), z, _) = parts
        image = base.generate(weights[name], z, *given, key=key_base)
        yield image
        for (name, level, key_level), z, size in reversed(finer):
            coarse = enlarged(image, (len(image), *size, image.shape[-1]), up=self.up)
            image = coarse + level.generate(weights[name], z, coarse, *given, key=key_level)
            yield image

    def _split(self, latents: Array) -> list[Array | None]:
        """The latents of each level, of its own shape."""
        shapes = [_shape(level.latents) for level in self.levels]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        if latents.shape[1:] != (ends[-1],):
            raise Refusal(
                f"The latents have the shape {latents.shape}; those of all levels are rows of "
                f"{ends[-1]} numbers: draw them by `latents`."
            )
        rows = jnp.split(latents, ends[:-1], axis=1)
        return [
            None if level.latents is None else row.reshape(len(row), *shape)
            for level, row, shape in zip(self.levels, rows, shapes, strict=True)
        ]


def _shape(latents: Latents | None) -> tuple[int, ...]:
    """Of one example; no numbers where there are no latents."""
    if latents is None:
        return (0,)
    return jax.eval_shape(lambda: latents(jax.random.key(0), 1)).shape[1:]
