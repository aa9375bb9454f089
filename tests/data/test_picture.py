"""Image files: transparency gets one answer in whatever way a file has it, and rotations are found."""

import numpy as np
import pytest
from PIL import Image

from eailab.data.picture import decode, is_turned, opened
from eailab.errors import DataError

COLOUR = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
ALPHA = np.arange(20, dtype=np.uint8).reshape(5, 4)


def save(path, kind):
    """Write the picture in one of the ways that files know transparency, or without."""
    colour, alpha = Image.fromarray(COLOUR), Image.fromarray(ALPHA)
    options = {}
    if kind in ("RGBA", "LA"):
        image = colour.convert(kind[:-1])
        image.putalpha(alpha)
    elif kind == "palette with transparency":
        image, options = colour.quantize(8), {"transparency": 0}
    elif kind == "palette with an alpha for each colour":
        image, options = colour.quantize(8), {"transparency": bytes(range(0, 80, 10))}
    elif kind in ("RGB with a transparent colour", "L with a transparent grey"):
        image = colour.convert(kind.split()[0])
        options = {"transparency": (1, 2, 3) if image.mode == "RGB" else 7}
    else:
        image = colour.quantize(8) if kind == "palette" else colour.convert(kind)
    image.save(path, **options)
    return path


TRANSPARENT = (
    "RGBA",
    "LA",
    "palette with transparency",
    "palette with an alpha for each colour",
    "RGB with a transparent colour",
    "L with a transparent grey",
)


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparency_is_refused_where_none_was_trained_on(kind, tmp_path):
    """Some of these were dropped in silence, and some refused."""
    path = save(tmp_path / "a.png", kind)
    for channels in (1, 3):
        with pytest.raises(DataError, match=r"a\.png has transparency: lay it on a background"):
            decode(path, channels)


@pytest.mark.parametrize("kind", TRANSPARENT)
@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_is_the_last_channel_of_two_or_four(kind, channels, tmp_path):
    """Data of 2 or 4 channels come as an `.npz` file."""
    pixels = decode(save(tmp_path / "a.png", kind), channels)
    assert pixels.shape == (5, 4, channels)
    if kind in ("RGBA", "LA"):
        assert np.array_equal(pixels[:, :, -1], ALPHA)
    if kind == "RGBA" and channels == 4:
        assert np.array_equal(pixels[:, :, :3], COLOUR)


@pytest.mark.parametrize("kind", ["RGB", "L", "1", "palette"])
def test_pictures_without_transparency_fit_one_or_three_channels_alone(kind, tmp_path):
    path = save(tmp_path / "a.png", kind)
    assert [decode(path, channels).shape[2] for channels in (1, 3)] == [1, 3]
    for channels in (2, 4):
        with pytest.raises(DataError, match=r"a\.png has no transparency, as the training images had"):
            decode(path, channels)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize(("orientation", "turned"), [(None, False), (1, False), (3, True), (6, True)])
def test_a_rotation_that_is_only_written_down_is_found(suffix, orientation, turned, tmp_path):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(COLOUR).save(tmp_path / f"a.{suffix}", exif=exif)
    with opened(tmp_path / f"a.{suffix}") as image:
        assert is_turned(image) is turned


def test_damaged_exif_data_turn_nothing(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    with opened(tmp_path / "a.jpg") as image:
        assert not is_turned(image)
