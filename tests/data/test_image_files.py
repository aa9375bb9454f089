"""Image files: transparency gets one answer in whatever way a file has it, and rotations are found."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eailab.data import image_files
from eailab.data.image_files import decoded, is_turned, opened
from eailab.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes with grey PNG images of 4x3: three and two for training, one of the second for testing."""
    value = 0
    for part, name, count in (("train", "cat", 3), ("train", "Bee", 2), ("test", "cat", 1)):
        for number in range(count):
            value += 10
            save(tmp_path / part / name / f"{number}.png", value)
    return tmp_path


def save(path: Path, value: int | tuple[int, ...], mode: str = "L", size: tuple[int, int] = (4, 3)) -> None:
    """Write an image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def test_classes_and_files_come_in_the_order_of_their_names(root):
    """Capital letters come first, as everywhere in Python; the order of the disk does not matter."""
    train, test, classes = image_files.read_folder(root)
    assert classes == ("Bee", "cat")
    assert train.pixels[:, 0, 0, 0].tolist() == [40, 50, 10, 20, 30]
    assert train.labels.tolist() == [0, 0, 1, 1, 1]
    assert train.pixels.shape == (5, 3, 4, 1)
    assert (test.pixels.tolist(), test.labels.tolist()) == ([[[[60]] * 4] * 3], [1])


def test_one_coloured_image_gives_all_three_channels(root):
    save(root / "train" / "cat" / "9.png", (1, 2, 3), "RGB")
    train = image_files.read_folder(root).train
    assert train.pixels[:, 0, 0].tolist() == [[40] * 3, [50] * 3, [10] * 3, [20] * 3, [30] * 3, [1, 2, 3]]


@pytest.mark.parametrize("where", ["train/Bee/0.png", "train/cat/1.png", "test/cat/0.png"])
def test_wherever_the_coloured_image_lies_the_grey_ones_get_three_equal_channels(root, where):
    """Images are read one after the other, and those before the first that has colour are not read again."""
    grey = image_files.read_folder(root)
    save(root / where, (1, 2, 3), "RGB")
    mixed = image_files.read_folder(root)
    both = [(before, after) for i in (0, 1) for before, after in zip(grey[i].pixels, mixed[i].pixels, strict=True)]
    changed = [after.tolist() for before, after in both if not (after == before).all()]
    assert changed == [[[[1, 2, 3]] * 4] * 3]


def test_an_image_is_opened_once(root, monkeypatch):
    """Of a large folder on a slow disk, this is what takes the time."""
    paths = []
    monkeypatch.setattr(image_files, "opened", lambda path: (paths.append(path), opened(path))[1])
    image_files.read_folder(root)
    assert len(paths) == len(set(paths)) == 6


def test_hidden_files_are_passed_over(root):
    (root / "train" / ".DS_Store").write_bytes(b"x")
    (root / "train" / "cat" / ".hidden").write_bytes(b"x")
    assert len(image_files.read_folder(root).train) == 5


def test_the_first_image_of_another_size_is_named(root):
    save(root / "train" / "cat" / "1.png", 0, size=(5, 3))
    with pytest.raises(DataError, match=r"cat.1\.png is 5x3 pixels, but .*Bee.0\.png is 4x3"):
        image_files.read_folder(root)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("train/cat/notes.txt", b"hello", r"notes\.txt is not an image"),
        ("train/notes.txt", b"hello", r"notes\.txt is not a folder of a class"),
        ("train/cat/x.png", b"hello", r"x\.png cannot be read as an image"),
        ("train/cat/x.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 3\n", r"x\.png cannot be read as an image"),
        ("train/cat/x.png", b"", r"x\.png cannot be read as an image"),
        ("test/dog/x.png", b"", r"dog is a class without training images"),
    ],
)
def test_what_is_no_image_of_a_class_is_named(root, name, content, says):
    """Nothing is skipped in silence: the number of images is what one sees in the folder."""
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        image_files.read_folder(root)


def png_of_16_bits():
    """Return the smallest RGB image of 16 bits a channel, which Pillow cannot write."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 3, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(3 * 25))),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("name", "content"), [("x.png", png_of_16_bits()), ("x.ppm", b"P6 4 3 65535\n" + bytes(72))], ids=["png", "ppm"]
)
def test_16_bits_a_channel_are_not_read_as_8_in_silence(root, name, content):
    """Pillow opens them as 8-bit RGB, and drops the lower half of each number."""
    (root / "train" / "cat" / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} has 16 bits a channel"):
        image_files.read_folder(root)


def test_a_torn_image_is_named(root):
    path = root / "train" / "cat" / "x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 4)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"x\.png is damaged"):
        image_files.read_folder(root)


@pytest.mark.parametrize(
    ("mode", "said"), [("RGBA", "has transparency"), ("LA", "has transparency"), ("I;16", "is of Pillow's mode I;16")]
)
def test_kinds_that_would_lose_something_are_refused(root, mode, said):
    """Transparency and 16 bits have no place in 8-bit images; what to do with them is the user's to say."""
    save(root / "train" / "cat" / "x.png", 0, mode)
    with pytest.raises(DataError, match=rf"x\.png {said}: .*save it as 8-bit grey or RGB"):
        image_files.read_folder(root)


@pytest.mark.parametrize("side", [5000, 20000, 100_000])
def test_a_decompression_bomb_is_not_decoded(root, side):
    """A few hundred bytes that say they are gigabytes: below, in and beyond the range where Pillow itself speaks up."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    (root / "train" / "cat" / "x.png").write_bytes(bomb)
    with pytest.raises(DataError, match=r"x\.png (says that it is|cannot be read)"):
        image_files.read_folder(root)


@pytest.mark.parametrize("where", ["train/cat/link.png", "train/link"])
def test_links_out_of_the_folder_are_refused(root, tmp_path_factory, where):
    """A folder from a stranger must not show what lies elsewhere on the disk."""
    outside = tmp_path_factory.mktemp("outside")
    save(outside / "0.png", 1)
    (root / where).symlink_to(outside / "0.png" if where.endswith("png") else outside)
    with pytest.raises(DataError, match="leads out of"):
        image_files.read_folder(root)


def test_a_link_to_itself_is_refused(root):
    (root / "train" / "cat" / "loop.png").symlink_to("loop.png")
    with pytest.raises(DataError, match=r"loop\.png"):
        image_files.read_folder(root)


def test_links_inside_the_folder_are_images_like_others(root):
    (root / "train" / "cat" / "7.png").symlink_to(root / "train" / "cat" / "0.png")
    assert image_files.read_folder(root).train.pixels[:, 0, 0, 0].tolist() == [40, 50, 10, 20, 30, 10]


@pytest.mark.parametrize(
    ("removed", "says"),
    [
        ("test", "has no folder test: the layout is train/CLASS"),
        ("train", "has no folder train: the layout is train/CLASS"),
        ("train/cat", "has 1 class folders"),
        ("test/cat", r"test has no image"),
        ("train/cat/*", r"cat has no image"),
    ],
)
def test_an_incomplete_layout_is_explained(root, removed, says):
    for path in sorted(root.glob(f"{removed}/**/*") if "*" not in removed else root.glob(removed), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if "*" not in removed:
        (root / removed).rmdir()
    with pytest.raises(DataError, match=says):
        image_files.read_folder(root)


def test_images_that_are_to_be_turned_are_counted_and_taken_as_stored(root, caplog):
    """A whole training set of a telephone's upright photographs may lie on its side."""
    file = min((root / "train").glob("*/*"))
    exif = Image.Exif()
    exif[0x0112] = 6
    before = image_files.read_folder(root)
    with Image.open(file) as image:
        image.load()
    image.save(file, exif=exif)
    with caplog.at_level("INFO", logger="eailab"):
        after = image_files.read_folder(root)
    assert np.array_equal(before.train.pixels, after.train.pixels)
    assert caplog.messages == [
        f"note: 1 of the {len(after.train) + len(after.test)} images in {root} are turned by their EXIF data, which is "
        "not applied: they are taken as they are stored. Save them upright if that is not meant."
    ]


def test_a_class_whose_name_is_not_utf8_is_refused(root):
    (root / "train" / "\udcb2").mkdir()
    with pytest.raises(DataError, match="is a class whose name is not UTF-8"):
        image_files.read_folder(root)


COLOUR = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
ALPHA = np.arange(20, dtype=np.uint8).reshape(5, 4)


def save_transparent(path, kind):
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


def decode(path, channels):
    with opened(path, channels) as image:
        return decoded(path, image, channels)


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparency_is_refused_where_none_was_trained_on(kind, tmp_path):
    """Some of these were dropped in silence, and some refused."""
    path = save_transparent(tmp_path / "a.png", kind)
    for channels in (1, 3):
        with pytest.raises(DataError, match=r"a\.png has transparency: lay it on a background"):
            decode(path, channels)


@pytest.mark.parametrize("kind", TRANSPARENT)
@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_is_the_last_channel_of_two_or_four(kind, channels, tmp_path):
    """Data of 2 or 4 channels come as an `.npz` file."""
    pixels = decode(save_transparent(tmp_path / "a.png", kind), channels)
    assert pixels.shape == (5, 4, channels)
    if kind in ("RGBA", "LA"):
        assert np.array_equal(pixels[:, :, -1], ALPHA)
    if kind == "RGBA" and channels == 4:
        assert np.array_equal(pixels[:, :, :3], COLOUR)


@pytest.mark.parametrize("kind", ["RGB", "L", "1", "palette"])
def test_pictures_without_transparency_fit_one_or_three_channels_alone(kind, tmp_path):
    path = save_transparent(tmp_path / "a.png", kind)
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
