"""`eailab judge` gives verdicts on results that exist already, and keeps them as a study that says whose they are."""

import json
import shlex

import pytest

BLOCKED = """optimizer,seed,val_acc,host
adam,1,93.1,a
adam,2,93.4,a
adam,3,93.0,b
sgd,1,93.9,a
sgd,2,94.2,a
sgd,3,93.7,b
=cmd|' /C calc'!A0,1,93.2,b
=cmd|' /C calc'!A0,2,93.3,b
=cmd|' /C calc'!A0,3,93.1,b
"""
UNBLOCKED = "\n".join(
    ["opt;val_loss", *(f"adam;{value}" for value in ("0,31", "0,33", "0,30"))]
    + [f"sgd;{value}" for value in ("0,22", "0,25", "0,21", "0,24", "nan", "")]
)
WORD = "their author's word"


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results.csv").write_text(BLOCKED)
    return tmp_path / "results.csv"


def study(folder):
    (found,) = (folder / "runs" / "studies").iterdir()
    return found


def test_equal_seeds_make_blocks_and_the_study_verifies(eailab, source):
    """From the file to the verdict, the page, the list, and the numbers read from the kept copy again."""
    done = eailab("judge", "results.csv", "--margin", "0.3")
    assert done.code == 0, done.err
    assert "sgd                 93.9333  +0.7667" in done.out
    assert "correlation between arms" in done.out
    folder = study(source.parent)
    assert (folder / "source" / "results.csv").read_bytes() == source.read_bytes()
    assert WORD in (folder / "table.md").read_text()
    assert WORD.replace("'", "&#x27;") in (folder / "report.html").read_text().replace("&#39;", "&#x27;")
    for file in ("report.html", "table.md", "table.json"):
        checked = eailab("verify", str(folder / file))
        assert checked.code == 0, checked.err
    assert "eailab did not run these trials" in eailab("verify", str(folder / "table.md"), "--retrain", "sgd/1").err
    assert "imported" in eailab("studies", "list").out

    # The same file again is the same study; a changed copy of the source is noticed; another study may be removed.
    assert "is the same study" in eailab("judge", "results.csv", "--margin", "0.3").err
    exported = eailab("report", "--format", "csv", "--format", "latex", "--lang", "zh-TW")
    assert exported.code == 0, exported.err
    assert "'=cmd|" in (source.parent / "report" / "report.csv").read_text()
    (folder / "source" / "results.csv").write_text(BLOCKED.replace("93.9", "93.8"))
    assert "is not the file that was judged" in eailab("verify", str(folder / "table.md")).out
    assert eailab("studies", "rm", folder.name, "--yes").code == 0
    assert not folder.exists()


def test_a_changed_file_is_a_new_judgement(eailab, source):
    eailab("judge", "results.csv")
    source.write_text(BLOCKED.replace("93.9", "93.8"))
    assert "this is a new judgement" in eailab("judge", "results.csv").err
    assert len(list((source.parent / "runs" / "studies").iterdir())) == 2


def test_a_decision_names_the_command_that_judges_again(eailab, source):
    """Once the file has the runs that would decide it, also where it was judged before."""
    values = [(2.0, 2.5), (3.0, 3.1), (2.6, 3.0), (2.4, 3.2), (2.2, 2.9)]
    rows = [f"adam,{seed},{one}\nsgd,{seed},{other}\n" for seed, (one, other) in enumerate(values)]
    for count, needed in ((3, 8), (5, 7)):
        source.write_text("".join(["optimizer,seed,val_acc\n", *rows[:count]]))
        decision = json.loads(eailab("judge", "results.csv", "--json").out)["decision"]
        assert (decision["verdict"], decision["blocks_needed"]) == ("UNDECIDED", needed)
        assert decision["next_command"] == "eailab judge results.csv --json"


def test_a_decision_on_published_means_names_the_runs_that_would_decide_it(eailab, source):
    """Without their numbers: pasted as it is, the command invents nothing."""
    told = eailab("judge", "--summary", "A 93.5±0.2 n=5", "B 93.7±0.3 n=5", "--json")
    decision = json.loads(told.out)["decision"]
    command = "eailab judge 'B MEAN±SD n=180' --json --summary 'A MEAN±SD n=180'"
    assert (decision["blocks_likely"], decision["next_command"]) == (180, command)
    assert "expected an arm's name, its mean" in eailab(*shlex.split(command)[1:]).err


def test_groups_without_seeds_are_compared_without_blocks(eailab, source):
    """A value that is not finite is a run that diverged, and takes the favour from its arm; nothing is left unsaid."""
    source.write_text(UNBLOCKED)
    done = eailab("judge", "results.csv", "--json")
    found = json.loads(done.out)
    assert (found["state"], found["comparison"]["is_blocked"], found["comparison"]["df"]) == ("imported", False, 5)
    assert [found["decision"][key] for key in ("arm", "verdict", "blocks")] == ["sgd", "UNDECIDED", 4]
    table = (study(source.parent) / "table.md").read_text()
    assert "1 of 5 diverged" in table
    assert "1 row has no value of val_loss: results.csv:10" in table
    page = (study(source.parent) / "report.html").read_text()
    assert ("single runs, less the baseline" in page, ">run 0<" in page, "single blocks" in page) == (True, True, False)


def test_one_arm_is_held_to_a_number_or_a_record(eailab, source):
    source.write_text("run,val_loss\n1,3.2711\n2,3.2720\n3,3.2705\n")
    (source.parent / "record.csv").write_text("run,val_loss\n1,3.2781\n2,3.2790\n3,3.2795\n4,3.2785\n")
    assert "BETTER" in eailab("judge", "results.csv", "--target", "3.28").out
    against = ("judge", "results.csv", "--against", "record.csv", "--detect", "0.002", "--beat-by")
    assert "BETTER\n" in eailab(*against, "0.005").out
    assert "takes 6 runs of each arm, 3 more" in (done := eailab(*against, "0.007", "--fail-on", "undecided")).out
    assert (done.code, "not shown to be by more than 0.007" in done.out) == (4, True)
    assert "there is one arm, all" in eailab("judge", "results.csv").err


def test_published_means_are_compared(eailab, source):
    done = eailab("judge", "--summary", "A 93.5±0.2 n=5", "B 93.9 +- 0.3 n=5")
    assert "+0.4000  [+0.0184, +0.7816]  BETTER" in done.out
    assert eailab("verify", str(study(source.parent) / "report.html")).code == 0


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("", (), "is empty"),
        ("<!DOCTYPE html><html>", (), "is a web page"),
        ("a,acc\n", (), "has column names and no rows"),
        ("a,acc\nx,1,2\n", (), "results.csv:2 has 3 cells"),
        ("a,acc\nx,1\ny,good\n", (), "results.csv:3: 'good' in the column acc is not a number"),
        ("a,b,acc\nx,1,1\ny,2,2\n", (), "2 columns vary: a, b. Name the one"),
        ("a,seed,acc\nx,1,1\nx,1,2\ny,1,2\n", (), "x, seed 1, has 2 rows with unequal values"),
        ("a,acc\nx,1\ny,2\n", ("--by", "z"), "there is no column 'z': the columns are a, acc."),
        ("a,acc\nx,1\ny,2\n", ("--by", ""), "there is no column ''"),
        ("lr,acc\nx,1\ny,2\n", ("--metric", "ac"), "the columns are lr, acc; did you mean 'acc'?"),
        ("a,acc\nadam,1\nsgd,2\n", ("--baseline", "adm"), "the arms are adam, sgd; did you mean 'adam'?"),
        ("a,acc\nx,1\ny,2\n", ("--baseline", "z"), "the arms are x, y"),
        ("a,acc\nx,1\ny,2\n", ("--margin", "-1"), "--margin -1: give a number of 0 or more"),
        ("a,acc\nx,1\ny,2\n", ("--target", "1", "--against", "b.csv"), "are two baselines"),
        ("a,b,c\nx,1,1\ny,2,2\n", (), "name one with --metric, of b, c"),
    ],
)
def test_a_mistake_is_one_clear_error_and_writes_nothing(eailab, source, content, arguments, said):
    source.write_text(content)
    done = eailab("judge", "results.csv", *arguments)
    assert (done.code, said in done.err) == (2, True), done.err
    assert not (source.parent / "runs").exists()


def test_a_summary_that_cannot_be_read_is_refused(eailab, source):
    for text, said in [("A 93.5", "expected an arm's name"), ("A 1±2 n=1", "two runs or more")]:
        assert said in eailab("judge", "--summary", text, "B 93.9±0.3 n=5").err


def test_settings_that_change_together_are_one_arm(eailab, source):
    """As declared, and as `verify` and `runs verify` find it in the recipes of the arms."""
    rows = [f"{opt},{lr},{seed},{float(lr)}{seed}" for opt, lr in (("adam", "1e-3"), ("sgd", "0.1")) for seed in "123"]
    source.write_text("\n".join(["optimizer.name,lr,seed,loss", *rows]))
    assert "2 columns vary: optimizer.name, lr" in eailab("judge", "results.csv").err
    done = eailab("judge", "results.csv", "--by", "optimizer.name", "--by", "lr", "--joint")
    assert "sgd+0.1" in done.out
    assert "change together" in done.out
    assert eailab("verify", str(study(source.parent) / "table.md")).code == 0
    assert eailab("runs", "verify").code == 0
