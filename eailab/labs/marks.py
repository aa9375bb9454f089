"""Write what a grading came to, as Markdown and as Gradescope's `results.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from eailab.plain import plain_lines
from eailab.report.markdown import escaped

State = Literal["holds", "fails", "to be looked at", "not shown", "not checked"]
SHOWN = 12
"""Findings of a part that are listed."""


@dataclass(frozen=True)
class Mark:
    """One part of a rubric."""

    name: str
    """Of its points."""
    title: str
    state: State
    points: float
    of: float
    """0 where it was not checked, so that it neither gives points nor takes them."""
    said: tuple[str, ...]
    """What was found, a sentence each."""


@dataclass(frozen=True)
class Marks:
    """All parts."""

    title: str
    submission: str
    marks: tuple[Mark, ...]
    draw: int
    """With which trials and the hidden block were drawn."""

    @property
    def points(self) -> float:
        """Return the points in all."""
        return sum(one.points for one in self.marks)

    @property
    def of(self) -> float:
        """Return the points that could be had."""
        return sum(one.of for one in self.marks)

    def mark(self, name: str) -> Mark:
        """Return the part of a name."""
        return next(one for one in self.marks if one.name == name)

    def mapping(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "title": self.title,
            "submission": self.submission,
            "points": self.points,
            "of": self.of,
            "draw": self.draw,
            "marks": [
                {"name": one.name, "title": one.title, "state": one.state, "points": one.points, "of": one.of,
                 "said": list(one.said)}
                for one in self.marks
            ],
        }  # fmt: skip


def as_markdown(marks: Marks) -> str:
    """Return the marks as a comment for the student."""
    lines = [
        f"# {escaped(marks.title)}: {marks.points:g} of {marks.of:g} points",
        "",
        "| part | found | points |",
        "| --- | --- | ---: |",
        *(f"| {escaped(one.title)} | {one.state} | {_points(one)} |" for one in marks.marks),
    ]
    for one in marks.marks:
        if one.said:
            lines += ["", f"## {escaped(one.title)}", "", *(f"- {escaped(text)}" for text in _some(one.said))]
    lines += ["", f"Drawn with `--draw {marks.draw}`. What is to be looked at takes no points by itself."]
    return "\n".join(lines) + "\n"


def for_gradescope(marks: Marks) -> Mapping[str, Any]:
    """Return the marks as Gradescope reads them from `results.json`."""
    return {
        "score": marks.points,
        "output": f"{marks.points:g} of {marks.of:g} points. Drawn with --draw {marks.draw}.",
        "output_format": "text",
        "visibility": "after_published",
        "tests": [
            {
                "name": one.title,
                "score": one.points,
                "max_score": one.of,
                **({"status": "passed" if one.points >= one.of else "failed"} if one.of else {}),
                "output": plain_lines("\n".join([one.state, *_some(one.said)])),
                "output_format": "text",
            }
            for one in marks.marks
        ],
    }


def _points(one: Mark) -> str:
    return f"{one.points:g} of {one.of:g}" if one.of else "-"


def _some(said: tuple[str, ...]) -> list[str]:
    more = len(said) - SHOWN
    return [*said[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
