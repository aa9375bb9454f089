"""What lies beside an imported study is typed and bounded, so that whoever changes and seals it is refused by name."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from eailab.errors import DamagedError, UsageError
from eailab.existing.assign import Options
from eailab.findings.apart import tell_apart
from eailab.findings.study import study_findings
from eailab.report.judging import Terms, against, judge, of_files
from eailab.runs.lock import hold
from eailab.runs.store import Store
from eailab.studies.imported import MOST_RUNS, Imported, ImportRequest, Question, in_order, parse_summary, study_of
from eailab.studies.imported_files import digest_of, kept, problems, write_imported
from eailab.studies.storage import CHECKSUM, StudyRecord, read_record, write_record
from eailab.translation import language

CSV = "optimizer,seed,loss\nadam,1,0.5\nadam,2,0.75\nsgd,1,0.25\nsgd,2,nan\n"


def imported_study(tmp_path, text, name="results"):
    """Write an imported study into a store, without tables and pages, and return its folder."""
    (tmp_path / f"{name}.csv").write_text(text)
    read = of_files([tmp_path / f"{name}.csv"], Options())
    imported = Imported(
        arms=in_order(list(read.arms.values())),
        reader=read.reader,
        summaries=(None, None),
        asked=read.asked,
        files={name: digest_of(file) for name, file in read.sources.items()},
        notes=read.notes,
    )
    study = study_of(Question(read.factor, tuple(read.arms), 0, read.metric, read.blocked, 0.0), imported, name)
    folder = tmp_path / "runs" / "studies" / study.folder_name
    write_imported(folder, imported, read.sources)
    write_record(folder, StudyRecord(study, {}, (None, None), None, imported))
    return folder


@pytest.fixture
def folder(tmp_path):
    """An imported study, without tables and pages."""
    return imported_study(tmp_path, CSV)


def findings_of(folder):
    return study_findings(Store(folder.parent.parent), read_record(folder))


def seal(folder, values):
    """Let a study's record and recipes vouch for values that were changed."""
    (folder / "imported.json").write_text(values)
    digest = sha256(values.encode()).hexdigest()
    record = yaml.safe_load((folder / "study.yaml").read_text())
    record["imported"] = digest
    for arm in record["arms"]:
        arm["recipe"]["source"] = digest
    body = yaml.safe_dump(record, sort_keys=False)
    (folder / "study.yaml").write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")


def said(folder):
    record = read_record(folder)
    return "; ".join(problems(folder, record.imported, record.study))


def test_the_values_are_read_as_they_were_written(folder):
    imported = read_record(folder).imported
    assert imported.arms == ({"1": 0.5, "2": 0.75}, {"1": 0.25, "2": None})
    assert imported.asked == ImportRequest(Options(), (("results.csv",),))
    assert (folder / "imported.json").read_text() == imported.text
    assert said(folder) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema_version", 2),
        ("schema_version", None),
        ("arms", None),
        ("arms", [{"1": 0.5}]),
        ("arms", [{"1": 0.5, "2": 0.75}, {"1": 0.25, "2": True}]),
        ("arms", [{"1": 0.5, "2": 0.75}, {"1": 0.25, "2": "0.5"}]),
        ("arms", [{"1": 0.5, "2": 0.75}, {"1": 0.25, "2": 1e300}]),
        ("arms", [{"1": 0.5, "2": 0.75}, {"1": 0.25, "2": float("nan")}]),
        ("arms", [{"1": 0.5, "2": 0.75}, {"1": 0.25, "3": 0.5}]),
        ("arms", [{"1": 0.5}, {"1": 0.25}]),
        ("arms", [{"1": 0.5, "2": 0.75}] * 3),
        ("reader", 7),
        ("reader", "\ud800"),
        ("summaries", [None]),
        ("summaries", [None, {"n": 5, "mean": 0.5, "sd": 0.1}]),
        ("summaries", [None, {"n": 10**12, "mean": 0.5, "sd": 0.1}]),
        ("target", "3"),
        ("target", 0.5),
        ("beat_by", -1.0),
        ("beat_by", float("inf")),
        ("files", ["results.csv"]),
        ("files", {"/etc/passwd": "0" * 64}),
        ("files", {"../../study.yaml": "0" * 64}),
        ("files", {"a\0b": "0" * 64}),
        ("notes", "one"),
        ("notes", [{}]),
        ("notes", ["one"]),
        ("notes", [{"english": "a", "template": "{n", "values": {"n": 1}}]),
        ("notes", [{"english": "a", "template": "{n:>999999999}", "values": {"n": 1}}]),
        ("notes", [{"english": "a", "template": "{n.__class__}", "values": {"n": "1"}}]),
        ("notes", [{"english": "a", "template": "{n} blocks", "values": {}}]),
        ("asked", {}),
        ("asked", {"options": {}}),
        ("asked", {"options": {}, "paths": [[]]}),
        ("asked", {"options": {}, "paths": [["/etc"]]}),
        ("asked", {"options": {}, "paths": [["../../.."]]}),
        ("asked", {"options": {"unit": "kg"}, "paths": [["results.csv"]]}),
        ("asked", {"options": {"by": "optimizer"}, "paths": [["results.csv"]]}),
        ("asked", {"options": {"joint": 1}, "paths": [["results.csv"]]}),
        ("asked", {"options": {}, "summary": [7]}),
        ("other", 1),
    ],
)
def test_values_that_were_changed_and_sealed_again_are_refused(name, value, folder):
    """A runs folder may come from a stranger: each wrong type, range or path is a damaged study, never a traceback."""
    record = json.loads((folder / "imported.json").read_text())
    seal(folder, json.dumps(record | {name: value}))
    with pytest.raises(DamagedError, match=r"is not the values of an imported study|cannot be read as a study: its "):
        read_record(folder)


def test_a_judgement_by_fewer_runs_than_there_are_is_refused(folder):
    record = read_record(folder)
    write_record(folder, replace(record, judged=((1,),)))
    with pytest.raises(DamagedError, match="was not judged by all runs"):
        read_record(folder)


@pytest.mark.parametrize("text", ["", "[]", "7", "[" * 100_000, '{"arms": '])
def test_what_is_not_a_record_is_refused(text, folder):
    seal(folder, text)
    with pytest.raises(DamagedError, match="is not the values of an imported study"):
        read_record(folder)


def test_values_of_another_study_are_refused(folder):
    """The recipes of the arms name what they were read from."""
    record = (folder / "study.yaml").read_text().rpartition(CHECKSUM)[0]
    other = (folder / "imported.json").read_text().replace("0.25", "0.125")
    (folder / "imported.json").write_text(other)
    digest = sha256(other.encode()).hexdigest()
    body = yaml.safe_dump(yaml.safe_load(record) | {"imported": digest}, sort_keys=False)
    (folder / "study.yaml").write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")
    with pytest.raises(DamagedError, match="its recipes are not those of the values"):
        read_record(folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("arms", [{"1": 0.5, "2": 0.75}, {"1": 0.125, "2": None}], "does not give the values that were judged"),
        ("files", {"other.csv": "0" * 64}, "source/other.csv is missing"),
        ("files", {"x" * 5000: "0" * 64}, "cannot be read as it was judged"),
        ("files", {"": "0" * 64}, "cannot be read as it was judged"),
        ("files", {"results.csv": "7"}, "is not the file that was judged"),
        ("files", {}, "results.csv was not judged"),
        ("asked", {"options": {}, "paths": [["other.csv"]]}, "cannot be read as it was judged: there is no file"),
        ("asked", {"options": {"by": ["x"]}, "paths": [["results.csv"]]}, "there is no column 'x'"),
        ("asked", {"options": {}, "summary": ["A"]}, "cannot be read as it was judged: --summary"),
        ("asked", {"options": {}, "summary": ["A 1±2 n=3", "B 1±2 n=3"]}, "does not give the values"),
    ],
)
def test_verify_names_a_source_that_cannot_be_read_as_it_was_judged(name, value, message, folder):
    record = json.loads((folder / "imported.json").read_text())
    seal(folder, json.dumps(record | {name: value}))
    assert message in said(folder)


def test_a_link_in_place_of_the_source_is_not_followed(folder, tmp_path):
    (folder / "source" / "results.csv").unlink()
    (folder / "source" / "results.csv").symlink_to(tmp_path / "results.csv")
    assert "cannot be read as it was judged" in said(folder)


@pytest.mark.parametrize("n", [1, MOST_RUNS + 1, 10**12])
def test_a_published_arm_has_a_number_of_runs_that_can_be(n):
    with pytest.raises(UsageError, match=f"{MOST_RUNS:,} at most|expected an arm's name"):
        parse_summary(f"A 1±2 n={n}")


def test_a_file_behind_a_link_is_kept_under_its_own_name(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "r.csv").write_text(CSV)
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "r.csv").symlink_to(tmp_path / "far" / "r.csv")
    files, named = kept([tmp_path / "near"], [tmp_path / "near" / "r.csv"])
    assert (list(files), named) == (["near/r.csv"], ["near"])


def test_a_name_that_is_not_utf_8_is_refused():
    with pytest.raises(UsageError, match=r"r\\xb2\.csv: a name that is not UTF-8"):
        kept([Path("r\udcb2.csv")], [])


def test_two_sources_are_read_by_the_same_options(tmp_path):
    for name, value in (("a.csv", 1.0), ("b.csv", 2.0)):
        (tmp_path / name).write_text(f"seed,loss\n1,{value}\n2,{value + 1}\n")
    paths = tmp_path / "a.csv", tmp_path / "b.csv"
    options = Options(metric="loss")
    read = against(of_files(paths[:1], options), of_files(paths[1:], options), paths)
    assert read.asked == ImportRequest(options, (("a.csv",), ("b.csv",)))
    assert read.blocked


# --- results that grow ------------------------------------------------------------------------------------------------


def judged_again(tmp_path, *texts, name="results.csv"):
    """Judge a file as it grows; return the last study's record, and what was said of it."""
    store, said = Store(tmp_path / "runs"), []
    for text in texts:
        (tmp_path / name).write_text(text)
        said.clear()
        folder = judge(of_files([tmp_path / name], Options()), store, Terms(), said.append).path
    return read_record(folder), said


def with_runs(*seeds, heading="optimizer,seed,loss", arms=("adam", "sgd")):
    return "\n".join([heading, *(f"{arm},{seed},{at}.{seed}" for at, arm in enumerate(arms) for seed in seeds)])


def test_results_that_have_grown_are_judged_again_at_a_stricter_level(tmp_path):
    """As a study of eailab's own is: 5%, then 0.5%, by the runs of then and of now."""
    record, said = judged_again(tmp_path, with_runs(1, 2), with_runs(1, 2, 3, 4), with_runs(1, 2, 3, 4, 5))
    assert record.judged == ((1, 2), (1, 2, 3, 4), (1, 2, 3, 4, 5))
    assert "this is judgement 3, held at 0.0025" in said[0]
    looks = study_findings(Store(tmp_path / "runs"), record).looks
    assert (looks.levels, looks.planned) == ((0.05, 0.005, 0.0025), False)
    again, said = judged_again(tmp_path, with_runs(1, 2, 3, 4, 5))
    assert (again.judged, "the same study" in said[0]) == (record.judged, True)


def test_runs_without_seeds_grow_at_their_end(tmp_path):
    """Their numbers are places in the file."""
    rows = "optimizer,loss\nadam,1\nsgd,2\nadam,1.5\nsgd,2.5"
    record, _ = judged_again(tmp_path, rows, f"{rows}\nadam,1.25\nsgd,2.25\nsgd,3")
    assert record.judged == ((0, 1), (0, 1, 2, 3))


@pytest.mark.parametrize(
    "text",
    [
        with_runs(2, 3, 4),
        with_runs(1, 2, 3).replace("1.2", "1.3"),
        with_runs(1, 2, 3, arms=("adam", "lion")),
        with_runs(1, 2, 3, heading="optimizer,seed,error"),
    ],
    ids=["fewer", "changed", "other arms", "other metric"],
)
def test_other_results_are_a_judgement_of_their_own(text, tmp_path):
    record, said = judged_again(tmp_path, with_runs(1, 2), text)
    assert len(record.judged) == 1
    assert "this is a new judgement" in said[0]


def test_what_is_odd_in_a_source_is_translated(tmp_path):
    record, _ = judged_again(tmp_path, f"{with_runs(1, 2)}\nsgd,3,\n")
    (note,) = record.imported.notes
    assert note.text == "1 row has no value of loss: results.csv:6"
    assert language("zh-TW")(note.text) == "1 列沒有 loss 的值：results.csv:6"


def test_a_study_that_another_command_writes_is_waited_for(tmp_path, monkeypatch):
    """Two commands on one source write one folder."""
    monkeypatch.setattr("eailab.studies.sharing.SAID_AFTER_SECONDS", 0.0)
    (tmp_path / "results.csv").write_text(CSV)
    read, store, notes = of_files([tmp_path / "results.csv"], Options()), Store(tmp_path / "runs"), []
    folder = judge(read, store, Terms(), notes.append).path
    with hold(folder) as fence:
        assert fence is not None

        def give_up(text):
            if "another command is writing" in text:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            judge(read, store, Terms(), give_up)


def test_imported_studies_of_one_question_are_told_apart_by_their_source(tmp_path):
    """A heading of 64 digits would say no more."""
    texts = {"results": CSV, "again": CSV.replace("0.75", "0.5")}
    folders = [imported_study(tmp_path, text, name) for name, text in texts.items()]
    words = [one.apart for one in tell_apart(list(map(findings_of, folders)))]
    assert words == [("results.csv, CSV",), ("again.csv, CSV",)]


def test_imported_arms_with_equal_values_are_not_said_to_be_trained_alike(tmp_path):
    _, other = findings_of(imported_study(tmp_path, CSV.replace("sgd,1,0.25", "sgd,1,0.5").replace("nan", "0.75"))).arms
    assert other.notes[0] == "the same values as adam in every run"
