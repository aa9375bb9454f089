"""A report is held to the store: what was changed in either is found, and nothing else is complained of."""

import json
import re

import pytest

from eailab.data.registry import load
from eailab.errors import StoreError, UsageError
from eailab.report.formats import FORMATS
from eailab.report.report_diff import compare
from eailab.report.study_report import Report, load_study
from eailab.report.verify import verify
from eailab.report.write import write_report, write_study

SMALL = [0.90, 0.92, 0.91]
LARGE = [0.80, 0.83, "diverged"]
KINDS = ("html", "markdown", "latex", "csv", "json")


@pytest.fixture
def folder(shop):
    shop.digits = load("digits")
    return shop.study({10: SMALL, 20: LARGE})


@pytest.fixture
def files(shop, folder, tmp_path):
    """A report in several formats, without the figures beside it, which take the time."""
    report = Report("report", "en", (load_study(shop.store, folder),))
    written = {kind: tmp_path / f"report{FORMATS[kind].suffix}" for kind in KINDS}
    for kind, file in written.items():
        file.write_text(FORMATS[kind].text(report))
    return written


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_that_nobody_touched_matches_to_the_last_number(shop, files, kind):
    found = verify(files[kind], shop.store)
    assert found.holds
    assert (found.outcome.matching, found.trials, found.gaps) == (found.outcome.numbers, 6, ())
    assert found.outcome.numbers > 40


def test_a_trial_that_two_studies_share_is_one_trial(shop, folder, tmp_path):
    """Both tables name it, and both are told when it is damaged."""
    other = shop.study({10: SMALL, 40: [0.7, 0.7, 0.7]})
    report = tmp_path / "report.md"
    told = tuple(load_study(shop.store, path) for path in (folder, other))
    report.write_text(FORMATS["markdown"].text(Report("report", "en", told)))
    found = verify(report, shop.store)
    assert (found.trials, found.failing) == (9, 0)

    (shop.trial_folder(folder, 0, 0).path / "model.safetensors").write_bytes(b"damaged")
    found = verify(report, shop.store)
    assert (found.failing, len(found.problems)) == (1, 2)


@pytest.mark.parametrize("name", ["report.html", "table.md", "table.json"])
def test_a_studys_own_files_match(shop, folder, name):
    write_study(shop.store, folder)
    assert verify(folder / name, shop.store).holds


@pytest.mark.parametrize("kind", KINDS)
def test_every_changed_digit_is_found(shop, files, kind):
    """Each visible number in turn: one digit of it is changed, and the report no longer holds."""
    text = files[kind].read_text()
    start = text.index({"html": "<article", "latex": r"\begin{document}"}.get(kind, ""))
    seen = re.compile(r">[^<>]*?\d+\.(\d)" if kind == "html" else r"\d+\.(\d)")
    places = [match.start(1) for match in seen.finditer(text, start)]
    assert len(places) > 10
    for place in places[:: max(1, len(places) // 4)]:
        digit = (int(text[place]) + 1) % 10
        files[kind].write_text(f"{text[:place]}{digit}{text[place + 1 :]}")
        found = verify(files[kind], shop.store)
        assert not found.holds
        assert found.outcome.problems


def test_a_message_names_what_is_said_and_what_is_true(shop, files):
    text = files["markdown"].read_text()
    assert "| 91.00 |" in text
    files["markdown"].write_text(text.replace("| 91.00 |", "| 99.00 |"))
    found = verify(files["markdown"], shop.store).outcome
    assert found.matching == found.numbers - 1
    assert re.fullmatch(r"line \d+: 99.00 in the report, 91.00 from the store", found.problems[0])


@pytest.mark.parametrize("at", [0, 50, 85, 150, 298])
def test_a_message_on_a_long_line_quotes_what_differs(at):
    line = "word " * 60
    (said,) = compare(f"{line[:at]}X{line[at + 1 :]}", line, ".md").problems
    found, expected = re.findall("“(.*?)”", said)
    assert "X" in found
    assert found.replace("X", line[at]) == expected
    assert len(found) < 100


def test_a_changed_verdict_is_found_although_no_number_changed(shop, files):
    text = files["html"].read_text()
    changed = re.sub("UNDECIDED|SCREEN|WORSE", "BETTER", text.partition("</style>")[2])
    assert changed not in text
    files["html"].write_text(text.partition("</style>")[0] + "</style>" + changed)
    assert not verify(files["html"], shop.store).holds


def test_a_changed_drawing_is_found(shop, files):
    text = files["html"].read_text()
    files["html"].write_text(re.sub(r'(class="estimate")', r'\1 transform="scale(2)"', text, count=1))
    assert not verify(files["html"], shop.store).holds


FORGERIES = {
    "plain": "<h1>{}</h1>",
    "abrupt": "<!--><h1>{}</h1><!-- -->",
    "abrupt2": "<!---><h1>{}</h1><!-- -->",
    "bang": "<!-- x --!><h1>{}</h1><!-- -->",
    "cdata": "<![CDATA[><h1>{}</h1>]]>",
    "declaration": "<!x[><h1>{}</h1>]>",
    "comment": "<!-- {} -->",
    "space": " ",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_page_is_compared_to_the_last_letter_whatever_a_browser_makes_of_it(shop, files, forgery):
    head, main, rest = files["html"].read_text().partition("<main>")
    assert main
    files["html"].write_text(head + main + forgery.format("FORGED: 20 is BETTER by 9.99 pp") + rest)
    found = verify(files["html"], shop.store).outcome
    assert not found.holds
    assert found.matching == found.numbers
    assert any("FORGED" in problem or "“ \n” should be “\n”" in problem for problem in found.problems)


@pytest.mark.parametrize("version", ["0.0.9", "9.9", None])
def test_a_page_of_another_version_is_not_called_forged(shop, folder, files, version):
    """Its style and wording may differ; which version it is of is said, and what to do."""
    report = Report("report", "en", (load_study(shop.store, folder),), version=version)
    files["html"].write_text(FORMATS["html"].text(report))
    with pytest.raises(UsageError, match=rf"made by {version or 'an earlier'}.*make it again".replace("by ", "by .*")):
        verify(files["html"], shop.store)
    files["markdown"].write_text(FORMATS["markdown"].text(report))
    found = verify(files["markdown"], shop.store)
    assert found.holds
    assert "make it again" in found.notes[0]


HIDING = [
    ("markdown", "<!--", "-->"),
    ("markdown", "<details><summary>More</summary>", "</details>"),
    ("markdown", "```", "```"),
    ("markdown", "[a note]: notes 'which", "ends here'"),
    ("markdown", "A [link](there 'which", "ends here')"),
    ("markdown", "$$\\phantom{", "}$$"),
    ("markdown", "![Accuracy by epoch](figures/other.png)", ""),
    ("markdown", "Read it from right to left: \u202e", ""),
    ("markdown", "---", "---"),
    ("latex", r"\iffalse", r"\fi"),
    ("latex", r"\begin{comment}", r"\end{comment}"),
    ("latex", r"\newcommand\hidden{", "}"),
    ("latex", "% a remark", ""),
    ("latex", "^^fffalse", "^^ff"),
]


@pytest.mark.parametrize(("kind", "before", "after"), HIDING)
def test_what_hides_text_is_a_problem(shop, files, kind, before, after):
    """Added lines without a number that a reader's program obeys: nothing that was compared may be out of sight."""
    lines = files[kind].read_text().split("\n")
    at = next(
        number for number, line in enumerate(lines) if "WORSE" in line or "not finished" in line or "diverged" in line
    )
    files[kind].write_text("\n".join([*lines[:at], before, lines[at], after, *lines[at + 1 :]]))
    found = verify(files[kind], shop.store).outcome
    assert not found.holds
    assert any("was added, and may hide or change" in problem for problem in found.problems)


@pytest.mark.parametrize("line", ["It reached 99.9%.", "It reached ⅞ of them.", "**20 is BETTER**", "sgd is WORSE"])
def test_a_number_or_a_verdict_that_was_added_is_a_problem(shop, files, line):
    for kind in ("markdown", "latex"):
        files[kind].write_text(files[kind].read_text().replace("\n\n", f"\n\n{line}\n\n", 1))
        found = verify(files[kind], shop.store).outcome
        assert any("in the report but not from the store" in problem for problem in found.problems)


def test_a_key_that_stands_twice_in_json_is_a_problem(shop, files):
    """Programs differ in which of the two they read."""
    text = files["json"].read_text()
    files["json"].write_text(text.replace('"margin": ', '"margin": 9.0,\n      "margin": ', 1))
    found = verify(files["json"], shop.store).outcome
    assert found.problems == ("studies[0].margin: in the report but not from the store: “studies[0].margin = 9.0”",)


@pytest.mark.parametrize(("old", "new"), [('"mean": ', '"means": '), ('"post_hoc": []', '"post_hoc": {}')])
def test_a_key_of_another_name_and_an_empty_value_of_another_kind_are_problems(shop, files, old, new):
    text = files["json"].read_text()
    assert old in text
    files["json"].write_text(text.replace(old, new, 1))
    assert not verify(files["json"], shop.store).holds


def test_text_in_place_of_a_study_that_could_not_be_read_is_a_problem(shop, folder, files):
    """Messages about such studies are in the manifest too; only those that reading the store gives again stay."""
    other = shop.study({10: SMALL, 20: LARGE}, label_smoothing=0.1)
    (other / "study.yaml").write_text("name: [")
    report = write_report([folder, other], files["markdown"].parent / "out")
    assert len(report.unreadable) == 1
    assert str(shop.root) not in report.unreadable[0]
    for file in report.files.values():
        assert verify(file, shop.store).holds
        file.write_text(file.read_text().replace("cannot be read as a study", "is BETTER by 9 pp"))
        assert "9" in " ".join(verify(file, shop.store).outcome.problems)


@pytest.mark.parametrize("kind", ["html", "json"])
def test_blocks_that_were_picked_from_a_study_are_a_problem(shop, folder, files, kind):
    """A study grows at its end; a report without a block in the middle was not made by eailab. Nor does one repeat."""
    files[kind].write_text(FORMATS[kind].text(Report("report", "en", (load_study(shop.store, folder, None, (0, 2)),))))
    found = verify(files[kind], shop.store)
    assert found.outcome.holds
    assert not found.holds
    assert "leaves out: 1" in found.problems[0]

    files[kind].write_text(files[kind].read_text().replace("[0, 2]", "[0, 0, 2]", 1))
    assert not verify(files[kind], shop.store).outcome.holds


def test_added_prose_is_named_and_added_numbers_are_a_problem(shop, files):
    text = files["markdown"].read_text()
    files["markdown"].write_text(text + "\nWe thank our teachers.\n")
    found = verify(files["markdown"], shop.store)
    assert found.holds
    assert "We thank our teachers." in found.outcome.foreign[0]
    files["markdown"].write_text(text + "\nIt reached 99.9%.\n")
    assert not verify(files["markdown"], shop.store).holds


def test_a_line_taken_out_is_found(shop, files):
    lines = files["markdown"].read_text().splitlines()
    files["markdown"].write_text("\n".join(line for line in lines if "diverged" not in line))
    assert any("missing in the report" in problem for problem in verify(files["markdown"], shop.store).outcome.problems)


def test_a_deleted_trial_is_named_and_its_numbers_no_longer_match(shop, folder, files):
    for file in shop.trial_folder(folder, 0, 1).path.iterdir():
        file.unlink()
    found = verify(files["html"], shop.store)
    assert not found.holds
    assert found.gaps == (f"{folder.name}/10/1: no result in the store",)


def test_a_file_of_a_trial_that_changed_is_found(shop, folder, files):
    shop.trial_folder(folder, 0, 0).predictions_file.write_bytes(b"x")
    found = verify(files["json"], shop.store)
    assert any("differs from the checksum" in problem for problem in found.problems)


def test_a_study_that_has_grown_still_verifies_the_blocks_of_the_report(shop, files):
    """Blocks added later are another report's, and are named."""
    grown = shop.study({10: [*SMALL, 0.93], 20: [*LARGE, 0.82]})
    assert shop.findings(grown).planned == 8
    found = verify(files["markdown"], shop.store)
    assert found.holds
    assert "leaves out: 3" in found.notes[0]


def test_a_study_whose_settings_were_changed_is_no_longer_itself(shop, folder, files):
    study = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(study.replace("margin: 0.25", "margin: 9.0"))
    with pytest.raises(StoreError):
        verify(files["html"], shop.store)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", "<p>no report</p>"),
        ("a.md", "# x"),
        ("a.html", '<meta name="eailab-report" content="{}">'),
        ("a.json", '{"name": "x", "fingerprint": "0", "blocks": [1e999]}'),
        ("a.json", '{"studies": []}'),
        ("a.csv", 'study,block\n"a"b,1\n'),
        ("a.json", "{"),
        ("a.json", "[1]"),
        ("a.txt", "x"),
        ("a.md", '<!-- eailab-report: {"schema_version": 99} -->'),
        ("a.md", '<!-- eailab-report: {"schema_version": 1, "studies": {"../../etc": [0]}} -->'),
    ],
)
def test_what_is_no_report_is_bad_input(shop, folder, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError):
        verify(tmp_path / name, shop.store)


def test_a_report_on_another_store_is_told_where_to_look(shop, files):
    with pytest.raises(StoreError, match="--runs"):
        verify(files["html"], shop.beside("other").store)


def test_numbers_are_counted_as_a_reader_counts_them():
    page = '<p class="a1">1,234 images at 0.5e-3 &#8211;</p><path d="M 0 1"><style>p {margin: 1em}</style>'
    outcome = compare(page, page, ".html")
    assert (outcome.numbers, outcome.matching, outcome.holds) == (2, 2, True)


def test_json_leaves_are_named_by_their_path(shop, files):
    record = json.loads(files["json"].read_text())
    record["studies"][0]["arms"][1]["difference"] = 3.0
    files["json"].write_text(json.dumps(record))
    problems = verify(files["json"], shop.store).outcome.problems
    assert len(problems) == 1
    assert problems[0].startswith("studies[0].arms[1].difference: 3.0 in the report")


def test_a_table_of_another_program_is_no_report(shop, files, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("name,age\nAda,36\n")
    with pytest.raises(UsageError, match="not a table of trials"):
        verify(other, shop.store)
