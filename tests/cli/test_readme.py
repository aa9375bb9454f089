"""What the README shows is what the program does."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TRANSLATION = (ROOT / "README.zh-TW.md").read_text(encoding="utf-8")


def blocks(text):
    return re.findall(r"^```.*?^```", text, flags=re.MULTILINE | re.DOTALL)


GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
LABS = (ROOT / "docs" / "labs.md").read_text(encoding="utf-8")
SHOWN = [block for text in (README, GUIDE, LABS) for block in blocks(text)]
COMMANDS = re.findall(r"^eailab .*?(?=\s+#|$)", "\n".join(SHOWN), flags=re.MULTILINE)


def test_the_translation_shows_the_same_commands_tables_and_figures():
    """Both readmes are equal in content; only sentences and comments are translated."""
    without_comments = [re.sub(r"\s+# .*", "", block) for block in blocks(README)]
    assert [re.sub(r"\s+# .*", "", block) for block in blocks(TRANSLATION)] == without_comments
    assert [line.count("#") for line in TRANSLATION.splitlines() if re.match("#+ ", line)] == [
        line.count("#") for line in README.splitlines() if re.match("#+ ", line)
    ]
    links = set(re.findall(r"\]\(((?!README)[^)]+)\)", TRANSLATION))
    assert {link.replace(".zh-TW.md", ".md") for link in links} == set(re.findall(r"\]\(((?!README)[^)]+)\)", README))


def test_every_file_that_is_linked_is_here():
    for text in (README, TRANSLATION):
        for link in re.findall(r"\]\(([^)]+)\)", text):
            assert (ROOT / link).exists(), link


def test_the_gate_runs_the_readmes_test_command():
    command = "pip install uv && uv run pytest"
    assert command in README
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == command


NUMBER = r"[-+]?\d+(?:\.\d+)?"


def test_the_table_is_what_the_first_command_prints(eailab_table):
    """The table in the README has this version's rows and columns, and its numbers up to the processor's rounding.

    Each kind of processor adds in an order of its own, so that some of the 288 validation images change their class,
    each of which moves a mean of five blocks by 0.07 points.
    """
    shown = next(block for block in blocks(README) if "batch_size" in block).splitlines()[1:6]
    printed = [line.rstrip() for line in eailab_table.splitlines()][: len(shown)]
    assert printed[0].split() == shown[0].split()
    for ours, theirs in zip(printed[2:], shown[2:], strict=True):
        assert ours.split()[0] == theirs.split()[0]
        found, expected = ([float(number) for number in re.findall(NUMBER, line)] for line in (ours, theirs))
        assert found == pytest.approx(expected, abs=0.4)


@pytest.fixture
def eailab_table(eailab):
    done = eailab(*shlex.split("ablate batch-size 16 32 64 --recipe digits-mlp --seeds 5 --jobs 1"))
    assert done.code == 0, done.err
    return done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_is_shown_exists(eailab, command):
    """Each is parsed with all its options; help is asked for so that nothing long is trained."""
    done = eailab(*shlex.split(command)[1:], "--help")
    assert done.code == 0, done.err
    assert "Usage" in done.out
