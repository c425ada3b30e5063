"""Lists of pictures, as Hugging Face has them."""

import json

import numpy as np
import PIL.Image
import pytest

from gan_jax.data import load

ROWS = [
    {"file_name": "b/2.png", "label": "dog", "text": "a dog, “lying”", "age": 7, "size": 0.5},
    {"file_name": "a/1.png", "label": "cat", "text": "42", "age": -1, "size": 2},
    {"file_name": "./c.png", "label": "dog", "text": "", "age": 3, "size": 1e-3},
]


def write(folder, kind, rows=ROWS, names=("a/1.png", "b/2.png", "c.png")):
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("L", (2, 2), index).save(folder / name)
    if kind == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    else:
        quoted = [
            [f'"{value}"' if isinstance(value, str) else value for value in row.values()]
            for row in rows
        ]
        lines = [",".join(map(str, row)) for row in [list(rows[0]), *quoted]]
    (folder / f"metadata.{kind}").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_columns_are_labels_texts_and_fields_in_the_order_of_the_pictures(tmp_path, kind):
    dataset = load(write(tmp_path, kind))
    assert dataset.label_names == ("cat", "dog")
    assert dataset.text == ("42", "a dog, “lying”", "")
    arrays = dataset.arrays
    assert list(arrays) == ["image", "age", "size", "label"]
    assert arrays["image"][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert arrays["label"].tolist() == [0, 1, 1]
    assert (arrays["age"].dtype, arrays["age"].tolist()) == (np.int32, [-1, 7, 3])
    assert arrays["size"].dtype == np.float32
    np.testing.assert_array_equal(arrays["size"], np.float32([2, 0.5, 1e-3]))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_labels_that_are_numbers_are_sorted_as_numbers(tmp_path, kind):
    labels = {"a.png": -2, "b.png": 10, "c.png": 9}
    rows = [{"file_name": name, "label": label} for name, label in labels.items()]
    dataset = load(write(tmp_path, kind, rows, labels))
    assert dataset.label_names == ("-2", "9", "10")
    assert dataset.arrays["label"].tolist() == [0, 2, 1]


def test_strings_that_look_like_numbers_are_names_of_their_own(tmp_path):
    rows = [{"file_name": f"{name}.png", "label": name, "age": name} for name in ("1_0", "10")]
    dataset = load(write(tmp_path, "csv", rows, ["1_0.png", "10.png"]))
    assert dataset.label_names == ("10", "1_0")
    assert "age" not in dataset.arrays


def test_a_list_without_labels_leaves_them_to_the_folders(tmp_path):
    rows = [{"file_name": row["file_name"], "label": row["label"]} for row in ROWS[:2]]
    names = ["a/1.png", "b/2.png"]
    assert load(write(tmp_path, "jsonl", rows, names)).label_names == ("cat", "dog")
    unlabelled = [{"file_name": name, "maker": "me"} for name in names]
    dataset = load(write(tmp_path, "jsonl", unlabelled, names))
    assert (dataset.label_names, list(dataset.arrays)) == (("a", "b"), ["image", "label"])


def test_a_share_keeps_what_is_known_of_its_own_pictures(tmp_path):
    names = [f"{index:03}.png" for index in range(40)]
    rows = [{"file_name": n, "label": n[0], "text": n, "age": i} for i, n in enumerate(names)]
    write(tmp_path, "jsonl", rows, names)
    datasets = [load(str(tmp_path), split=split) for split in ("train", "test")]
    assert sum(map(len, datasets)) == 40
    for dataset in datasets:
        ages = dataset.arrays["age"].tolist()
        assert dataset.arrays["image"][:, 0, 0, 0].tolist() == ages
        assert dataset.text == tuple(names[age] for age in ages)


def test_captions_that_look_like_numbers_are_captions(tmp_path):
    rows = [{"file_name": "1.png", "text": "42"}]
    assert load(write(tmp_path, "csv", rows, ["1.png"])).text == ("42",)


def test_labels_of_test_have_the_names_of_train(tmp_path):
    write(tmp_path / "train", "jsonl")
    write(tmp_path / "test", "csv", [{"file_name": "1.png", "label": "dog"}], ["1.png"])
    test = load(str(tmp_path), split="test")
    assert (test.label_names, test.arrays["label"].tolist()) == (("cat", "dog"), [1])
    write(tmp_path / "test", "csv", [{"file_name": "1.png", "label": "cow"}], ["1.png"])
    with pytest.raises(ValueError, match=r"test/1\.png is of the class 'cow', which train lacks"):
        load(str(tmp_path), split="test")


def test_a_line_may_hold_what_ends_lines_elsewhere(tmp_path):
    rows = [{"file_name": "1.png", "text": "one\u2028two\x0b"}]
    assert load(write(tmp_path, "jsonl", rows, ["1.png"])).text == (rows[0]["text"],)


BROKEN = {
    "jsonl": {
        "x\n": "line 1, is no JSON object",
        '{"file_name": "1.png"}\n\n[]': "line 3, is no JSON object",
        "[" * 100_000: "line 1, is no JSON object",
        '{"name": "1.png"}': "line 1, names no file: give it a file_name",
        '{"file_name": 1}': "line 1, names no file",
        '{"file_name": "1.png"}\n{"file_name": "2.png"}': "line 2, lists 2.png, and there is no",
        '{"file_name": "1.png"}\n{"file_name": "./1.png"}': "line 2, lists 1.png a second time",
        '{"file_name": "../1.png"}': "line 1, lists ../1.png, and there is no such picture",
        "": "metadata.jsonl does not list 1.png: add a line",
        '{"file_name": "1.png", "label": 1.5}': "line 1, has the label 1.5; a column label holds",
        '{"file_name": "1.png", "label": true}': "holds strings or integers alone",
        '{"file_name": "1.png", "label": ""}': "line 1, has the label ''",
        '{"file_name": "1.png", "text": null}': "line 1, has the text None",
        '{"file_name": "1.png", "age": 3000000000}': "the age 3000000000: no number, or too",
        '{"file_name": "1.png", "age": NaN}': "the age nan: no number, or too large for float32",
        '{"file_name": "1.png", "age": 1e39}': "too large for float32",
        '{"file_name": "1.png", "image": 1}': "has a column image, as the files themselves",
        b"\xff": "cannot be read as a list in UTF-8",
    },
    "csv": {
        "file_name,age\n1.png\n": "line 2, is no line of a table: not as many entries",
        "file_name\n1.png,3\n": "line 2, is no line of a table: not as many entries",
        'file_name\n"1.png"x\n': "line 2, is no line of a table",
        "name\n1.png\n": "line 2, names no file",
        "file_name,label\n1.png,\n": "line 2, has the label ''",
    },
}


@pytest.mark.parametrize(
    ("kind", "content"), [(kind, content) for kind, cases in BROKEN.items() for content in cases]
)
def test_a_broken_list_is_one_sentence_with_its_file_and_line(tmp_path, kind, content):
    PIL.Image.new("L", (2, 2)).save(tmp_path / "1.png")
    path = tmp_path / f"metadata.{kind}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"^[^\n]+\.$") as error:
        load(str(tmp_path))
    assert str(path) in str(error.value)
    assert BROKEN[kind][content] in str(error.value)


def test_a_column_that_some_lines_lack_is_named(tmp_path):
    rows = [{"file_name": "1.png", "label": "a"}, {"file_name": "2.png"}]
    with pytest.raises(ValueError, match=r"line 2, has the label None"):
        load(write(tmp_path, "jsonl", rows, ["1.png", "2.png"]))


def test_two_lists_are_one_too_many(tmp_path):
    write(tmp_path, "csv")
    with pytest.raises(ValueError, match=r"holds both metadata\.jsonl and metadata\.csv"):
        load(write(tmp_path, "jsonl"))
