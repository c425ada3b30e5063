"""Commands on the directory of a run: images of it, walks through it, and refusals."""

import dataclasses
import json
import re
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image, ImageSequence
from scipy import stats

from experiments import conditional_gan, dcgan, evaluate, ring, sample, vae, video_gan, walk
from experiments.harness.runs import RunAgain, opened, translating
from gan_jax import data, games
from gan_jax.training import CheckpointError, Checkpoints, RunDirectoryError, open_run
from gan_jax.training.record import plain, run_digest

KEY = jax.random.key(0)
BATCH = {"image": jax.ShapeDtypeStruct((4, 8, 8, 1), jnp.float32)}
GAN = dcgan.Config(width=2, latent_dim=3)


def left(workdir, experiment, config, state, batch=BATCH, label_names=None):
    """The directory that a run of an experiment leaves, without its training."""
    said = {"experiment": experiment, "batch": lambda: batch, "label_names": label_names}
    record = open_run(workdir, plain(vars(config)), fresh=False, **said)
    with Checkpoints(workdir / "checkpoints", run=run_digest(record)) as checkpoints:
        checkpoints.save(3, state)
    return str(workdir)


@pytest.fixture(scope="module")
def of_gan(tmp_path_factory):
    system = dcgan.build(GAN, BATCH)
    state = jax.jit(lambda: system.init(KEY, BATCH, optimizers=GAN.optimizers()))()
    state = games.exponential_average_memory(state)
    louder = jax.tree.map(lambda x: 30 * x, state.generator.weights.params)
    generator = state.generator.replace(weights=state.generator.weights.replace(params=louder))
    return left(tmp_path_factory.mktemp("gan"), "dcgan", GAN, state.replace(generator=generator))


@pytest.fixture(scope="module")
def of_vae(tmp_path_factory):
    config = vae.Config(width=4)
    state = jax.jit(lambda: vae.build(config, BATCH).init(KEY, BATCH, optimizer=optax.adam(0.1)))()
    return left(tmp_path_factory.mktemp("vae"), "vae", config, state)


def pixels(folder, pattern="*.png"):
    images = []
    for path in sorted(Path(folder).glob(pattern)):
        with Image.open(path) as image:
            images.append(np.asarray(image))
    return np.stack(images)


def test_images_are_files_which_a_seed_decides(of_gan, tmp_path):
    def drawn(name, **options):
        out = str(tmp_path / name)
        said = sample.run(sample.Options(run=of_gan, live=True, out=out, **options))
        assert said == f"{options['num']} images in {out}"
        return pixels(out)

    some = drawn("some", num=3)
    assert (some.shape, some.dtype) == ((3, 8, 8), np.uint8)
    more = drawn("more", num=101)
    np.testing.assert_array_equal(some, more[:3])
    assert len(np.unique(more, axis=0)) == 101  # the second hundred is drawn anew
    assert (drawn("other", num=3, seed=1) != some).any()
    assert sorted(path.name for path in (tmp_path / "some").iterdir())[-1] == "00002.png"


def test_the_moving_average_makes_them_or_the_live_generator(of_gan):
    images = [
        next(opened(RunAgain(run=of_gan, live=live)).draw(KEY, 50)).astype(float)
        for live in (False, True)
    ]
    assert np.ptp(images[1]) > 2 * np.ptp(images[0]) > 0  # the live one is 30 times as loud


def test_images_of_a_vae_are_its_means_as_brightnesses(of_vae):
    run = opened(RunAgain(run=of_vae))
    (made,) = run.draw(KEY, 5)
    system, key = run.system, jax.random.fold_in(KEY, 0)
    expected = np.asarray(system.sample(key, run.weights, 100))[:5]
    np.testing.assert_array_equal(made, np.round(255 * expected))


def test_a_grid_is_one_picture(of_vae, tmp_path):
    out = tmp_path / "new" / "grid"
    sample.run(sample.Options(run=of_vae, out=str(out), num=10, grid=True))
    assert [path.name for path in out.iterdir()] == ["grid.png"]
    assert pixels(out).shape == (1, 3 * 20, 4 * 20, 3)


def test_a_walk_passes_nine_latents_on_both_ways(of_vae, tmp_path):
    walk.run(walk.Options(run=of_vae, out=str(tmp_path), num_frames=3))
    rows = {}
    for name in ("straight", "spherical"):
        (grid,) = pixels(tmp_path, f"{name}.png")
        assert grid.shape == (9 * 20, 3 * 20, 3)
        rows[name] = grid.reshape(9, 20, 3, 20, 3).swapaxes(1, 2)
        np.testing.assert_array_equal(rows[name][:, 2], np.roll(rows[name][:, 0], -1, axis=0))
    np.testing.assert_array_equal(rows["straight"][:, 0], rows["spherical"][:, 0])
    assert (rows["straight"][:, 1] != rows["spherical"][:, 1]).any()
    with Image.open(tmp_path / "walk.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (18, (2 * 40, 40), 0)


CLIP = {"video": jax.ShapeDtypeStruct((4, 4, 16, 16, 3), jnp.float32)}
IMAGE = {"condition": jax.ShapeDtypeStruct((4, 16, 16, 3), jnp.float32)}


@pytest.fixture(scope="module", params=[False, True], ids=["of_clips", "of_continued"])
def of_clips(request, tmp_path_factory):
    """A run whose generator has random weights: of drawn clips, or of continued images."""
    config = video_gan.Config(from_image=request.param, width=2, latent_dim=3, image_size=16)
    batch, rng = {**CLIP, **(IMAGE if config.from_image else {})}, np.random.default_rng(0)
    system = video_gan.build(config, batch)
    state = jax.eval_shape(lambda: system.init(KEY, batch, optimizers=config.optimizers()))
    state = jax.tree.map(lambda x: jnp.asarray(rng.uniform(0, 1, x.shape), x.dtype), state)
    weights = state.generator.weights
    weights = weights.replace(params=jax.tree.map(lambda x: x - 0.5, weights.params))
    state = state.replace(generator=state.generator.replace(weights=weights))
    state = games.exponential_average_memory(state)
    return left(tmp_path_factory.mktemp("clips"), "video_gan", config, state, batch)


def frames(path):
    with Image.open(path) as clip:
        shown = (frame.convert("RGB") for frame in ImageSequence.Iterator(clip))
        return np.stack([np.asarray(frame) for frame in shown])


@pytest.mark.slow
@pytest.mark.parametrize("of_clips", [False], indirect=True)
def test_clips_are_gifs(of_clips, tmp_path):
    """256 pixels have no more colours than a GIF's frame."""
    out = tmp_path / "some"
    said = sample.run(sample.Options(run=of_clips, num=3, out=str(out)))
    assert said == f"3 clips in {out}"
    assert sorted(path.name for path in out.iterdir()) == [f"0000{i}.gif" for i in range(3)]
    run = opened(RunAgain(run=of_clips), clips=True)
    draw = jax.jit(run.system.sample, static_argnums=2)
    signed = draw(jax.random.fold_in(KEY, 0), run.weights, 100)[:3]
    expected = np.asarray(data.to_uint8(signed))
    assert np.ptp(expected) > 10
    np.testing.assert_array_equal([frames(out / f"0000{i}.gif") for i in range(3)], expected)
    said = sample.write_grid(np.asarray(signed), tmp_path / "grid")
    assert said == f"3 clips in {tmp_path / 'grid' / 'grid.gif'}"
    assert frames(tmp_path / "grid" / "grid.gif").shape == (4, 2 * 36, 2 * 36, 3)
    for module in (walk, evaluate):
        with pytest.raises(ValueError, match="is a run of video_gan, which makes no images"):
            module.run(module.Options(run=of_clips))
    with pytest.raises(ValueError, match="is a run of video_gan, which translates no pictures"):
        sample.run(sample.Options(run=of_clips, input=str(tmp_path)))


@pytest.mark.slow
@pytest.mark.parametrize("of_clips", [True], indirect=True)
def test_pictures_are_continued_as_gifs_of_their_names(of_clips, tmp_path):
    own = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    (tmp_path / "own" / "far").mkdir(parents=True)
    Image.fromarray(own).save(tmp_path / "own" / "one.png")
    Image.fromarray(own).convert("L").resize((21, 40)).save(tmp_path / "own" / "far" / "two.jpg")
    given = sample.Options(run=of_clips, input=str(tmp_path / "own"))
    assert sample.run(given) == f"2 clips in {of_clips}/translated"
    run, _, weights = translating(given, "forth")
    expected = jax.jit(run.system.generate)(weights, None, data.signed(own[None]))[0]
    assert np.ptp(expected) > 0.1
    made = frames(Path(of_clips, "translated", "one.png.gif"))
    np.testing.assert_array_equal(made, data.to_uint8(expected))
    assert frames(Path(of_clips, "translated", "far", "two.jpg.gif")).shape == (4, 16, 16, 3)
    for module in (sample, walk, evaluate):
        with pytest.raises(ValueError, match=r"starts from other images: .* --input FOLDER\.$"):
            module.run(module.Options(run=of_clips))


CLASSES = 3
LABELLED = {**BATCH, "label": jax.ShapeDtypeStruct((4,), jnp.int32)}


@pytest.fixture(scope="module")
def of_labels(tmp_path_factory):
    """A run whose generator makes images that are as bright as their class."""
    config = conditional_gan.Config(networks="mirza", num_classes=CLASSES, latent_dim=3)
    system = conditional_gan.build(config, LABELLED)

    def start():
        state = system.init(KEY, LABELLED, optimizers=config.optimizers())
        params = jax.tree.map(jnp.zeros_like, state.generator.weights.params)
        params["Dense_1"]["kernel"] = jnp.eye(CLASSES, 1_000)
        params["Dense_2"]["kernel"] = jnp.eye(1_200)
        params["Dense_3"]["kernel"] = (
            jnp.zeros((1_200, 64))
            .at[200:203]
            .set(jnp.arange(CLASSES, dtype=jnp.float32)[:, None] - 1)
        )
        weights = state.generator.weights.replace(params=params)
        state = state.replace(generator=state.generator.replace(weights=weights))
        return games.exponential_average_memory(state)

    workdir, names = tmp_path_factory.mktemp("labels"), ("dark", "a/b", "7")
    return left(workdir, "conditional_gan", config, jax.jit(start)(), LABELLED, names)


BRIGHTNESS = [np.round(255 / (1 + np.exp(1.0 - label))) for label in range(CLASSES)]


def test_images_of_labels_are_a_folder_of_each(of_labels, tmp_path):
    sample.run(sample.Options(run=of_labels, out=str(tmp_path / "all"), num=7))
    found = {path.name: pixels(path) for path in (tmp_path / "all").iterdir()}
    assert {name: len(images) for name, images in found.items()} == {"dark": 3, "a_b": 2, "7": 2}
    for name, brightness in zip(("dark", "a_b", "7"), BRIGHTNESS, strict=True):
        assert np.unique(found[name]).tolist() == [brightness]


@pytest.mark.parametrize(("label", "place"), [("a/b", 1), ("1", 1), ("7", 2), ("0", 0)])
def test_a_label_is_chosen_by_its_name_or_its_number(of_labels, tmp_path, label, place):
    sample.run(sample.Options(run=of_labels, out=str(tmp_path), num=2, label=label))
    (folder,) = tmp_path.iterdir()
    assert np.unique(pixels(folder)).tolist() == [BRIGHTNESS[place]]


@pytest.mark.parametrize("label", ["light", "3", "-1", ""])
def test_a_label_that_there_is_not_is_refused_by_the_names_of_those_there_are(of_labels, label):
    for module in (sample, walk):
        with pytest.raises(ValueError, match=f"--label is '{label}'; .* one of dark, a/b, 7, or a"):
            module.run(module.Options(run=of_labels, label=label))


def test_a_grid_has_a_row_of_each_label_and_a_walk_one_label(of_labels, tmp_path):
    sample.run(sample.Options(run=of_labels, out=str(tmp_path / "a"), num=6, grid=True))
    (grid,) = pixels(tmp_path / "a")
    tiles = grid.reshape(CLASSES, 20, 2, 20, 3)[:, 10, :, 10, 0]
    np.testing.assert_allclose(tiles, np.array(BRIGHTNESS)[:, None].repeat(2, 1), atol=1)
    walk.run(walk.Options(run=of_labels, out=str(tmp_path / "b"), label="7", num_frames=2))
    (grid,) = pixels(tmp_path / "b", "straight.png")
    np.testing.assert_allclose(grid[10::20, 10::20], BRIGHTNESS[2], atol=1)


def test_rows_of_a_grid_are_labels_also_where_they_are_not_as_many_each():
    images = np.linspace(-1, 0, 7, dtype=np.float32)[:, None, None, None]
    labels = np.array([0, 0, 0, 1, 1, 2, 2])
    pixels = sample.grid_of(images, labels).pixels[3::6, 3::6, 0]
    white = 255
    expected = [[0, 21, 42], [63, 85, white], [106, 127, white]]
    np.testing.assert_allclose(pixels, expected, atol=1)
    assert sample.grid_of(images[:4], np.full(4, 5)).pixels.shape == (12, 12, 3)


def test_labels_that_look_alike_as_folders_have_folders_of_their_own():
    names = sample.folder_names(["a/b", "a:b", "😀", " ", "c"])
    assert names == ["0_a_b", "1_a_b", "_", "3_ ", "c"]
    assert sample.folder_names(["😀", "😁"]) == ["0__", "1__"]


def with_data(monkeypatch, **splits):
    """Runs load these images, and labels, in place of their dataset."""
    datasets = {split: data.ArrayDataset(arrays) for split, arrays in splits.items()}
    monkeypatch.setattr(data, "load", lambda name, *, split, **_: datasets[split])
    return datasets


def measured(run, **options):
    head, *rows = evaluate.run(evaluate.Options(run=run, **options)).splitlines()
    return head, {name: found for name, *found in (re.split(r" {2,}|: ", row) for row in rows)}


@pytest.mark.slow
def test_images_are_measured_beside_real_ones_of_their_labels(of_labels, monkeypatch):
    """The classifier reads brightness: every image is of its class if it has a real one's label."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 30).astype(np.int32)
    levels = np.array(BRIGHTNESS)
    real = rng.integers(-9, 10, (30, 8, 8, 1)) + levels[labels][:, None, None, None]
    datasets = with_data(
        monkeypatch,
        train={"image": real.astype(np.uint8), "label": labels},
        test={"image": real[:9].astype(np.uint8), "label": labels[:9]},
    )

    def train_classifier(dataset):
        assert dataset is datasets["train"]

        def classes(images):
            brightness = images.mean(axis=(1, 2, 3))[:, None]
            return np.argmin(np.abs(brightness - (2 * levels / 255 - 1)), axis=-1)

        return SimpleNamespace(name="judge", accuracy=0.875, classes=classes)

    monkeypatch.setattr(evaluate, "train_classifier", train_classifier)
    told = {"measures": ("recall", "precision", "path_length"), "features": "pixels"}
    head, rows = measured(of_labels, num_samples=20, num_draws=2, **told)
    assert head == "conditional_gan at step 3"
    assert list(rows.items()) == [
        ("", ["20 samples", "20 real images"]),
        ("pixels/recall", ["0 ± 0", ""]),
        ("pixels/precision", ["1 ± 0", ""]),
        ("pixels/path_length", ["0 ± 0", ""]),
        ("accuracy", ["1 ± 0", "0.875"]),
        ("features", ["pixels in [-1, 1]"]),
        ("reference", ["20 training images, of which the run learned too"]),
    ]
    written = json.loads(Path(of_labels, "measures.json").read_text())
    assert written["samples"]["pixels/precision"] == [1, 1]
    assert written["real"] == {"accuracy": 0.875}  # of 9 unseen images it would be other numbers
    told = {"step": 3, "seed": 0, "num_samples": 20, "num_reference": 20, "fid_reference": None}
    assert {name: written[name] for name in told} == told


def test_what_cannot_be_written_is_said_and_the_numbers_are_not_lost(of_gan, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), np.uint8)
    with_data(monkeypatch, train={"image": images}, test={"image": images})
    monkeypatch.setattr(evaluate, "FILE", "samples")  # a directory
    Path(of_gan, "samples").mkdir(exist_ok=True)
    options = evaluate.Options(run=of_gan, measures=("kid",), num_samples=9, num_draws=1)
    head, numbers, *_, last = evaluate.run(options).splitlines()
    assert (head, numbers.split()) == ("dcgan at step 3", ["9", "samples", "9", "real", "images"])
    assert last == "samples could not be written there (Is a directory)"
    nowhere = dataclasses.replace(options, reference=str(Path(of_gan, "none", "a.npz")))
    with pytest.raises(ValueError, match=r"--reference is .*, in a directory that there is not"):
        evaluate.run(nowhere)


@pytest.mark.slow
def test_the_likelihood_of_levels_is_measured_on_unseen_images(tmp_path, monkeypatch):
    """Networks of zeros: q(z|x) is the prior, and p(x|z) one logistic for all pixels."""
    told = {"likelihood": "discretized_logistic", "binarization": "none"}
    config = vae.Config(width=2, num_unseen=6, num_importance_samples=2, **told)
    state = jax.eval_shape(
        lambda: vae.build(config, BATCH).init(KEY, BATCH, optimizer=optax.sgd(0.1))
    )
    run = left(tmp_path, "vae", config, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), state))
    unseen = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)
    unseen[0, 0, 0], unseen[0, 0, 1] = 0, 255
    with_data(monkeypatch, train={"image": 0 * unseen}, test={"image": unseen})
    edges = (np.arange(257) - 0.5) / 255
    edges[[0, -1]] = -np.inf, np.inf
    mass = np.diff(stats.logistic.cdf(edges))
    nll = -np.log(mass[unseen]).sum(axis=(1, 2, 3)).mean()
    _, rows = measured(run)
    assert rows["negative log-likelihood"][0].startswith(f"{nll:.2f} ± ")
    assert rows["bits per dimension"][0] == f"{nll / 64 / np.log(2):.4g}"


def test_files_that_are_there_stay(of_vae, tmp_path):
    (tmp_path / "mine").touch()
    for module in (sample, walk):
        with pytest.raises(ValueError, match="holds files already: give another --out"):
            module.run(module.Options(run=of_vae, out=str(tmp_path)))
        with pytest.raises(ValueError, match="holds files already"):
            module.run(module.Options(run=of_vae, out=str(tmp_path / "mine")))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_label_of_a_run_without_labels_is_refused(of_vae):
    for module in (sample, walk):
        with pytest.raises(ValueError, match="--label is 3, but the run was not trained on labels"):
            module.run(module.Options(run=of_vae, label="3"))


def test_what_is_no_run_of_images_is_refused_in_words(tmp_path):
    with pytest.raises(RunDirectoryError, match="is not the directory of a run"):
        opened(RunAgain(run=str(tmp_path / "none")))
    open_run(tmp_path / "begun", {}, fresh=False, experiment="vae")
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        opened(RunAgain(run=str(tmp_path / "begun")))
    points = {"point": jax.ShapeDtypeStruct((4, 2), jnp.float32)}
    config = ring.Config(width=2)
    run = left(tmp_path / "ring", "ring", config, jnp.ones(1), points)
    with pytest.raises(ValueError, match="is a run of ring, which makes no images"):
        opened(RunAgain(run=run))


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("another", {}, "is a run of 'another', which is none of these experiments"),
        ("harness", {}, "is a run of 'harness', which is none of these"),
        (
            "vae",
            {"new": 1, "newer": 2},
            r"whose vae has options that this one .* \(new, newer",
        ),
        ("vae", {"width": 0}, "--width is 0; it must be an integer, at least 1"),
    ],
)
def test_a_run_of_other_programs_is_refused_in_words(name, changes, sentence, tmp_path):
    said = plain(vars(vae.Config())) | changes
    record = open_run(tmp_path, said, fresh=False, experiment=name, batch=lambda: BATCH)
    with Checkpoints(tmp_path / "checkpoints", run=run_digest(record)) as checkpoints:
        checkpoints.save(1, {"a": jnp.ones(1)})
    assert json.loads((tmp_path / "config.json").read_text())["experiment"] == name
    with pytest.raises(ValueError, match=sentence):
        opened(RunAgain(run=str(tmp_path)))
