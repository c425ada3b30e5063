"""What the experiments on GANs of images claim is found, in few steps."""

import re
from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments import (
    adda,
    conditional_gan,
    cyclegan,
    dcgan,
    dcgan_features,
    lapgan,
    latents,
    likelihood,
    measures,
    pix2pix,
    project,
    stylegan2,
    supports,
    wgan,
)
from experiments.harness import features, options, runs
from gan_jax import data
from tests.experiments.claims import lasting, measured

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def of_digits(tmp_path_factory):
    config = lasting(dcgan.CONFIGS["table"], 200, evaluations=2)
    folder = tmp_path_factory.mktemp("dcgan")
    dcgan.run(replace(config, evaluate=("fid",), width=16), folder)
    return folder


def test_a_dcgan_nears_the_digits(of_digits):
    fid = measured(of_digits, "lenet/fid")
    assert fid[200] < 0.8 * fid[100]


def test_a_kernel_estimate_falls_short_of_a_generator_s_likelihood(of_digits):
    chosen = likelihood.Options(run=str(of_digits), num_temperatures=50, num_samples=2_000)
    run = runs.of_latents_alone(chosen)
    images = run.config.images("test")[np.arange(5)]["image"]
    samples = likelihood.samples_of(chosen.key, run, chosen.num_samples)
    found = likelihood.likelihoods(chosen.key, run, images, samples, chosen)
    assert found["annealed (nats)"].mean > found["kernel estimate (nats)"].mean + 10


def test_on_a_walk_images_change_evenly_and_a_stroke_weight_can_be_added(of_digits):
    """A jump would be ten times the mean change; of random images some are thick b, too."""
    run = runs.opened(runs.RunAgain(run=str(of_digits)))
    judge = features.train_classifier(run.config.images(crop="center"))
    space = latents.explored(jax.random.key(0), run, judge)
    chance = np.random.default_rng(0)
    for way in ("straight", "spherical"):
        assert latents.walked(space, chance, 100)[f"{way}: unevenness"] < 1.6
    scores, _ = latents.arithmetic(space, chance, 500)
    for other in ("chance", "thin b alone"):
        assert scores["sum: thick b"] > scores[f"{other}: thick b"] + 0.04
    assert scores["sum: class b"] > scores["chance: class b"] + 0.04


def test_a_critic_s_features_serve_a_linear_classifier_better_than_pixels(of_digits):
    """It is the architecture: an untrained critic's do as well."""
    table = dcgan_features.run(dcgan_features.Options(run=str(of_digits), num=300))
    accuracy = dict(re.findall(r"^(trained critic|pixels) +([\d.]+) ±", table, re.MULTILINE))
    assert float(accuracy["trained critic"]) > float(accuracy["pixels"])


def test_samples_are_taken_for_the_class_that_was_asked_for(tmp_path):
    config = lasting(conditional_gan.CONFIGS["digits"], 200)
    metrics = conditional_gan.run(replace(config, image_size=16), tmp_path).metrics
    assert metrics["accuracy"] > 0.25  # chance 0.1


def test_levels_of_a_pyramid_near_the_digits(tmp_path):
    config = lasting(lapgan.CONFIGS["digits"], 400, evaluations=4)
    lapgan.run(replace(config, evaluate=("fid",)), tmp_path)
    fid = measured(tmp_path, "lenet/fid")
    assert fid[400] < 0.85 * fid[100]


def test_of_larger_pictures_levels_are_nearer_to_real_ones_than_one_gan_alone(tmp_path, real):
    """On three draws of all keys an eighth to a half of the distance; after 100 steps up to 0.8."""
    kid = {}
    for name in ("pictures_four", "pictures_none"):
        config = lasting(lapgan.TABLES["picture_levels"][name], 150)
        config = replace(config, dataset=str(real / "emoji_unaligned/trainA"), evaluate=("kid",))
        kid[name] = lapgan.run(config, tmp_path / name).metrics["pixels/kid"]
    assert kid["pictures_four"] < 0.7 * kid["pictures_none"]


@pytest.fixture(scope="module")
def of_styles(tmp_path_factory):
    config = lasting(stylegan2.CONFIGS["table"], 768, evaluations=6)
    folder = tmp_path_factory.mktemp("stylegan2")
    stylegan2.run(replace(config, evaluate=("fid",)), folder)
    return folder


def test_styles_near_the_digits(of_styles):
    """On three seeds to 0.71, 0.62 and 0.43 of it."""
    fid = measured(of_styles, "lenet/fid")
    assert fid[768] < 0.8 * fid[128]


def test_a_style_is_found_for_what_a_run_makes_more_nearly_than_for_what_is_real(
    of_styles, tmp_path
):
    """By features and by pixels 10 to 12 times as near, of two runs; real ones are found, too."""
    chosen = project.Options(run=str(of_styles), num_steps=100, out=str(tmp_path / "found"))
    said = project.run(chosen)
    found = re.findall(r"10 (?:generated|real) +(\S+) +(\S+) +(\S+)", said)
    generated, real = np.array(found, float)
    assert (generated[:2] < real[:2] / 3).all()
    assert real[0] < real[2] / 2


@pytest.fixture(scope="module")
def without_normalisation(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in ("gan_plain", "wgan_plain")}
    for name, folder in folders.items():
        config = lasting(wgan.TABLES["generators"][name], 300)
        wgan.run(replace(config, evaluate=("fid",)), folder)
    return folders


def test_without_batch_normalisation_a_wgan_gets_nearer_to_the_digits_than_a_gan(
    without_normalisation,
):
    """LeNet-FID on four seeds 26 to 29, of the GAN 52 to 63; half as many steps are too few."""
    fid = {way: measured(run, "lenet/fid")[300] for way, run in without_normalisation.items()}
    assert fid["wgan_plain"] < 0.7 * fid["gan_plain"]


def test_once_a_critic_has_learned_its_estimate_falls(without_normalisation):
    """After half as many steps on three seeds to 0.71 to 0.75 of the largest."""
    _, estimates = wgan.estimates(without_normalisation["wgan_plain"])
    assert estimates.argmax() < len(estimates) / 2
    assert estimates[-1] < 0.85 * estimates.max()


def test_without_batch_normalisation_several_latents_have_one_image(without_normalisation):
    """After half as many steps of 11 to 18 % of the GAN's samples, 29 to 30 % of the WGAN's; of a
    DCGAN's, in the README, 1 %."""
    for folder in without_normalisation.values():
        opened = runs.opened(runs.RunAgain(run=str(folder)))
        assert supports.measured(opened, jax.random.key(0), 1)["several to one"] > 0.05


def test_digits_made_from_their_outlines_are_read(tmp_path):
    metrics = pix2pix.run(lasting(pix2pix.CONFIGS["edges"], 200), tmp_path).metrics
    assert metrics["read"] > 0.6


def test_colours_of_pictures_that_were_learned_come_back(tmp_path):
    """On four seeds 64 to 75 % are missed by then; of unseen parts 71 to 99 %."""
    config = lasting(pix2pix.CONFIGS["colourisation"], 300)
    state = pix2pix.run(config, tmp_path).state
    seen = options.first_examples(config.images(crop="center"), 100)["image"]
    batch = config.examples({"image": data.signed(seen)})
    system = pix2pix.build(config, batch)
    made = system.sample(jax.random.key(0), state.generator.weights, len(seen), batch["condition"])
    assert pix2pix.colours_missed(made, batch["target"]) < 0.9


def test_digits_that_became_those_of_other_hands_are_read_better_than_as_they_were(tmp_path):
    metrics = cyclegan.run(lasting(cyclegan.CONFIGS["digits"], 150), tmp_path).metrics
    assert metrics["read/translated"] > 1.5 * metrics["read/translated/unchanged"]
    fid = "lenet/fid/translated"
    assert metrics[fid] < metrics[f"{fid}/unchanged"] / 2


def test_without_cycles_and_by_them_alone_an_inversion_is_found_less_well(tmp_path):
    """Errors on three seeds, compiled in several ways: whole 0.08 to 0.09, the game alone 0.28 to
    0.39, cycles 0.26 to 0.56: which of these two is behind is the draw's, after 600 steps as well.
    Cycles miss by 0.09, of the game alone by 0.33 or more."""
    table = cyclegan.TABLES["ablation_inverted"]
    whole, game, cycles = (
        cyclegan.run(lasting(table[f"inverted_{name}"], 200), tmp_path / name).metrics
        for name in ("cyclegan", "gan_alone", "cycle_alone")
    )
    for measure in ("error", "forward_cycle", "backward_cycle"):
        assert whole[measure] < 0.6 * game[measure]
    assert whole["error"] < 0.6 * cycles["error"]


def test_a_turn_is_not_found_though_cycles_close(tmp_path):
    """The error is 0.35, of a blank sheet 0.27; cycles miss by 0.13."""
    found = cyclegan.run(lasting(cyclegan.CONFIGS["turned"], 200), tmp_path).metrics
    assert found["error"] > 0.3
    for way in ("forward_cycle", "backward_cycle"):
        assert found[way] < 0.2


def test_an_adapted_encoder_is_ahead_of_the_source_s(tmp_path):
    metrics = adda.run(adda.CONFIGS["back"], tmp_path).metrics
    assert metrics["accuracy/adda"] > metrics["accuracy/source_only"] + 0.05


def test_no_number_sees_every_fault():
    table, _ = measures.table_of(measures.Options(num_seeds=1))

    def worse(fault, measure, *, control=measures.REAL):
        """How much farther on the bad side than real images, as a share of theirs."""
        theirs = table[control][measure].item()
        sign = 1 if measure in measures.BAD_IF_HIGH else -1
        return sign * (table[fault][measure].item() - theirs) / abs(theirs)

    repeated, copied = "ten of each class, over and over", "copies of the reference"
    dropped = measures.SOME_CLASSES
    among = measures.CONTROLS[dropped]
    for measure in ("is", "precision", "density"):
        assert abs(worse(repeated, measure)) < 0.1
    assert worse(repeated, "recall") > 0.9
    for measure in ("fid", "is", "precision", "recall", "coverage"):
        assert worse(copied, measure) <= 0
    assert worse(copied, "density") < 0.1
    assert worse(copied, "copying") > 0.9
    for measure in ("precision", "density", "copying"):
        assert abs(worse(dropped, measure, control=among)) < 0.1
    for measure in ("fid", "is", "coverage"):
        assert worse(dropped, measure, control=among) > 0.2
    assert worse("noise 0.4", "fid") > 10
