"""Record what a report was made of inside it, so that it can be made again and compared."""

import csv
import html
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from eailab import __version__
from eailab.errors import UsageError
from eailab.files import folder_name, path_name
from eailab.translation import ENGLISH

SCHEMA_VERSION = 1

MARK = "eailab-report"
"""Goes before the manifest in every format."""

_SAFE = re.compile(r"[A-Za-z0-9_-]{1,120}")

Kind = Literal["study", "report", "lab"]
"""`study` for the files in a study's own folder, `report` for several together, `lab` for the lab report."""


@dataclass(frozen=True)
class ReportedStudy:
    """A study of a report."""

    folder: str
    """Name of its folder: the study's name and fingerprint."""
    blocks: tuple[int, ...]
    """That it had when the report was made; a study may have grown since."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What the report calls arms otherwise than the store, by their own labels."""


@dataclass(frozen=True)
class Manifest:
    """The sources of a report, and how it was made."""

    kind: Kind
    lang: str
    sources: tuple[ReportedStudy, ...]
    unreadable: tuple[str, ...] = ()
    """Messages about studies that could not be read."""
    version: str | None = __version__
    """Of the eailab that made it; None for one that did not write it down, or had no place for it."""
    paths: tuple[ReportedStudy, ...] = ()
    """Path ablations."""

    def text(self) -> str:
        """Return it as one line of JSON that no format takes for anything but text."""
        mapping: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "kind": self.kind,
            "lang": self.lang,
            "studies": {source.folder: list(source.blocks) for source in self.sources},
            "unreadable": list(self.unreadable),
        } | ({} if self.version is None else {"eailab": self.version})
        if names := {source.folder: dict(source.names) for source in self.sources if source.names}:
            mapping["labels"] = names
        if self.paths:
            mapping["paths"] = {source.folder: list(source.blocks) for source in self.paths}
        return json.dumps(mapping, ensure_ascii=True).replace("--", "-\\u002d").replace(">", "\\u003e")


def parse(text: str) -> Manifest:
    """Return the manifest in the text of a page, a markdown or LaTeX file.

    Raises:
        UsageError: There is none, or it is of a newer version or damaged.
    """
    found = re.search(rf'{MARK}(?:: |" content=")(\{{[^\n>]*\}})', text)
    if found is None:
        raise UsageError("it does not say what it was made of: it is not a report of eailab, or is an old one.")
    try:
        mapping = json.loads(html.unescape(found[1]) if "&" in found[1].partition(":")[0] else found[1])
        if mapping["schema_version"] > SCHEMA_VERSION:
            raise UsageError("it was made by a newer eailab: install that one.")
        names = mapping.get("labels", {})
        sources = tuple(_source(folder, blocks, names.get(folder, {})) for folder, blocks in mapping["studies"].items())
        unreadable = tuple(str(message) for message in mapping["unreadable"])
        version = None if (version := mapping.get("eailab")) is None else str(version)
        paths = tuple(_source(folder, blocks) for folder, blocks in mapping.get("paths", {}).items())
        return _checked(Manifest(_kind(mapping["kind"]), str(mapping["lang"]), sources, unreadable, version, paths))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"what it says it was made of is damaged: {error}.") from error


def of_json(record: Mapping[str, Any]) -> Manifest:
    """Return the manifest of a report's JSON, or of a study's `table.json`.

    Raises:
        UsageError: It is neither.
    """
    try:
        studies: Sequence[Mapping[str, Any]] = record.get("studies", [record])
        sources = tuple(
            _source(folder_name(one["name"], one["fingerprint"]), one["blocks"], one.get("labels", {}))
            for one in studies
        )
        unreadable = tuple(str(message) for message in record.get("unreadable", ()))
        paths = tuple(
            _source(folder_name(path_name(one["names"]), one["fingerprint"]), one["blocks"])
            for one in record.get("paths", ())
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"it is not a report of eailab: {error!r}.") from error
    return _checked(Manifest("report" if "studies" in record else "study", ENGLISH, sources, unreadable, None, paths))


def of_csv(text: str, is_path: Callable[[str], bool]) -> Manifest:
    """Return the manifest of a report's CSV, whose rows name their studies and blocks.

    Args:
        text: Of the file.
        is_path: Whether the folder of a name is that of a path ablation, which the file does not say.

    Raises:
        UsageError: It is not such a file.
    """
    blocks: dict[str, dict[int, None]] = {}
    names: dict[str, dict[str, str]] = {}
    try:
        for row in csv.DictReader(io.StringIO(text), strict=True):
            blocks.setdefault(row["study"], {})[int(row["block"])] = None
            if row.get("arm_in_store", row["arm"]) != row["arm"]:
                names.setdefault(row["study"], {})[text_of_cell(row["arm_in_store"])] = text_of_cell(row["arm"])
    except (csv.Error, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"it is not a table of trials that eailab wrote: {error!r}.") from error
    sources = [_source(study, tuple(of), names.get(study, {})) for study, of in blocks.items()]
    paths = tuple(source for source in sources if is_path(source.folder))
    studies = tuple(source for source in sources if source not in paths)
    return _checked(Manifest("report", ENGLISH, studies, version=None, paths=paths))


def text_of_cell(cell: str) -> str:
    """Return the text of a cell, which has an apostrophe where a spreadsheet would take it for a formula.

    >>> text_of_cell("'=1+1")
    '=1+1'
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] in tuple("=+-@") else cell


def _checked(read: Manifest) -> Manifest:
    """Return what was read from a report, which must have a study."""
    count = len(read.sources)
    if not (read.sources or read.paths) or (read.kind == "study" and count > 1):
        raise UsageError(f"it says that it is a {read.kind} of {count} studies, which eailab does not write.")
    return read


def _kind(written: str) -> Kind:
    if written not in get_args(Kind):
        raise UsageError(f"{written!r:.20} is not a kind of report.")
    return cast(Kind, written)


def _source(folder: object, blocks: Any, names: Any = None) -> ReportedStudy:
    if not isinstance(folder, str) or not _SAFE.fullmatch(folder):
        raise UsageError(f"{folder!r:.60} is not the name of a study.")
    if not isinstance(blocks, list | tuple) or not blocks or not all(type(block) is int for block in blocks):
        raise UsageError(f"{blocks!r:.60} are not the blocks of {folder}.")
    names = names or {}
    if not isinstance(names, Mapping) or not all(isinstance(text, str) for pair in names.items() for text in pair):
        raise UsageError(f"{names!r:.60} are not labels of {folder}.")
    return ReportedStudy(folder, tuple(blocks), names)
