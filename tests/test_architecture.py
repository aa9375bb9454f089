"""The map names files and types that exist, and draws every room."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAP = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_file_on_the_map_exists():
    named = set(re.findall(r"`((?:eailab|tests|docs)/[\w./-]*)`", MAP))
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_type_on_the_map_is_where_it_says():
    rows = re.findall(r"^\| `(\w+)` \| `([\w./]+)` \|", MAP, flags=re.MULTILINE)
    assert len(rows) == 8
    for name, path in rows:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:class {name}\b|{name}: TypeAlias)", source, flags=re.MULTILINE), name


def test_every_room_is_drawn():
    drawing = MAP.split("```text")[1].split("```")[0]
    rooms = {path.name + "/" * path.is_dir() for path in (ROOT / "eailab").iterdir() if path.suffix in ("", ".py")}
    missing = {room for room in rooms - {"__pycache__/", "locales/"} if room not in drawing}
    assert missing == set()


def test_the_map_is_one_page():
    assert len(MAP.splitlines()) <= 90


def test_no_module_has_more_than_400_lines():
    """A longer one has two subjects."""
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in (ROOT / "eailab").rglob("*.py")}
    assert {str(file): length for file, length in lengths.items() if length > 400} == {}
