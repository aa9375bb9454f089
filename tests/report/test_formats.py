"""Terminal, markdown, HTML and JSON: one content, set in each, with nothing of it obeyed."""

import base64
import csv
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from eailab.findings.costs import ArmCost
from eailab.plain import plain
from eailab.report.compose import Detail, page_section, study_section
from eailab.report.csv_rows import trials_csv
from eailab.report.document import Bullets, Document, Section, Title
from eailab.report.html import render as page
from eailab.report.json_report import as_json
from eailab.report.markdown import escaped as markdown
from eailab.report.markdown import render
from eailab.report.terminal import print_study

SMALL = [0.90, 0.92, 0.91, 0.93]
LARGE = [0.80, 0.83, 0.81, 0.84]
HOSTILE = "<script>alert(1)</script>|`x`|$\\frac{1}$|\x1b[31m]]>&lt;\"'"


class Outline(HTMLParser):
    """The tags, ids, addresses and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.addresses, self.text, self.open, self.policy = [], [], [], "", [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in {"meta", "input", "img"}:
            self.open.append(tag)
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in {"src", "href", "xlink:href", "action", "data"} or "url(" in (value or ""):
                self.addresses.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def told(findings):
    """A study as a page has it, with a cost for each arm and without its data set's files."""
    costs = tuple(ArmCost(arm.label, (1.5,), 1.5, 2, 2, 200.0, ("cpu",)) for arm in findings.arms)
    missing = {
        "classes": None,
        "no_classes": "No pictures here.",
        "answers": (),
        "tuning_costs": (),
        "sheet": None,
        "networks": (),
    }
    return SimpleNamespace(findings=findings, costs=costs, **missing)


def html_of(*studies):
    sections = tuple(page_section(told(findings), findings.name) for findings in studies)
    return page(Document(studies[0].name, sections, dict))


@pytest.fixture
def found(shop):
    return shop.findings(shop.study({10: SMALL, 20: LARGE}))


@pytest.fixture
def hostile(found):
    """Findings whose every name is an attack; recipes refuse some of these letters, reports rely on nothing."""
    return named(found, HOSTILE)


def named(found, name):
    arms = tuple(replace(arm, label=name, notes=(name,)) for arm in found.arms)
    return replace(found, name=name, factor=f"data.{name}", arms=arms, held_fixed=(("data.name", name),))


def test_the_page_is_whole_and_reaches_for_nothing_outside(found):
    text = html_of(found)
    outline = Outline(text)

    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert outline.open == []
    assert {"link", "iframe", "object"}.isdisjoint(outline.tags)
    assert outline.tags.count("script") == 3  # the numbers of two figures of curves, and our own
    assert set(outline.addresses) == {"#study-1"}
    assert not re.search(r"https?://", text)


def test_the_policy_allows_one_script_and_one_style_and_no_network(found):
    text = html_of(found)
    policy = dict(part.split(" ", 1) for part in Outline(text).policy.split("; "))
    contents = {tag: re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1] for tag in ("script", "style")}

    assert (policy["default-src"], policy["img-src"]) == ("'none'", "data:")
    for tag, content in contents.items():
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"


def test_ids_are_unique_in_a_page_of_several_studies(found):
    ids = Outline(html_of(found, found)).ids
    assert {"study-1", "study-2"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_a_page_shows_every_block_margin_and_interval(found):
    """The forest plot: a dot a block, an interval and an estimate an arm, and the margin behind them."""
    text = html_of(found)
    assert text.count('class="block"') == 4
    assert text.count('class="interval"') == text.count('class="margin"') == 1
    assert "difference in validation accuracy (percentage points; right is better)" in text


def test_a_page_without_pictures_says_why(found):
    assert "No pictures here." in Outline(html_of(found)).text


def test_tags_of_a_page_do_not_depend_on_names(found, hostile):
    """Whatever a recipe is called, it adds text and never an element."""
    harmless = "".join("x" if letter.strip() else " " for letter in HOSTILE)  # as long, and broken into as many lines
    assert Outline(html_of(hostile)).tags == Outline(html_of(named(found, harmless))).tags
    assert "<script>alert(1)</script>" in Outline(html_of(hostile)).text
    assert "\x1b" not in html_of(hostile)


def test_numbers_for_the_script_cannot_end_their_element(hostile):
    numbers, _ = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html_of(hostile), re.DOTALL)
    assert "<" not in numbers
    assert json.loads(numbers)["arms"][1] == plain(HOSTILE)


def test_names_stay_in_their_cell_in_markdown(hostile):
    unreadable = Section(Title("lost"), answer=(Bullets(("<b>",)),))
    text = render(Document("Report", (study_section(hostile, Detail.REPORT), unreadable), dict))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert not re.search(r"(?<!\\)<", text)
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<script>", r"\<script\>"),
        ("batch_size", "batch_size"),
        ("_x_", r"\_x\_"),
        ("[-0.1, 0.2]", "[-0.1, 0.2]"),
        ("[a](b)", r"[a\](b)"),
        ("https://a.b", r"https\://a.b"),
        ("&lt;", r"\&lt;"),
        ("AT&T & co", r"AT\&T & co"),
        ("a\nb", "a b"),
    ],
)
def test_markdown_shows_text_literally(text, shown):
    assert markdown(text) == shown


def test_control_characters_and_turned_writing_are_taken_out():
    assert plain("a\x1b]0;t\x07\u202eb\tc") == "a\ufffd]0;t\ufffd\ufffdb c"


def test_markdown_holds_the_table_and_its_figures(found):
    text = render(Document("Report", (study_section(found, Detail.REPORT, level=1),), dict))
    assert text.startswith("# Does the batch size change the validation accuracy?")
    assert "| 20 | 82.00 |" in text
    assert "| WORSE |" in text
    assert f"![Learning curves](figures/{found.folder_name}/curves.png)" in text
    assert "**Held fixed:**" in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_every_number_within_its_width(found, width):
    output = io.StringIO()
    print_study(found, Console(file=output, width=width))
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    row = next(line for line in lines if line.startswith("20 "))
    assert row.split() == ["20", "82.00", "-9.50", "[-10.42,", "-8.58]", "WORSE", "81.00"]


@pytest.mark.parametrize("width", [20, 40, 55])
def test_a_narrow_terminal_loses_no_label_number_or_verdict(found, width):
    """A number without its arm, or an arm without its verdict, would be worse than no table."""
    output = io.StringIO()
    print_study(found, Console(file=output, width=width))
    table = output.getvalue().split("Blocks:")[0]
    assert max(map(len, table.splitlines())) <= width
    for said in ("10 (baseline)", "mean %: 91.50", "20", "diff. pp: -9.50", "[-10.42, -8.58]", "verdict: WORSE"):
        assert said in " ".join(table.split())


def test_a_piped_table_is_plain_and_a_name_cannot_drive_the_terminal(hostile):
    output = io.StringIO()
    print_study(hostile, Console(file=output, width=80))
    text = output.getvalue()
    assert "\x1b" not in text
    assert not set("│─┃━┏") & set(text)
    assert not [line for line in text.splitlines() if line.endswith(" ")]


def test_json_holds_every_number_unrounded(found):
    record = json.loads(as_json(found), parse_constant=pytest.fail)
    small, large = record["arms"]

    assert record["schema_version"] == 1
    assert (record["factor"], record["baseline"], record["blocks"]) == ("batch_size", "10", [0, 1, 2, 3])
    assert large["difference"] == found.arms[1].against_baseline.difference
    assert large["verdict"] == "WORSE"
    assert [trial["value"] for trial in small["by_block"]] == [100 * value for value in SMALL]
    assert small["by_block"][0]["curves"]["epochs"] == [1, 2, 3]
    assert record["held_fixed"]["optimizer.lr"] == 0.001


def test_json_holds_no_time_host_or_path(found, shop):
    text = as_json(found)
    assert "a-secret-host" not in text
    assert "2026-01-02" not in text
    assert str(shop.root) not in text
    assert "seconds" not in text


def test_json_of_the_same_results_elsewhere_has_the_same_bytes(found, shop):
    other = shop.beside("elsewhere")
    assert as_json(other.findings(other.study({10: SMALL, 20: LARGE}))) == as_json(found)


def test_json_has_null_for_what_is_not_there(shop):
    outcomes = {10: [0.9, 0.9, "diverged"], 20: ["missing", "damaged", "unfinished"]}
    record = json.loads(as_json(shop.findings(shop.study(outcomes))), parse_constant=pytest.fail)
    assert record["state"] == "running"
    assert record["arms"][1]["mean"] is None
    assert [trial["state"] for trial in record["arms"][1]["by_block"]] == ["missing", "damaged", "unfinished"]


def test_every_key_of_the_json_is_documented(found):
    """The schema that others write programs against."""
    documented = Path(__file__).parents[2].joinpath("docs", "report-json.md").read_text()
    open_ended = {"held_fixed", "environments", "trend", "effects", "looks"}  # their own keys are settings and numbers

    def keys(value):
        if isinstance(value, list):
            return set().union(*map(keys, value))
        if not isinstance(value, dict):
            return set()
        return set(value).union(*(keys(inner) for key, inner in value.items() if key not in open_ended))

    found = keys(json.loads(as_json(found)))
    assert len(found) > 50
    assert {key for key in found if f"`{key}`" not in documented} == set()


def test_csv_has_a_row_for_each_trial_and_no_formula(hostile):
    costs = tuple(ArmCost("a", (1.5,) * 4, 6.0, 8, 8, 1.0, ()) for _ in hostile.arms)
    findings = replace(hostile, factor="+x")
    study = SimpleNamespace(recipe_of=lambda _arm, _trial: None, findings=findings, costs=costs)
    text = trials_csv([("=cmd", study)])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 8
    assert (rows[0]["study"], rows[0]["factor"], rows[0]["value"]) == ("'=cmd", "'+x", "90.0")
    assert rows[0]["arm"] == plain(HOSTILE)
