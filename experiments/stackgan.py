"""StackGAN (Zhang et al. 2017).    python -m experiments.stackgan

Draws pictures of sentences in two stages, half as large and as large as --image-size, each a phase;
the second starts from the first one's images and leaves its weights as they are. Both go by what a
condition is drawn from, whose mean and variance they learn (conditioning augmentation). Encoder,
scores, picture and commands as for `text_to_image`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax

from experiments.harness import command, encoders, options, play, telling
from experiments.harness.bounds import Count, Share, Size, Weight
from gan_jax.errors import Refusal
from gan_jax.games import Weights, averaged
from gan_jax.nets import StageOneGenerator, StageTwoGenerator, TextToImageDiscriminator
from gan_jax.systems import GAN, gan_cls, networks, stackgan
from gan_jax.training import Evaluation, batch_shapes
from gan_jax.typing import Batch, KeyArray, PyTree

KEPT = ("encoder", "text")


@dataclass(frozen=True, kw_only=True)
class Config(telling.TellingOptions):
    image_size: Size | None = 64
    augmentation: bool = True
    """Draw the condition around what the sentence says; without it, it is the mean."""
    kl_weight: Weight | None = None
    """Of the divergence from N(0, I); by default 2 / --text-dim, as in the authors' code, where the
    paper has 1."""
    interpolation: Share | None = None
    """Let the generators answer for embeddings between those of two sentences, too (INT)."""
    width: Size = 16
    """Channels of the first stage's last hidden layer, of the second's first, and the critics'."""
    num_residual: Size = 2
    """Blocks of the second stage."""
    stage_one_steps: Count = 3_000
    """Steps of the first stage; --steps are those of the second."""
    steps: Count = 1_500

    @property
    def half(self) -> "Config":
        """The configuration of the first stage, of images half as large."""
        if self.side % 2:
            raise Refusal(
                f"--image-size is {self.side}, but the second stage doubles the first one's "
                f"images: give an even one, such as {self.side + 1}."
            )
        return replace(self, image_size=self.side // 2)


SHAPES = Config()
CONFIGS = {"shapes": SHAPES, "plain": replace(SHAPES, augmentation=False)}
SMALL = {"image_size": 32, "stage_one_steps": 4_000}
TABLES = {
    "augmentation": {f"small_{name}": replace(config, **SMALL) for name, config in CONFIGS.items()}
}


def build(config: Config, batch: Batch) -> GAN:
    """The stage that makes images of the batch's size."""
    told = {"dtype": config.network_dtype, "axis_name": config.axis_name}
    sizes = {"width": config.width, "text_dim": config.text_dim, **told}
    stage = {**sizes, "augmentation": config.augmentation}
    side, _, channels = batch["image"].shape[1:]
    generator = StageOneGenerator(config.half.side, channels, num_residual=0, **stage)
    if side == config.side:
        first = networks.Frozen(generator)
        generator = StageTwoGenerator(
            first, num_doublings=1, num_residual=config.num_residual, **stage
        )
    weight = 2 / config.text_dim if config.kl_weight is None else config.kl_weight
    play_stage = partial(stackgan, weight=weight) if config.augmentation else gan_cls
    return play_stage(
        generator=generator,
        discriminator=TextToImageDiscriminator(**sizes, num_residual=0),
        loss=play.LOSSES[config.loss](),
        latents=networks.normal(config.latent_dim),
        interpolation=config.interpolation,
    )


teller = telling.drawing


def keep_stage_one(before: PyTree, weights: Weights) -> Weights:
    """Keep with the second stage's weights the first stage, and the encoder that it has kept."""
    first = averaged(before).generator
    own = {name: value for name, value in first.state.items() if name != "frozen"}
    weights = networks.freeze(weights, first.replace(state=own), "stage_one")
    return kept_of(first, weights)


def stage_one_of(weights: Weights) -> Weights:
    """The first stage's weights, which those of the second keep."""
    variables = dict(weights.state["frozen"]["stage_one"]["variables"])
    return kept_of(weights, Weights(params=variables.pop("params"), state=variables))


def kept_of(old: Weights, new: Weights) -> Weights:
    return encoders.keeping(new, **{name: old.state["frozen"][name] for name in KEPT})


def judging_both(one: telling.Judge, two: telling.Judge) -> telling.Judge:
    """Judge the first stage, and from the second on both."""
    of_small: dict[str, Any] = {}

    def judge(key: KeyArray, weights: Weights) -> Evaluation:
        if "stage_one" not in weights.state["frozen"]:
            return one(key, weights)
        if not of_small:  # it does not change any more
            small = one(key, stage_one_of(weights)).metrics
            of_small.update({f"stage_one/{name}": value for name, value in small.items()})
        large = two(key, weights)
        return large._replace(metrics={**large.metrics, **of_small})

    return judge


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Learn to encode sentences, then to draw what they say, small and large; score both."""
    config = config.with_encoder()
    small, large = config.half.captions(), config.captions()
    joint = config.joint_embedding()
    systems = {
        "one": build(config, batch_shapes(config.half.caption_feed(small))),
        "two": build(config, batch_shapes(config.caption_feed(large))),
    }
    splits = config.half.splits(small)
    judges = (
        telling.judging(config.half, telling.Teller(config.half, systems["one"]), splits),
        telling.judging(config, telling.Teller(config, systems["two"]), config.splits(large)),
    )
    keep = config.keeping_encoder(joint, small)
    first, second = jax.random.split(config.key("init"))
    result = config.train_phases(
        [
            *config.half.text_phases(joint, small),
            config.half.told_phase(
                "one", first, config.stage_one_steps, systems["one"], small, keep
            ),
            config.told_phase("two", second, config.steps, systems["two"], large, keep_stage_one),
        ],
        telling.evaluating(config.half, splits, judging_both(*judges)),
        workdir=workdir,
        fresh=fresh,
    )
    return result.says(said(result.metrics))


def said(metrics: Mapping[str, Any]) -> str:
    """What the scores of both stages are, where an oracle reads the first one's pictures."""
    large = telling.said(metrics)
    if "stage_one/seen/all" not in metrics:
        return large
    small = "the first stage: {stage_one/seen/all:.1%} and {stage_one/held_out/all:.1%}"
    return f"{large}; {small.format_map(metrics)}"


if __name__ == "__main__":
    command.main("stackgan", run, CONFIGS, __doc__ or "")
