"""One picture file of every kind, against Pillow and against arrays that were written."""

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from gan_jax.data import load, pictures

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 4), np.uint8)
COLOURS = RNG.integers(0, 256, (6, 4, 3), np.uint8)
ALPHA = np.repeat(np.array([[0, 51, 204, 255]], np.uint8), 6, axis=0)
WHITE = (255, 255, 255)
LUT = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]])


def over(pixels, colour):
    """What is seen of pixels before a colour: a x + (1 - a) b."""
    pixels = pixels.reshape(6, 4, -1)
    opacity = ALPHA[..., None] / 255
    return opacity * pixels + (1 - opacity) * np.array(colour)


def palette_picture():
    picture = PIL.Image.fromarray(GREY % 4)
    picture.putpalette(LUT.ravel().tolist())
    return picture


def read(path, background=WHITE, channels=None):
    header = pictures.read_header(path, background)
    assert (header.width, header.height) == (4, 6)
    channels = channels or (1 if header.is_grey else 3)
    picture = pictures.read_picture(path, header.orientation, channels, background)
    return np.asarray(picture).reshape(6, 4, channels).astype(float)


@pytest.mark.parametrize("suffix", ["png", "PNG", "webp", "bmp", "jpg", "JPEG"])
def test_every_format_is_read_whatever_the_case_of_its_suffix(tmp_path, suffix):
    smooth = np.linspace(0, 255, 6 * 4 * 3).reshape(6, 4, 3).astype(np.uint8)
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0}
    PIL.Image.fromarray(smooth).save(tmp_path / f"a.{suffix}", **options)
    (image,) = load(str(tmp_path)).arrays["image"]
    np.testing.assert_allclose(image.astype(int), smooth, atol=3 if "j" in suffix.lower() else 0)


SIXTEEN = RNG.integers(0, 65_536, (6, 4), np.uint16)
MODES = {
    "1": (PIL.Image.fromarray(GREY > 99), (GREY > 99)[..., None] * 255),
    "L": (PIL.Image.fromarray(GREY), GREY[..., None]),
    "LA": (PIL.Image.fromarray(np.dstack([GREY, ALPHA])), over(GREY, [255])),
    "I;16": (PIL.Image.fromarray(SIXTEEN), np.rint(SIXTEEN[..., None] / 257)),
    "P": (palette_picture(), LUT[GREY % 4]),
    "RGB": (PIL.Image.fromarray(COLOURS), COLOURS),
    "RGBA": (PIL.Image.fromarray(np.dstack([COLOURS, ALPHA])), over(COLOURS, WHITE)),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_grey_or_three_colours(tmp_path, mode):
    picture, expected = MODES[mode]
    assert picture.mode == mode
    picture.save(tmp_path / "a.png")
    np.testing.assert_allclose(read(tmp_path / "a.png"), expected, atol="A" in mode)


def test_sixteen_bits_in_numbers_of_thirty_two_are_scaled_too():
    """As versions of Pillow read them; this one does not write them without a warning."""
    picture = PIL.Image.fromarray(SIXTEEN.astype(np.int32))
    assert picture.mode == "I"
    np.testing.assert_array_equal(pictures._coloured(picture, 1, WHITE), np.rint(SIXTEEN / 257))


def test_four_inks_are_three_colours(tmp_path):
    PIL.Image.new("CMYK", (4, 6), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    np.testing.assert_allclose(read(tmp_path / "a.jpg"), np.full((6, 4, 3), [255, 0, 0]), atol=2)


@pytest.mark.parametrize("background", [WHITE, (0, 0, 0), (255, 0, 128)])
def test_transparency_shows_the_background(tmp_path, background):
    """Of two channels, of four, of a palette as one colour or with an opacity each, of 16 bits."""
    channels = 1 if len(set(background)) == 1 else 3

    def seen(name, picture, **options):
        picture.save(tmp_path / name, **options)
        return read(tmp_path / name, background)

    two = PIL.Image.fromarray(np.dstack([GREY, ALPHA]))
    expected = over(GREY, background)[..., :channels]
    np.testing.assert_allclose(seen("two.png", two), expected, atol=1)
    four = PIL.Image.fromarray(np.dstack([COLOURS, ALPHA]))
    found = seen("four.webp", four, lossless=True, exact=True)
    np.testing.assert_allclose(found, over(COLOURS, background), atol=1)
    table = LUT.copy()
    table[1] = background
    for transparency in (1, bytes([255, 0, 255, 255])):
        found = seen("palette.png", palette_picture(), transparency=transparency)
        np.testing.assert_array_equal(found, table[GREY % 4])
    found = seen("16.png", PIL.Image.fromarray(SIXTEEN), transparency=int(SIXTEEN[2, 3]))
    assert found[2, 3].tolist() == list(background[:channels])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_pictures_are_turned_upright(tmp_path, orientation, suffix):
    smooth = np.linspace(0, 255, 6 * 4).reshape(6, 4).astype(np.uint8)
    exif = PIL.Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    path = tmp_path / f"a.{suffix}"
    PIL.Image.fromarray(smooth).save(path, exif=exif, quality=100)
    header = pictures.read_header(path, WHITE)
    upright = pictures.read_picture(path, header.orientation, 1, WHITE)
    with PIL.Image.open(path) as picture:
        np.testing.assert_array_equal(upright, PIL.ImageOps.exif_transpose(picture))
    assert (header.width, header.height) == upright.size


def test_a_broken_exif_does_not_hide_a_picture(tmp_path):
    PIL.Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=b"Exif\0\0no such thing")
    np.testing.assert_allclose(pictures.read_header(tmp_path / "a.jpg", WHITE), (4, 6, True, 1, 1))


@pytest.mark.parametrize("name", ["wihte", "", "#12"])
def test_a_colour_that_pillow_does_not_know_is_refused(name, tmp_path):
    for dataset in ("digits", str(tmp_path)):
        with pytest.raises(ValueError, match=f"The background is {name!r}; it must be a colour"):
            load(dataset, background=name)
