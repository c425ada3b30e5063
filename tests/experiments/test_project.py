"""Pictures, images of a run and real ones as styles: what is written and said, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import PIL.Image
import pytest

from experiments import dcgan, project, stylegan2
from gan_jax import games
from tests.experiments.harness.test_runs import BATCH, KEY, left

NAMES = ("given", "generated", "real")
pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Grey ones of 8x8, of which a run learns; none is like another."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0).integers
    for place in range(6):
        PIL.Image.fromarray(draw(0, 256, (8, 8), np.uint8)).save(folder / f"{place}.png")
    return folder


@pytest.fixture(scope="module")
def of_styles(tmp_path_factory, pictures):
    config = stylegan2.Config(
        width=2, max_width=2, style_dim=3, mapping_depth=1, dataset=str(pictures)
    )
    system = stylegan2.build(config, BATCH)

    @jax.jit
    def start():
        sgd = optax.sgd(0.1)
        optimizers = games.Optimizers(generator=sgd, discriminator=sgd)
        state = system.init(KEY, BATCH, optimizers=optimizers)
        return games.exponential_average_memory(state)

    return left(tmp_path_factory.mktemp("run"), "stylegan2", config, start())


def shown(path):
    """The images of a picture's first column, which are at twice their size within edges."""
    with PIL.Image.open(path) as picture:
        tiles = np.asarray(picture)[..., 0].reshape(-1, 20, 6, 20)
    return tiles[:, 2:18:2, 0, 2:18:2].astype(int)


@pytest.mark.slow
def test_pictures_are_found_and_images_of_the_run_beside_real_ones(
    of_styles, pictures, tmp_path, monkeypatch
):
    """One at a time."""
    monkeypatch.setattr(project, "PART", 1)
    own, out = tmp_path / "own", tmp_path / "new" / "out"
    own.mkdir()
    for place, grey in enumerate((40, 200)):
        PIL.Image.new("RGB", (21, 40), (grey, grey, grey)).save(own / f"{place}.png")
    options = project.Options(run=of_styles, image=str(own), num=2, num_steps=8, out=str(out))
    head, *rows, features, nearer, _ = project.run(options).splitlines()
    assert head.split() == ["median", "distance", "pixels", "pixels", "of", "the", "mean", "style"]
    assert [row.split()[:2] for row in rows] == [["2", name] for name in NAMES]
    near, start = (np.array([float(row.split()[column]) for row in rows]) for column in (2, 4))
    assert (near < start).all()
    assert features == "features: pixels in [-1, 1]"
    assert nearer.startswith("generated is nearer than real in ")
    files = [f"{name}{suffix}" for name in sorted(NAMES) for suffix in (".npz", ".png")]
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    greys = np.array([40, 200])[:, None, None]
    assert (np.abs(shown(out / "given.png") - greys) <= 1).all()
    real = [np.asarray(PIL.Image.open(path)).astype(int) for path in sorted(pictures.iterdir())]
    for image in shown(out / "real.png"):
        assert min(np.abs(image - other).max() for other in real) <= 1
    with np.load(out / "given.npz") as found:
        assert found["style"].shape == (2, 3)
        assert len(np.unique(found["style"], axis=0)) == 2
        assert [found[f"noise_{layer}"].shape for layer in range(3)] == [
            (2, side, side, 1) for side in (4, 8, 8)
        ]


@pytest.mark.slow
def test_a_seed_decides_what_is_found(of_styles, tmp_path):
    def styles(seed, name):
        out = tmp_path / name
        project.run(project.Options(run=of_styles, num=2, num_steps=4, seed=seed, out=str(out)))
        with np.load(out / "generated.npz") as found:
            return found["style"]

    first = styles(0, "first")
    np.testing.assert_array_equal(styles(0, "again"), first)
    assert (styles(1, "other") != first).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": "nowhere.png"}, r"nowhere\.png cannot be read \(No such file"),
        ({"features": "inception:x.npz"}, "x.npz"),
        ({"features": "lenet"}, "choose a dataset that has both"),
        ({"num_steps": 0}, "--num-steps is 0"),
    ],
)
def test_what_is_refused(of_styles, changes, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        project.run(project.Options(run=of_styles, out=str(tmp_path / "out"), **changes))
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_picture_is_refused(of_styles, tmp_path):
    (tmp_path / "note.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"note\.png \("):
        project.run(project.Options(run=of_styles, image=str(tmp_path / "note.png")))


def test_features_that_see_bytes_are_refused(of_styles, monkeypatch):
    seeing = project.Features("inception", "", np.asarray)
    monkeypatch.setattr(project, "features_by", lambda *told: seeing)
    with pytest.raises(ValueError, match=r"^project differentiates the features, and Incep"):
        project.run(project.Options(run=of_styles))


def test_a_run_without_styles_is_refused(tmp_path):
    config = dcgan.Config(width=2, latent_dim=3)
    system = dcgan.build(config, BATCH)
    state = jax.eval_shape(lambda: system.init(KEY, BATCH, optimizers=config.optimizers()))
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state)
    run = left(tmp_path, "dcgan", config, state)
    with pytest.raises(ValueError, match="is a run of dcgan, whose images have no styles: name"):
        project.run(project.Options(run=run))
