"""`eailab gate`: two revisions of a program, blocked by seeds, and an exit code."""

import json
import subprocess
import tempfile

import pytest
from conftest import run_here

PROGRAM = "seed=$1\necho loss=$(( {level} + 40 * seed % 7 + {own} * seed % 5 ))\n"
RUN = ("--run", "sh train.sh {seed}", "--metric", "loss", "--max-trials", "12")


def git(*words):
    """Run git, and return what it prints."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    return subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose program reports a loss of about 900."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    git("init", "-q")
    (here / "train.sh").write_text(PROGRAM.format(level=900, own=0))
    git("add", "-A")
    git("commit", "-qm", "one")
    return here


def left(repository):
    """Return what is left of worktrees: in the temporary folder, and in git's list beside the repository itself."""
    folders = [one for one in (repository.parent / "temporary").glob("*/*") if one.suffix != ".lock"]
    return [*folders, *git("worktree", "list").splitlines()[1:]]


@pytest.mark.parametrize(("level", "verdict", "code"), [(100, "BETTER", 0), (2000, "WORSE", 3)])
def test_changes_that_are_not_committed_are_judged_and_nothing_is_left(repository, level, verdict, code):
    """A gate reads the files as they are, and leaves index, branches and the temporary folder as they were."""
    (repository / "train.sh").write_text(PROGRAM.format(level=level, own=11))
    before = git("status", "--porcelain"), git("log", "--all", "--oneline")
    done = run_here("gate", "--base", "HEAD", *RUN)
    decision = json.loads(done.out.splitlines()[-1])
    assert (decision["verdict"], done.code) == (verdict, code), done.err
    assert (decision["baseline"], decision["arm"]) == ("base", "candidate")
    assert decision["low"] <= decision["difference"] <= decision["high"]
    assert (git("status", "--porcelain").replace("?? runs/\n", ""), git("log", "--all", "--oneline")) == before
    assert not left(repository)


def test_an_undecided_change_ends_with_4_and_runs_nothing_again(repository):
    """Two trials a revision cannot tell a difference of nothing; asking again costs no run."""
    (repository / "train.sh").write_text(PROGRAM.format(level=900, own=11))
    git("commit", "-qam", "two")
    asked = ("gate", "--base", "HEAD~1", "--candidate", "HEAD", *RUN[:-1], "4", "--json")
    done = run_here(*asked)
    assert (json.loads(done.out)["verdict"], done.code) == ("UNDECIDED", 4)
    results = {file: file.stat().st_mtime_ns for file in repository.glob("runs/trials/**/result.json")}
    assert len(results) == 4
    assert json.loads(run_here(*asked).out) == json.loads(done.out)
    assert {file: file.stat().st_mtime_ns for file in repository.glob("runs/trials/**/result.json")} == results


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--base", "HEAD", *RUN), "have the same code"),
        (("--base", "nowhere", *RUN), "nowhere is not a revision"),
        (("--base", "HEAD", "--run", "python trian.py {seed}", "--metric", "loss"), "no script trian.py"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(repository, words, said):
    """Each is one error with code 2, and leaves no worktree."""
    (repository / "new.py").write_text("")
    if "trian" not in str(words):
        (repository / "new.py").unlink()
    done = run_here("gate", *words)
    assert done.code == 2
    assert said in done.err
    assert not left(repository)
    assert not (repository / "runs").exists()


def test_new_files_belong_to_the_candidate_and_runs_folders_do_not(repository):
    """A person forgets `git add`, not that the file belongs to the change; a store beside it is not code."""
    from eailab.studies.revisions import Repository

    for name in ("below/runs/trials/a/out.py", "below/runs/studies/b/study.yaml", "below/new.py"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("")
    commit, notes = Repository(repository).snapshot(repository / "runs")
    assert git("ls-tree", "-r", "--name-only", commit).split() == ["below/new.py", "train.sh"]
    assert [note.partition(":")[0] for note in notes] == ["below/new.py"]


def test_worktrees_of_a_killed_gate_are_removed_by_the_next(repository):
    """After kill -9 nobody is there to remove them: the next gate does, and says so."""
    from eailab.studies.revisions import Repository

    (repository / "train.sh").write_text(PROGRAM.format(level=100, own=11))
    found = Repository(repository)
    with found.checked_out({"base": found.commit_of("HEAD")}, print) as one:
        session = one["base"].folder.parent
    session.mkdir()
    git("worktree", "add", "-q", "--detach", str(session / "base"), "HEAD")
    said = []
    with found.checked_out({"base": found.commit_of("HEAD")}, said.append) as one:
        assert (one["base"].folder / "train.sh").is_file()
    assert "left behind" in said[0]
    assert not left(repository)


@pytest.mark.parametrize("command", ["gate", "audit"])
def test_help_of_a_command_for_programs_names_no_metric_of_images(command):
    said = run_here(command, "-h").out
    assert "What the program reports" in said
    assert "validation-accuracy" not in said
