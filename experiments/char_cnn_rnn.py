"""The char-CNN-RNN (Reed, Akata, Lee & Schiele 2016).    python -m experiments.char_cnn_rnn

Learns to read sentences by their characters, so that each scores highest with the images that it
describes, and each image with its sentences. Scored among all sentences and images, of seen and of
held-out scenes. The picture has unseen sentences, with the images that score highest. The run may
be the encoder of others: `python -m experiments.text_to_image --encoder runs/char_cnn_rnn`.
"""

from dataclasses import dataclass
from pathlib import Path

from experiments.harness import command, encoders, options
from experiments.harness.bounds import Count, Size
from gan_jax.systems import JointEmbedding
from gan_jax.typing import Batch


@dataclass(frozen=True, kw_only=True)
class Config(encoders.EncoderOptions):
    batch_size: Size = 64
    """Pairs of an image and a sentence in each step."""
    steps: Count = 3_000
    steps_per_dispatch: Count = 25
    evaluate_every: Count = 500
    checkpoint_every: Count = 500


CONFIGS = {"shapes": Config()}


def build(config: Config, batch: Batch) -> JointEmbedding:
    return config.joint_embedding()


def run(config: Config, workdir: Path, *, fresh: bool = False) -> options.Result:
    """Train both encoders, and let them find what belongs together."""
    captions = config.captions()
    feed = config.encoder_feed(captions)
    system = config.joint_embedding()
    find = encoders.finder(system, config.splits(captions), config.length)
    result = config.train(
        config.encoder_step(system),
        config.encoder_start(system, config.key("init"), feed),
        feed,
        lambda key, state: find(state.player.weights),
        workdir=workdir,
        fresh=fresh,
        shown=("loss", "image_to_text", "text_to_image"),
    )
    said = (
        "{held_out/image_to_text:.1%} of images of held-out scenes find their sentences, and "
        "{held_out/text_to_image:.1%} of the sentences such an image; of seen scenes "
        "{seen/image_to_text:.1%} and {seen/text_to_image:.1%}"
    )
    return result.says(said.format_map(result.metrics))


if __name__ == "__main__":
    command.main("char_cnn_rnn", run, CONFIGS, __doc__ or "")
