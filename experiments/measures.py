"""Which measure sees what?    python -m experiments.measures

Measures sets of images whose fault is known, as the samples of a model would be, beside real images
as many: noise, blur, few images many times, copies of the reference, missing classes, class means,
none at all. Prints numbers over seeds of the classifier, and draws them on the darker ground the
farther they are on the bad side of those of real images.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from experiments.harness import runs, text
from experiments.harness.bounds import Count, check_bounds
from experiments.harness.feature_networks import of_classifier
from experiments.harness.features import train_classifier
from experiments.harness.measures import Bytes, Measure, Real, measured
from experiments.harness.options import label_names, load_images
from gan_jax import data, plots
from gan_jax.errors import Refusal

MEASURES: tuple[Measure, ...] = (
    "fid",
    "kid",
    "is",
    "precision",
    "recall",
    "density",
    "coverage",
    "ndb",
    "copying",
)
BAD_IF_HIGH = {"fid", "kid", "ndb", "copying"}
DIGITS = {"kid": 3, "ndb": 0}
NUM, NUM_SPARE = 1_000, 500
REAL = "real images"
SOME_CLASSES, ONE_CLASS = "half of the classes", "one class"
CONTROLS = {SOME_CLASSES: f"{REAL}, as many", ONE_CLASS: f"{REAL}, as many as in one class"}

Table = dict[str, dict[Measure, np.ndarray]]
"""Of each set, each number at each seed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    dataset: str = "digits"
    """Images with labels, named as for `experiments.dcgan`."""
    num_seeds: Count = 3
    """Classifiers that images are seen by: seeds 0, 1, ..."""
    out: str | None = None
    """A new or empty directory for the picture, by default runs/measures."""

    def __post_init__(self) -> None:
        check_bounds(self)


def sets_of(images: Bytes, labels: np.ndarray, reference: Bytes) -> dict[str, Bytes]:
    """Sets with a fault, and their controls, of real images that are not the reference."""
    chance = np.random.default_rng(0)
    real = images / 255
    noise = chance.standard_normal(real.shape)
    classes = np.unique(labels)
    ten_each = np.concatenate([np.flatnonzero(labels == name)[:10] for name in classes])
    half, one = np.isin(labels, classes[: len(classes) // 2]), labels == classes[len(classes) // 3]
    means = np.stack([real[labels == name].mean(axis=0) for name in classes])

    def as_many(num: int) -> np.ndarray:
        return images[chance.permutation(len(images))[:num]] / 255

    found = {
        REAL: real,
        **{f"noise {deviation}": real + deviation * noise for deviation in (0.05, 0.15, 0.4)},
        **{
            f"blur {width}": ndimage.gaussian_filter(real, (0, width, width, 0))
            for width in (0.5, 1)
        },
        "ten of each class, over and over": np.resize(real[ten_each], real.shape),
        "copies of the reference": reference / 255,
        SOME_CLASSES: images[half] / 255,
        CONTROLS[SOME_CLASSES]: as_many(half.sum()),
        ONE_CLASS: images[one] / 255,
        CONTROLS[ONE_CLASS]: as_many(one.sum()),
        "the mean of each class": np.resize(means, real.shape),
        "uniform noise": chance.uniform(size=real.shape),
        "black": np.zeros_like(real),
    }
    return {name: np.rint(255 * x.clip(0, 1)).astype(np.uint8) for name, x in found.items()}


def table_of(options: Options) -> tuple[Table, list[str]]:
    """The numbers, and the classifiers that they are by."""
    dataset, test = (load_images(options.dataset, split) for split in ("train", "test"))
    label_names(dataset)
    table: Table = {}
    names = []
    for seed in range(options.num_seeds):
        judge = train_classifier(dataset, seed=seed)
        features = of_classifier(judge)
        names.append(features.name)
        held = [dataset[judge.held_out], test[np.arange(min(len(test), NUM))]]
        pool = {name: np.concatenate([part[name] for part in held]) for name in ("image", "label")}
        order = np.random.default_rng(0).permutation(len(pool["image"]))[: NUM + NUM_SPARE]
        images, labels = pool["image"][order], pool["label"][order]
        if len(images) <= NUM:
            raise Refusal(
                f"There are {len(images)} images that are neither known to the classifier nor the "
                f"reference; it takes more than {NUM}: choose a larger --dataset."
            )
        reference = data.ArrayDataset({"image": dataset[judge.reference[:NUM]]["image"]})
        spare = data.ArrayDataset({"image": images[NUM:]})
        alone = features._replace(reference=None, held_out=None)
        real = Real(alone, reference, lambda spare=spare: spare, NUM)
        for name, some in sets_of(images[:NUM], labels[:NUM], real.images).items():
            found = measured(MEASURES, real, some)
            row = table.setdefault(name, {measure: np.zeros(0) for measure in MEASURES})
            for measure in MEASURES:
                row[measure] = np.append(row[measure], found[f"lenet/{measure}"])
    return table, names


def badness(table: Table) -> np.ndarray:
    """How far each number is on the bad side of its control's, as √(a share of the worst)."""
    of_itself = {name: name for name in CONTROLS.values()}
    signs = np.array([1 if measure in BAD_IF_HIGH else -1 for measure in MEASURES])
    rows = []
    for name, numbers in table.items():
        control = table[(CONTROLS | of_itself).get(name, REAL)]
        rows.append([np.mean(numbers[measure] - control[measure]) for measure in MEASURES])
    gaps = np.maximum(signs * np.array(rows), 0)
    return np.sqrt(gaps / np.maximum(gaps.max(axis=0), 1e-30))


def cell(measure: Measure, values: np.ndarray) -> str:
    """Mean and standard deviation over seeds, if there are several."""
    digits = DIGITS.get(measure, 2)
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return text.plus_minus(values.mean(), values.std(ddof=1), digits)


def run(options: Options) -> str:
    """Measure, draw the table, and print it."""
    folder = runs.new_directory(options.out, "runs", "measures")
    table, names = table_of(options)
    cells = [
        [cell(measure, numbers[measure]) for measure in MEASURES] for numbers in table.values()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    picture = plots.shaded_table(
        cells, badness(table), row_names=list(table), column_names=MEASURES
    )
    picture.save(folder / "measures.png")
    rows = [["", *MEASURES], *([name, *row] for name, row in zip(table, cells, strict=True))]
    return "\n".join([text.table(rows), *names, f"picture in {folder / 'measures.png'}"])


if __name__ == "__main__":
    runs.main("measures", Options, run, __doc__ or "")
