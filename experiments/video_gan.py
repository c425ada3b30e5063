"""VGAN (Vondrick, Pirsiavash & Torralba 2016).    python -m experiments.video_gan

Makes short clips of what moves before a background that does not: by default of digits that move
over photographs, whose true masks are known. Scored by the distance of single frames, by how far
things go, and by how well the generator's masks show where they are. The pictures are the frames of
a few clips, with their masks below, and the clips as they move. With --from-image the generator
continues images, each the first frame of a clip.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.harness import command, options, pictures, play, runs, videos
from experiments.harness.bounds import Count, Rate, Size, Weight
from gan_jax import data, nets, plots, signals
from gan_jax.data import shapes
from gan_jax.errors import Refusal
from gan_jax.games import Weights, averaged
from gan_jax.systems import GAN, conditional_vgan, networks, vgan
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch, Feed, KeyArray

NUM_SCORED = 200
NUM_ROWS, NUM_MOVING = 4, 16


@dataclass(frozen=True, kw_only=True)
class Config(play.GameOptions, videos.VideoOptions):
    two_streams: bool = True
    """Make a background that stands still, and a mask of what moves, beside the foreground."""
    mask_weight: Weight | None = None
    """Of the mask's mean, for which the generator pays. Without it 3, where the paper has 0.1,
    which leaves so short a run with masks that show what stands still; and 0 for one stream, which
    has no masks, and where images are continued, as in the authors' code."""
    from_image: bool = False
    """Continue images, in place of latents; by two streams alone."""
    width: Size = 16
    """Channels of the generator's last hidden layers, and of the critic's first; 64 in the paper,
    128 where it continues images."""
    latent_dim: Size = 100
    """Size of the latents, which are normal; from images there are none."""
    steps: Count = 1_500
    batch_size: Size = 16
    learning_rate: float = 4e-4
    """The generator's, by Adam with beta1 0.5: 2e-4 in the paper."""
    discriminator_learning_rate: Rate | None = 1e-4
    """The discriminator's, the generator's own in the paper; ours is lower, as the discriminator is
    soon far ahead."""
    average_decay: float = 0.99
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 500
    checkpoint_every: Count = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.from_image and not self.two_streams:
            raise Refusal("--from-image takes two streams: leave out --no-two-streams.")
        if not self.two_streams and self.mask_weight:
            raise Refusal(
                f"--mask-weight is {self.mask_weight}, but one stream has no masks: leave it out."
            )

    @property
    def price(self) -> float:
        """Of a mask that is 1 everywhere."""
        if self.mask_weight is not None:
            return self.mask_weight
        return 3.0 if self.two_streams and not self.from_image else 0.0

    @property
    def fed(self) -> Feed:
        """Batches of `video`, with the first frame as `condition` where images are continued."""
        feed = self.video_feed()
        return data.map_feed(with_first_frame, feed) if self.from_image else feed


DIGITS = Config()
PAPER = Config(
    num_frames=32,
    image_size=64,
    mask_weight=0.1,
    width=64,
    batch_size=64,
    learning_rate=2e-4,
    discriminator_learning_rate=None,
    average_decay=0.0,
)
CONFIGS = {
    "digits": DIGITS,
    "one_stream": replace(DIGITS, two_streams=False),
    "free_mask": replace(DIGITS, mask_weight=0.0),
    "shapes": replace(DIGITS, dataset=videos.SHAPES),
    "from_image": replace(DIGITS, dataset=videos.SHAPES, from_image=True),
    "paper": replace(PAPER, steps=100_000, evaluate_every=5_000, checkpoint_every=5_000),
}
TABLES = {"streams": {name: CONFIGS[name] for name in ("digits", "free_mask", "one_stream")}}


def with_first_frame(key: KeyArray, batch: Batch) -> Batch:
    return {**batch, "condition": batch["video"][:, 0]}


def build(config: Config, batch: Batch) -> GAN:
    told = {"width": config.width, "dtype": config.network_dtype, "axis_name": config.axis_name}
    num_frames, size, _, channels = batch["video"].shape[1:]
    pictures.check_halved(size, size)
    critic, loss = nets.VideoDiscriminator(**told), play.LOSSES[config.loss]()
    if config.from_image:
        return conditional_vgan(
            generator=nets.ConditionalTwoStreamGenerator(num_frames, **told),
            discriminator=nets.Unconditional(critic),
            loss=loss,
            mask_weight=config.price,
        )
    made = {"discriminator": critic, "loss": loss, "latents": networks.normal(config.latent_dim)}
    if not config.two_streams:
        generator = nets.OneStreamGenerator(num_frames, size, channels, **told)
        return GAN(generator=generator, field="video", **made)
    generator = nets.TwoStreamGenerator(num_frames, size, channels, **told)
    return vgan(generator=generator, mask_weight=config.price, **made)


def evaluator(config: Config, system: GAN) -> options.Evaluate:
    """Make clips as many as there are unseen ones, show some, and compare."""
    real = config.examples("test", NUM_SCORED)
    given = [real["video"][:, 0]] if config.from_image else []
    score = scoring(config, real)

    @jax.jit
    def make(key: KeyArray, weights: Weights) -> Any:
        latents = [] if system.latents is None else [system.latents(key, len(real["video"]))]
        return networks.infer(system.generator, weights, *latents, *given)

    def evaluate(key, state) -> Evaluation:
        made = jax.tree.map(np.asarray, make(key, averaged(state).generator))
        clips, masks = made if isinstance(made, tuple) else (made, None)
        moving = plots.clip_grid(clips[:NUM_MOVING])
        return Evaluation({"clips": shown(clips, masks), "moving": moving}, score(clips, masks))

    return evaluate


def shown(clips: np.ndarray, masks: np.ndarray | None) -> plots.Picture:
    """Rows of frames, each with the masks of its clip below."""
    rows = clips[:NUM_ROWS]
    if masks is not None:
        white = np.broadcast_to(2 * masks[:NUM_ROWS] - 1, rows.shape)
        rows = np.stack([rows, white], axis=1).reshape(-1, *rows.shape[1:])
    return plots.frame_rows(rows)


def scoring(config: Config, real: Batch) -> Callable[[np.ndarray, Any], dict[str, float]]:
    """(clips, masks) -> numbers; those of real clips, which do not change, are among them."""
    unseen = np.asarray(real["video"])
    others = np.asarray(config.examples("train", len(unseen))["video"])
    of_real = {}
    if len(others) == len(unseen):
        of_real["real/frames"] = videos.frames_distance(unseen, others)
    if "mask" in real:
        truth = videos.read_masks(unseen)
        of_real["real/travelled"] = videos.travelled(truth)
        of_real["real/overlap"] = videos.overlap(truth, np.asarray(real["mask"]) > 0.5)
    read = jax.jit(shapes.read_attributes)

    def score(clips: np.ndarray, masks: np.ndarray | None) -> dict[str, float]:
        found = {**of_real, "frames": videos.frames_distance(unseen, clips)}
        if masks is not None:
            found["mask"] = float(np.mean(masks))
        if config.from_image:
            found["first_frame"] = float(np.mean(np.abs(clips[:, 0] - unseen[:, 0])))
        if "mask" in real:
            seen = videos.read_masks(clips)
            found["travelled"] = videos.travelled(seen)
            if masks is not None:
                found["overlap"] = videos.overlap(seen, masks > 0.5)
        if "codes" in real:
            there = {name: np.asarray(value) for name, value in read(clips).items()}
            found |= {f"readable/{name}": float(np.mean(v != -1)) for name, v in there.items()}
            if config.from_image:
                said = dict(zip(shapes.MOVING_ATTRIBUTES, real["codes"][:, 0].T, strict=True))
                found |= {
                    f"kept/{name}": float(np.mean(there[name] == said[name]))
                    for name in ("size", "colour", "shape")
                }
        return found

    return score


def translators(config: Config, system: GAN, batch: Batch) -> dict[str, runs.Translator]:
    """Continue a user's own pictures: shorter sides are resized, and centres taken, as of clips."""
    if not config.from_image:
        return {}
    generate = jax.jit(system.generate)

    def translate(key, weights, images) -> jax.Array:
        size, sides = config.image_size, images.shape[1:3]
        height, width = (round(side * size / min(sides)) for side in sides)
        resized = signals.resize(images, (height, width))
        return generate(weights, None, signals.unpad(resized, (size, size)))

    return {"forth": runs.Translator(batch["condition"].shape[-1], translate)}


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and compare what is made with unseen clips."""
    feed = config.fed
    system = build(config, batch_shapes(feed))
    result = config.play(
        system, feed, evaluator(config, system), workdir=workdir, fresh=fresh, unit="clips"
    )
    said = "frames differ by {frames:.1f} (sliced Wasserstein, times 1,000)"
    if "real/frames" in result.metrics:
        said += ", real ones by {real/frames:.1f}"
    if "travelled" in result.metrics:
        said += "; digits go {travelled:.2f} of the side, real ones {real/travelled:.2f}"
    if "overlap" in result.metrics:
        said += "; masks overlap with them by {overlap:.1%}"
    if "kept/shape" in result.metrics:
        said += "; {kept/shape:.1%} of clips keep the shape, {kept/colour:.1%} the colour"
    return result.says(said.format_map(result.metrics))


if __name__ == "__main__":
    command.main("video_gan", run, CONFIGS, __doc__ or "")
