"""Text to video with a gist (Li et al. 2018).    python -m experiments.text_to_video

Makes short clips of what sentences say: a CVAE makes of each an image, the gist, and a GAN of both
a clip whose background is grown of the gist, and whose foreground of the gist filtered by the
sentence. Of shapes that move an oracle reads what is in each clip, and how it goes. The pictures
are the frames of clips below their sentences, and the clips as they move. A run makes yours:
`python -m experiments.sample RUN --text "A large red circle is moving in a zigzag path towards
east"`.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from experiments.harness import clip_telling, command, options, pictures, play
from experiments.harness.bounds import Count, Size, SizeOr0, Weight
from gan_jax import nets
from gan_jax.systems import GAN, text_to_video
from gan_jax.typing import Batch


@dataclass(frozen=True, kw_only=True)
class Config(clip_telling.ClipTellingOptions):
    cvae_weight: Weight = 10.0
    """Of the gist's likelihood and divergence, γ₁."""
    gan_weight: Weight = 1.0
    """Of the generator's adversarial loss, γ₂."""
    reconstruction_weight: Weight = 50.0
    """Of the clips' mean absolute error where the gist is drawn by its encoder, γ₃."""
    width: Size = 16
    """Channels of the generator's last hidden layers, and of the critic's first."""
    word_dim: Size = 300
    """Numbers of a word."""
    text_width: Size = 32
    """Channels of the convolutions over words."""
    text_dim: Size = 32
    """Numbers of the embeddings of a sentence, and to which the networks bring both."""
    gist_dim: Size = 16
    """Size of the latents that the gist is made of."""
    noise_dim: SizeOr0 = 16
    """Of further ones, for what else is left open."""
    steps: Count = 3_000
    batch_size: Size = 16
    learning_rate: float = 5e-4


SHAPES = Config()
CONFIGS = {
    "shapes": SHAPES,
    "table": replace(
        SHAPES, image_size=16, steps=1_500, evaluate_every=1_500, checkpoint_every=1_500
    ),
    "paper": replace(
        SHAPES,
        num_frames=32,
        image_size=64,
        width=64,
        text_width=512,
        text_dim=128,
        gist_dim=100,
        noise_dim=100,
        batch_size=64,
        learning_rate=2e-4,
        steps=100_000,
        halving_steps=100_000,
        evaluate_every=5_000,
        checkpoint_every=5_000,
    ),
}


def build(config: Config, batch: Batch) -> GAN:
    told = {"dtype": config.network_dtype, "axis_name": config.axis_name}
    sizes = {"width": config.width, "text_dim": config.text_dim, **told}
    num_frames, size, _, channels = batch["video"].shape[1:]
    pictures.check_halved(size, size)
    encoder = nets.TextEncoder(
        len(config.numbers),
        config.text_dim,
        config.text_width,
        config.word_dim,
        num_filters=0,
        dtype=config.network_dtype,
    )
    generator = nets.GistGenerator(num_frames, size, channels, gist_dim=config.gist_dim, **sizes)
    return text_to_video(
        generator=nets.Reading(generator, encoder),
        discriminator=nets.Reading(nets.TextToVideoDiscriminator(**sizes), encoder),
        loss=play.LOSSES[config.loss](),
        latent_dim=config.gist_dim + config.noise_dim,
        cvae_weight=config.cvae_weight,
        gan_weight=config.gan_weight,
        reconstruction_weight=config.reconstruction_weight,
    )


def teller(config: Config, system: GAN) -> clip_telling.ClipTeller:
    return clip_telling.ClipTeller(
        config,
        lambda key, players, tokens: system.sample(key, players.generator, len(tokens), tokens),
    )


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train, and score what clips show of what is said."""
    return clip_telling.run(config, build, teller, workdir, fresh=fresh)


if __name__ == "__main__":
    command.main("text_to_video", run, CONFIGS, __doc__ or "")
