"""GAN-CLS and GAN-INT (Reed et al. 2016).    python -m experiments.text_to_image

Draws pictures of sentences, whose encoder it learns first, as `char_cnn_rnn` does, or takes from
another run by --encoder. Of shapes an oracle reads what is in each picture: the share of samples
whose shape, colour and size are what their sentence says, of seen and of held-out combinations.
The picture has sentences above their images, and the way from one sentence to another. A run draws
yours: `python -m experiments.sample RUN --text "a large red circle in the upper left"`.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from experiments.harness import command, options, play, telling
from experiments.harness.bounds import Count, Share, Size
from gan_jax.nets import TextToImageDiscriminator, TextToImageGenerator
from gan_jax.systems import GAN, gan_cls, interpolated, networks
from gan_jax.training import batch_shapes
from gan_jax.typing import Batch


@dataclass(frozen=True, kw_only=True)
class Config(telling.TellingOptions):
    matching: bool = True
    """Let the critic reject real pictures under wrong sentences, too (CLS)."""
    interpolation: Share | None = None
    """Let the generator answer for embeddings between those of two sentences, too (INT)."""
    width: Size = 16
    """Channels of the generator's last hidden layer, and of the critic's first one."""
    steps: Count = 4_000


SHAPES = Config()
CONFIGS = {
    "shapes": SHAPES,
    "gan": replace(SHAPES, matching=False),
    "int": replace(SHAPES, matching=False, interpolation=0.5),
    "int_cls": replace(SHAPES, interpolation=0.5),
}
TABLES = {"terms": CONFIGS}


def build(config: Config, batch: Batch) -> GAN:
    told = {"dtype": config.network_dtype, "axis_name": config.axis_name}
    sizes = {"width": config.width, "text_dim": config.text_dim, "num_residual": 0, **told}
    side, _, channels = batch["image"].shape[1:]
    loss = play.LOSSES[config.loss]()
    players = {
        "generator": TextToImageGenerator(side, channels, **sizes),
        "discriminator": TextToImageDiscriminator(**sizes),
        "loss": loss,
        "latents": networks.normal(config.latent_dim),
    }
    beta = config.interpolation
    if config.matching:
        return gan_cls(interpolation=beta, **players)
    terms = {} if beta is None else {"interpolation": interpolated(loss, beta)}
    return GAN(conditions=("text",), generator_terms=terms, **players)


teller = telling.drawing


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Learn to encode sentences, learn to draw what they say, and score what is drawn."""
    config = config.with_encoder()
    captions = config.captions()
    joint, splits = config.joint_embedding(), config.splits(captions)
    system = build(config, batch_shapes(config.caption_feed(captions)))
    keep = config.keeping_encoder(joint, captions)
    judge = telling.judging(config, telling.Teller(config, system), splits)
    result = config.train_phases(
        [
            *config.text_phases(joint, captions),
            config.told_phase("gan", config.key("init"), config.steps, system, captions, keep),
        ],
        telling.evaluating(config, splits, judge),
        workdir=workdir,
        fresh=fresh,
    )
    return result.says(telling.said(result.metrics))


if __name__ == "__main__":
    command.main("text_to_image", run, CONFIGS, __doc__ or "")
