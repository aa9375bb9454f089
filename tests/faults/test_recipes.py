"""Recipes from a stranger: whatever the text, it is a recipe or one clear error, soon and in little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from texts import FRAGMENTS, Judge, shipped

from eailab.recipe.yaml12 import MAX_BYTES

recipes = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=30).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    ),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(lambda parts: "\n".join(parts).encode()),
    st.builds(
        lambda whole, place, cut, new: whole[: place % len(whole)] + new + whole[place % len(whole) + cut :],
        st.sampled_from(shipped()),
        st.integers(0, 10**6),
        st.integers(0, 40),
        st.binary(max_size=6) | st.sampled_from([fragment.encode() for fragment in FRAGMENTS]),
    ),
)


def test_no_text_makes_the_reader_of_recipes_fail_hang_or_swell(tmp_path, long, tally):
    judge = Judge(tmp_path / "recipe.yaml")
    read = settings(
        max_examples=20_000 if long else 250, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )(given(recipes)(judge.__call__))
    read()
    tally("recipes by hypothesis", **judge.counts())


WORST = [
    b"[" * MAX_BYTES,
    b"a: " + b"[" * 5000,
    b"- " * (MAX_BYTES // 2),
    b"[" + (b"[" * 30 + b"]" * 30 + b",") * (MAX_BYTES // 61 - 1),
    b"a: |\n" + b" a\n" * 21_000,
    b"a:\n" * 21_000,
    b'a: "' + b"\\x41" * 16_000 + b'"',
    b"a: !!python/object/apply:os.system [id]",
    b"a: &a [*a]",
]
"""As large as a recipe may be, or of a kind that has hurt readers of YAML."""


def test_texts_as_large_as_may_be_are_read_as_soon(tmp_path, tally):
    judge = Judge(tmp_path / "recipe.yaml")
    for text in WORST:
        judge(text)
    assert judge.recipes == 0
    tally("recipes of the largest size", **judge.counts())


def test_no_text_that_coverage_leads_to_defeats_the_reader_of_recipes(tmp_path, long, tally):
    """Atheris keeps each text that reaches a new line, and goes on from there."""
    pytest.importorskip("atheris", reason="atheris is not installed: uv sync --group fuzz")
    runs, fuzzed = 20_000 if long else 250, tmp_path / "fuzzed"
    program = [sys.executable, str(Path(__file__).with_name("fuzz_recipes.py")), str(fuzzed)]
    ran = subprocess.run([*program, f"-atheris_runs={runs}", "-seed=1"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    counts = json.loads((fuzzed / "counts.json").read_text())
    found = [file for file in sorted((fuzzed / "corpus").iterdir()) if not file.name.startswith("seed-")]
    judge = Judge(tmp_path / "recipe.yaml")
    for text in [*found, fuzzed / "slowest"]:
        judge(text.read_bytes())
    assert counts["texts"] >= runs
    assert found, "it reached nothing new: the reader's lines were not counted"
    tally(
        "recipes by atheris",
        **(judge.counts() | {"texts": counts["texts"], "of_them_recipes": counts["of_them_recipes"]}),
        megabytes_while_counted=counts["most_megabytes"],
        that_reached_something_new=len(found),
    )
