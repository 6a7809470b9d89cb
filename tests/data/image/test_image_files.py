"""Image files: what is read, and every mistake told in a line."""

import numpy as np
import pytest
from PIL import Image

from fdl.data.image.image_files import read_images
from fdl.errors import UserError


def images(paths, shape, white, **options):
    return read_images(paths, shape, **options) * white


def picture(path, pixels, mode=None):
    Image.fromarray(np.asarray(pixels, np.uint8), mode).save(path)
    return path


def test_pixels_are_those_of_the_file(tmp_path):
    pixels = np.arange(24).reshape(4, 6) * 10
    path = picture(tmp_path / "a.png", pixels)
    np.testing.assert_allclose(
        images([path], (4, 6, 1), 255)[0, ..., 0], pixels, atol=1e-4
    )
    sixteenths = images([path], (4, 6, 1), 16.0)[0, ..., 0]
    np.testing.assert_allclose(sixteenths, pixels * 16 / 255, atol=1e-5)
    inverted = images([path], (4, 6, 1), 255, invert=True)[0, ..., 0]
    np.testing.assert_allclose(inverted, 255 - pixels, atol=1e-4)


def test_colours_become_grey_by_their_weights_and_grey_becomes_colour(tmp_path):
    colours = np.zeros((2, 2, 3))
    colours[0, 0], colours[0, 1], colours[1, 0] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    path = picture(tmp_path / "c.png", colours)
    grey = images([path], (2, 2, 1), 255)[0, ..., 0]
    np.testing.assert_allclose(grey, [[76, 150], [29, 0]], atol=1)  # ITU-R 601.
    np.testing.assert_allclose(images([path], (2, 2, 3), 255)[0], colours)
    path = picture(tmp_path / "g.png", [[0, 100], [200, 255]])
    rgb = images([path], (2, 2, 3), 255)[0]
    np.testing.assert_allclose(rgb[0, 1], [100, 100, 100], atol=1e-4)


def test_large_images_are_averaged_down_and_stretched(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(18, 10))
    path = picture(tmp_path / "a.png", pixels)
    small = images([path], (2, 2, 1), 255)[0, ..., 0]
    expected = pixels.reshape(2, 9, 2, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(small, expected, atol=0.6)


def test_small_images_are_interpolated(tmp_path):
    path = picture(tmp_path / "a.png", [[0, 200]])
    found = images([path], (1, 4, 1), 255)[0, 0, :, 0]
    np.testing.assert_allclose(found, [0, 50, 150, 200], atol=0.6)


def test_what_is_transparent_is_paper(tmp_path):
    pixels = np.zeros((2, 2, 4))
    pixels[0, 0, 3] = 255
    path = picture(tmp_path / "t.png", pixels)
    assert images([path], (2, 2, 1), 1)[0, ..., 0].tolist() == [[0, 1], [1, 1]]


def test_images_stand_as_the_camera_held_them(tmp_path):
    image = Image.fromarray(np.array([[0, 255], [0, 255]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by 90 degrees.
    image.save(tmp_path / "t.png", exif=exif)
    found = images([tmp_path / "t.png"], (2, 2, 1), 1)[0, ..., 0]
    assert found.tolist() == [[0, 0], [1, 1]]


def test_sixteen_bits_are_the_same_picture_as_eight(tmp_path):
    pixels = np.arange(24).reshape(4, 6) * 10
    path = tmp_path / "a.png"
    Image.fromarray(np.uint16(pixels * 257)).save(path)
    with Image.open(path) as opened:
        assert opened.mode == "I;16"
    found = images([path], (4, 6, 1), 255)[0, ..., 0]
    np.testing.assert_allclose(found, pixels, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_a_known_white_are_told(tmp_path, dtype):
    path = tmp_path / "a.tiff"
    Image.fromarray(np.full((2, 2), 0.5, dtype)).save(path)
    with pytest.raises(UserError, match="32 bits, whose white level is not known"):
        images([path], (2, 2, 1), 255)


def test_jpegs_are_read_and_several_files_stand_in_order(tmp_path):
    paths = []
    for i, value in enumerate((10, 250)):
        path = tmp_path / f"{i}.jpg"
        Image.new("L", (8, 8), value).save(path)
        paths.append(path)
    found = images(paths, (4, 4, 1), 255)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), [10, 250], atol=2)


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x89PNG\r\n\x1a\nrubbish"])
def test_what_is_no_image_is_told(tmp_path, content):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    expected = "expected a file" if content is None else "expected an undamaged image"
    with pytest.raises(UserError, match=expected):
        images([path], (4, 4, 1), 255)


def test_half_an_image_is_told(tmp_path):
    noise = np.random.default_rng(0).integers(256, size=(64, 64))
    path = picture(tmp_path / "a.png", noise)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match="expected an undamaged image"):
        images([path], (4, 4, 1), 255)


@pytest.mark.filterwarnings("error")
def test_a_picture_of_too_many_pixels_is_told_with_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("1", (30, 5)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 74)
    expected = r"a\.png: Image size \(150 pixels\) exceeds limit of 148 pixels; shrink"
    with pytest.raises(UserError, match=expected):
        images([path], (4, 4, 1), 255)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 75)  # Of which Pillow would warn.
    assert images([path], (4, 4, 1), 255).max() == 0


def test_postscript_is_not_run(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("L", (4, 4)).save(path, format="EPS")
    calls = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: calls.append(1))
    with pytest.raises(UserError, match="expected an undamaged image"):
        images([path], (4, 4, 1), 255)
    assert not calls


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    frames = [Image.new("L", (4, 4), value) for value in (40, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    found = images([tmp_path / "a.gif"], (4, 4, 1), 255)
    np.testing.assert_allclose(found, 40, atol=1)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4)])
def test_a_model_of_no_images_is_told(tmp_path, shape):
    with pytest.raises(UserError, match="of an image with C 1 or 3"):
        images([tmp_path / "a.png"], shape, 255)
