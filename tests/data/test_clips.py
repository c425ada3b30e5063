"""Folders of clips: files that move, folders of numbered frames, and what is no clip."""

import json

import numpy as np
import PIL.Image
import pytest

from gan_jax.data import FolderDataset, load, tfds

NUM = 12
SIZE = (6, 4)


def frames_of(clip, num_frames=4):
    """Colours by which a clip, and each of its frames, is known again."""
    for frame in range(num_frames):
        pixels = np.full((4, 6, 3), 20 * clip, np.uint8)
        pixels[..., 2] = 60 * frame
        yield PIL.Image.fromarray(pixels)


def write_file(path, frames):
    first, *rest = frames
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {".webp": {"lossless": True}, ".gif": {"optimize": False}}.get(path.suffix, {})
    first.save(path, save_all=True, append_images=rest, duration=50, loop=0, **told)


def write_folder(path, frames, name="frame_{}.png"):
    path.mkdir(parents=True)
    for number, frame in enumerate(frames, 8):  # the tenth is behind the ninth
        frame.save(path / name.format(number))


def write(path, clip, *num_frames):
    frames = list(frames_of(clip, *num_frames))
    write_file(path, frames) if path.suffix else write_folder(path, frames)


def videos_of(folder, **options):
    dataset = load(str(folder), **{"num_frames": 3, **options})
    videos = dataset[np.arange(len(dataset))]["video"]
    return dict(zip((videos[:, 0, 0, 0, 0] // 20).tolist(), videos, strict=True))


@pytest.mark.parametrize("suffix", ["", ".gif", ".png", ".webp"])
def test_clips_are_the_first_frames_in_their_order(tmp_path, suffix):
    for clip in range(NUM):
        write(tmp_path / ("train" if clip < 9 else "test") / f"{clip}{suffix}", clip)
    found = videos_of(tmp_path)
    assert sorted(found) == list(range(9))
    for clip, video in found.items():
        assert video.shape == (3, 4, 6, 3)
        for frame, pixels in zip(video, frames_of(clip), strict=False):
            np.testing.assert_allclose(frame, np.asarray(pixels), atol=2)
    assert sorted(videos_of(tmp_path, split="test")) == [9, 10, 11]
    (small,) = {video.shape for video in videos_of(tmp_path, image_size=2).values()}
    assert small == (3, 2, 2, 3)


def test_clips_of_one_brightness_have_one_channel(tmp_path):
    frames = [PIL.Image.new("L", SIZE, 40 * place) for place in range(3)]
    write_folder(tmp_path / "train/a", frames)
    write_folder(tmp_path / "test/b", frames)
    (video,) = load(str(tmp_path), num_frames=3)[np.arange(1)]["video"]
    assert video.shape == (3, 4, 6, 1)
    assert video[:, 0, 0, 0].tolist() == [0, 40, 80]


@pytest.mark.parametrize("streamed", [False, True])
def test_clips_have_classes_and_captions_by_the_names_of_files_and_of_folders(
    tmp_path, streamed, monkeypatch
):
    if streamed:
        monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    names = ["run/1.gif", "run/2", "walk/1.gif", "walk/2"]
    for split in ("train", "test"):
        for clip, name in enumerate(names):
            write(tmp_path / split / name, clip)
        lines = [{"file_name": name, "text": f"clip {clip}"} for clip, name in enumerate(names)]
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    dataset = load(str(tmp_path), num_frames=2)
    assert isinstance(dataset, FolderDataset) == streamed
    assert dataset.label_names == ("run", "walk")
    examples = dataset[np.arange(4)]
    clips = (examples["video"][:, 0, 0, 0, 0] // 20).tolist()
    assert [f"clip {clip}" for clip in clips] == list(dataset.text)
    assert [clip // 2 for clip in clips] == examples["label"].tolist()
    assert (examples["video"][:, 1, 0, 0, 2] > 50).all()


@pytest.mark.parametrize("name", ["frame_{}_of_12.png", "{}_640x480.png", "{:05d}.gif"])
def test_frames_are_in_the_order_of_their_numbers(tmp_path, name):
    for split in ("train", "test"):
        write_folder(tmp_path / split / "a", frames_of(3, 4), name)
    (video,) = load(str(tmp_path), num_frames=4)[np.arange(1)]["video"]
    assert (np.diff(video[:, 0, 0, 2].astype(int)) > 40).all()


@pytest.mark.parametrize("name", ["a", "a.gif"])
def test_a_clip_whose_later_frames_have_colours_has_colours(tmp_path, name):
    frames = [PIL.Image.new("L", SIZE), *frames_of(5, 2)]
    for split in ("train", "test"):
        path = tmp_path / split / name
        write_file(path, frames) if path.suffix else write_folder(path, frames)
    (video,) = load(str(tmp_path), num_frames=3)[np.arange(1)]["video"]
    assert video.shape == (3, 4, 6, 3)
    assert video[2, 0, 0].tolist() == [100, 100, 60]


def test_frames_and_files_are_turned_upright(tmp_path):
    picture = PIL.Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6) * 10)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for split in ("train", "test"):
        folder = tmp_path / split
        folder.mkdir()
        told = {"save_all": True, "append_images": [picture.rotate(180)], "lossless": True}
        picture.convert("RGB").save(folder / "a.webp", exif=exif, **told)
        (folder / "b").mkdir()
        for place in range(2):
            picture.convert("RGB").save(folder / "b" / f"{place}.png", exif=exif)
    found = load(str(tmp_path), num_frames=2)[np.arange(2)]["video"]
    upright = np.asarray(picture.transpose(PIL.Image.Transpose.ROTATE_270))
    assert found.shape == (2, 2, 6, 4, 3)
    np.testing.assert_allclose(found[:, 0, ..., 0], np.stack([upright] * 2), atol=1)


def test_a_clip_that_cannot_be_read_is_named(tmp_path):
    for clip in range(2):
        write(tmp_path / f"train/{clip}.gif", clip)
        write(tmp_path / f"test/{clip}.gif", clip)
    (tmp_path / "train/0.gif").write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match=r"1 of the 2 clips in .*train are broken.*0\.gif"):
        load(str(tmp_path), num_frames=3)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["{}.gif", "{}"])
def test_one_broken_clip_in_a_hundred_is_left_out(tmp_path, name, streamed, monkeypatch, caplog):
    """Of a folder of frames one that cannot be read, as a half copied file."""
    if streamed:
        monkeypatch.setattr(tfds, "RESIDENT_BYTES", 0)
    for clip in range(100):
        write(tmp_path / "train" / name.format(clip), clip % 12, 2)
    write(tmp_path / "test" / name.format(0), 0, 2)
    broken = tmp_path / "train" / name.format(7)
    (broken / "frame_9.png" if broken.is_dir() else broken).write_bytes(b"")
    dataset = load(str(tmp_path), num_frames=2)
    assert len(dataset) == 99
    clips = dataset[np.arange(99)]["video"][:, 0, 0, 0, 0] // 20
    assert np.bincount(clips).tolist() == [9, 9, 9, 9, 8, 8, 8, 7, 8, 8, 8, 8]
    assert "1 of the 100 clips" in caplog.text
    assert f"{broken.name} (UnidentifiedImageError" in caplog.text


def test_what_is_no_clip_is_refused(tmp_path):
    write(tmp_path / "still/a.png", 1, 1)
    words = r"holds still pictures, such as .*a\.png, that are no clip: put the frames"
    with pytest.raises(ValueError, match=words):
        load(str(tmp_path / "still"), num_frames=2)
    write(tmp_path / "mixed/run/a.png", 1, 1)
    write(tmp_path / "mixed/run/b.gif", 1)
    with pytest.raises(ValueError, match=words):
        load(str(tmp_path / "mixed"), num_frames=2)
    write_folder(tmp_path / "sizes/a", [PIL.Image.new("L", (side, 4)) for side in (5, 5, 6)])
    with pytest.raises(ValueError, match="frames differ in size"):
        load(str(tmp_path / "sizes"), num_frames=2, image_size=2)
    for clip in range(3):
        write(tmp_path / f"short/{clip}.gif", clip, 3)
    with pytest.raises(ValueError, match=r"has 3 frames, and clips of 4 are asked for: lower"):
        load(str(tmp_path / "short"), num_frames=4)
    for kept in ({"pairs": True}, {"crop": "random", "image_size": 2}):
        with pytest.raises(ValueError, match="Clips are cropped at the centre"):
            load(str(tmp_path / "short"), num_frames=2, **kept)
    with pytest.raises(ValueError, match="num_frames is 1"):
        load(str(tmp_path / "short"), num_frames=1)
    with pytest.raises(ValueError, match="'digits' has no clips: leave out num_frames"):
        load("digits", num_frames=2)


def test_clips_of_other_sizes_ask_for_one(tmp_path):
    for clip in range(NUM):
        write(tmp_path / f"{clip}.gif", clip)
    write_folder(tmp_path / "large", [PIL.Image.new("RGB", (9, 9))] * 3)
    with pytest.raises(ValueError, match=r"The clips differ in size: .*give image_size"):
        load(str(tmp_path), num_frames=3)
    assert load(str(tmp_path), num_frames=3, image_size=4)[np.arange(2)]["video"].shape[1:4] == (
        *(3, 4, 4),
    )
