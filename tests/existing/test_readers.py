"""Results of trackers and training libraries become one row a run, and are assigned to arms and seeds."""

import json
import math
import shutil
import sqlite3
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eailab.errors import EailabError, UsageError
from eailab.existing.assign import Options, assign
from eailab.existing.read import read_table
from eailab.existing.readers.wandb_log import read_log

FIXTURES = Path(__file__).parents[1] / "fixtures" / "existing"
EXPECTED = {"adam": {"1": 0.75, "2": 0.5}, "sgd": {"1": 0.25, "2": 0.375}}


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def runs():
    for arm, values in EXPECTED.items():
        for seed, value in values.items():
            yield arm, int(seed), value


def lightning(root):
    """As Lightning's trainer has written; see `make_runs.py` beside the fixtures."""
    shutil.copytree(FIXTURES / "lightning", root, dirs_exist_ok=True)


def hydra(root):
    """As Hydra lays it out, with settings that tell no arms apart."""
    for number, (arm, seed, value) in enumerate(runs()):
        folder = root / f"multirun/2026-01-01/10-00-00/{number}"
        write(
            folder / ".hydra/config.yaml",
            f"optimizer:\n  name: {arm}\n  lr: 0.1\nseed: {seed}\nstore: /x/{number}\nrun_name: r{number}\n",
        )
        write(folder / "metrics.json", {"val_acc": value, "step": 20})


def hydra_itself(root):
    """As Hydra has written in a multirun; see `make_runs.py` beside the fixtures."""
    shutil.copytree(FIXTURES / "hydra", root, dirs_exist_ok=True)


def hugging_face(root):
    """As the trainer has written; its settings lie in a pickle, so names of folders count."""
    shutil.copytree(FIXTURES / "hugging_face", root, dirs_exist_ok=True)
    write(root / "sgd_seed2/checkpoint-9/trainer_state.json", {"log_history": []})


def wandb(root):
    """As wandb writes for runs that were online."""
    for arm, seed, value in runs():
        folder = root / f"wandb/offline-run-20260101_10000{seed}-{arm}/files"
        config = f"_wandb:\n  value:\n    t: 1\noptimizer:\n  desc: null\n  value: {arm}\nseed:\n  value: {seed}\n"
        write(folder / "config.yaml", config)
        write(folder / "wandb-summary.json", {"val_acc": value, "_step": 20, "_runtime": 3.5})


def wandb_offline(root):
    """As wandb has written offline; see `make_runs.py` beside the fixtures."""
    shutil.copytree(FIXTURES / "wandb", root, dirs_exist_ok=True)


def mlruns(root):
    """As MLflow 3.17 writes with `file://` (compared with it), and a run that was deleted."""
    write(root / "mlruns/0/deleted/meta.yaml", "status: 3\nlifecycle_stage: deleted\n")
    write(root / "mlruns/0/deleted/metrics/val/acc", "1767225600000 0.9 2\n")
    for number, (arm, seed, value) in enumerate(runs()):
        folder = root / f"mlruns/0/{number:032x}"
        write(folder / "meta.yaml", "status: 3\nlifecycle_stage: active\n")
        write(folder / "params/optimizer", arm)
        write(folder / "params/seed", str(seed))
        write(folder / "metrics/val/acc", f"1767225600000 {value} 2\n1767225500000 0.1 1\n")


def tensorboard(root):
    """By TensorBoard's own writer."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for arm, seed, value in runs():
        writer = EventFileWriter(str(root / f"{arm}_seed{seed}"))
        for step, one in ((1, 0.1), (2, value)):
            summary = Summary(value=[Summary.Value(tag="val/acc", simple_value=one)])
            writer.add_event(Event(step=step, wall_time=1.0, summary=summary))
        writer.close()


@pytest.mark.parametrize(
    ("make", "reader", "factor"),
    [
        (lightning, "Lightning", "optimizer"),
        (hydra, "Hydra", "optimizer.name"),
        (hydra_itself, "Hydra", "optimizer.name"),
        (hugging_face, "Hugging Face", "method"),
        (wandb, "W&B", "optimizer"),
        (wandb_offline, "W&B", "optimizer.name"),
        (mlruns, "MLflow", "optimizer"),
        (tensorboard, "TensorBoard", "method"),
    ],
)
def test_a_folder_of_runs_gives_the_last_value_of_each(make, reader, factor, tmp_path):
    make(tmp_path)
    table = read_table([tmp_path])
    metric = next(
        name for name, role in table.roles.items() if role == "metric" and "acc" in name and "max" not in name
    )
    found = assign(table, Options(metric=metric))
    assert (table.reader, found.factor, found.is_blocked) == (reader, (factor,), True)
    assert found.arms == EXPECTED
    assert all(file.is_file() for file in table.files)


def test_deleted_and_unfinished_runs_are_named(tmp_path):
    mlruns(tmp_path)
    write(tmp_path / f"mlruns/0/{0:032x}/meta.yaml", "status: 1\n")
    unfinished, deleted = read_table([tmp_path]).notes[::-1]
    assert unfinished.endswith(f"{0:032x} has not finished, and its values count")
    assert deleted == f"{tmp_path.name}: 1 run that was deleted is left out"


def test_folders_named_one_by_one_are_one_table(tmp_path):
    """As a shell fills in `runs/*/`."""
    lightning(tmp_path)
    folders = sorted(tmp_path.iterdir())
    assert assign(read_table(folders), Options(metric="val_acc")).arms == EXPECTED


def test_the_last_checkpoint_counts_where_the_trainer_saved_nothing_else(tmp_path):
    for step in (9, 100):
        state = {"log_history": [{"eval_accuracy": step / 1000}]}
        write(tmp_path / f"adam_seed1/checkpoint-{step}/trainer_state.json", state)
    table = read_table([tmp_path])
    assert table.columns["eval_accuracy"] == [0.1]
    assert table.notes == (f"{tmp_path.name}/adam_seed1: its last checkpoint counts, checkpoint-100",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.json", [{"optimizer": arm, "seed": seed, "val_acc": value} for arm, seed, value in runs()]),
        ("r.json", {key: [run[at] for run in runs()] for at, key in enumerate(("optimizer", "seed", "val_acc"))}),
        (
            "r.jsonl",
            "\n\n".join(json.dumps({"optimizer": arm, "seed": seed, "val_acc": value}) for arm, seed, value in runs()),
        ),
    ],
    ids=["list", "columns", "lines"],
)
def test_json_gives_a_row_a_run(name, content, tmp_path):
    write(tmp_path / name, content)
    assert assign(read_table([tmp_path / name]), Options()).arms == EXPECTED


def test_an_integer_beyond_all_floats_counts_as_diverged(tmp_path):
    """Python reads 400 digits as an integer, and refuses to make a float of it."""
    write(tmp_path / "r.json", [{"seed": seed, "loss": -(10**400) if seed else 1} for seed in range(2)])
    assert assign(read_table([tmp_path / "r.json"]), Options()).arms == {"all": {"0": 1.0, "1": -math.inf}}


def test_hyperfines_times_are_runs_of_its_commands(tmp_path):
    """As hyperfine has written, with a run that failed; its runs share no seeds."""
    content = json.loads((FIXTURES / "hyperfine.json").read_text())
    content["results"][1]["exit_codes"][2] = 1
    write(tmp_path / "h.json", content)
    table = read_table([tmp_path / "h.json"])
    found = assign(table, Options(goal="min"))
    assert {arm: [*values.values()] for arm, values in found.arms.items()} == {
        one["command"]: one["times"] for one in content["results"]
    }
    assert not found.is_blocked
    assert table.notes == ("sleep 0.02: 1 of its runs ended with an error, and its time counts",)


# --- W&B's logs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path):
    """The log of a run with a text that is longer than a block of the file."""
    wandb_offline(tmp_path)
    return max(tmp_path.rglob("*.wandb"), key=lambda file: file.stat().st_size)


def test_a_run_of_wandbs_has_its_last_values_and_its_summary(log):
    """What `define_metric(…, summary="max")` keeps is a best value, and is said to be one."""
    table = read_table([log])
    assert {name: values[0] for name, values in table.columns.items() if name != "text"} == {
        "optimizer.name": "sgd",
        "optimizer.lr": 0.1,
        "seed": 2.0,
        "epoch": 2.0,
        "val_acc": 0.375,
        "val_acc.max": 0.9,
        "val.loss": 0.625,
    }
    assert table.columns["text"] == ["x" * 40_000]
    found = assign(read_table([*log.parents[1].iterdir()]), Options(metric="val_acc.max"))
    assert "val_acc.max is called a best value" in found.notes[0]


def test_a_wandb_log_that_was_cut_off_gives_what_stands_before(log):
    """As that of a run that was killed; zeros are what some file systems leave after a power cut."""
    whole = log.read_bytes()
    second = whole.index(b"0.375")
    for cut, seen in ((40_500, 0.375), (len(whole) - 3, 0.375), (second, 0.9), (7, None), (9, None)):
        for end in (b"", bytes(40_000)):
            log.write_bytes(whole[:cut] + end)
            run = read_log(log)
            assert (run.history.get("val_acc"), run.exit_code) == (seen, None)
            assert run.is_torn == (cut != 7 or bool(end))
    log.write_bytes(whole[:second])
    ends, unfinished = read_table([log]).notes
    assert ends.endswith(": its log ends within a record, and what stands before it counts")
    assert unfinished.endswith(" has not finished, and its values count")


def test_a_wandb_log_in_which_a_byte_was_changed_is_one_error_or_cut_short(log):
    """Each chunk has a checksum; only a length that leads beyond the end is taken for an end."""
    log = next(file for file in sorted(log.parents[1].rglob("*.wandb")) if file != log)
    whole, said = log.read_bytes(), []
    for at in range(0, len(whole), 7):
        log.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            assert read_log(log).is_torn
        except UsageError as error:
            said.append(str(error))
    assert all("it is damaged, or another version wrote it. Copy it again" in one for one in said)
    assert len(said) > 0.95 * len(whole) / 7


@given(
    record=st.binary(max_size=60)
    | st.builds(lambda inner: b"\x12" + bytes([len(inner)]) + inner, st.binary(max_size=60))
)
def test_a_record_of_any_bytes_is_read_or_is_one_error(record, tmp_path_factory):
    """Its checksum is right, so that another program or version may have written it."""
    file = tmp_path_factory.mktemp("w") / "run-1.wandb"
    head = struct.pack("<IHB", zlib.crc32(b"\1" + record), len(record), 1)
    file.write_bytes(b":W&B\xe1\xbe\0" + head + record)
    with suppress(UsageError):
        read_log(file)


# --- MLflow's database ------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path):
    """Four runs and one that was deleted, from the dump of a real database: see `make_mlflow.py` beside it."""
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(file) as connection:
        connection.executescript((FIXTURES / "mlflow.sql").read_text(encoding="utf-8"))
    connection.close()
    return file


def test_mlflows_database_is_read_without_mlflow(database):
    before = database.read_bytes()
    table = read_table([database])
    assert assign(table, Options(metric="val_acc")).arms == EXPECTED
    assert table.notes[0] == "mlflow.db: 1 run that was deleted is left out"
    assert database.read_bytes() == before


def test_a_database_that_is_locked_is_named(database, monkeypatch):
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: real(*args, **{**options, "timeout": 0}))
    connection = real(database)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(UsageError, match="is locked: another program writes"):
            read_table([database])
    finally:
        connection.close()


def test_a_database_of_another_version_is_named(database):
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE latest_metrics RENAME TO newest_metrics")
    connection.close()
    with pytest.raises(UsageError, match=r"no such table: latest_metrics.*another version.*CSV"):
        read_table([database])


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.json", "", "is empty: expected a list of runs"),
        ("r.json", "[1, 2]", "is not a mapping"),
        ("r.json", "[]", "holds no runs"),
        ("r.json", "[" * 100_000, "is not JSON"),
        ("r.jsonl", '{"a": 1}\n{"a"', r"r\.jsonl:2 is not JSON"),
        ("r.json", {"a": [1, 2], "b": [1]}, "unequal lengths, 1 to 2"),
        ("version_0/hparams.yaml", "lr: 1", "holds no runs that are known"),
        ("run-1/run-1.wandb", "binary", r"starts with b'binary', and not as .*export the runs as CSV"),
        ("run-1/trainer_state.json", "{}", "has no log_history"),
    ],
)
def test_what_holds_no_runs_is_one_clear_error(name, content, message, tmp_path):
    write(tmp_path / name, content)
    with pytest.raises(UsageError, match=message):
        read_table([tmp_path / name if name.startswith("r.") else tmp_path])


def test_settings_that_would_run_code_are_refused(tmp_path):
    """A tag of Python's in YAML is read by nobody here."""
    lightning(tmp_path)
    write(tmp_path / "version_0/hparams.yaml", "optimizer: !!python/object/apply:os.system ['touch pwned']\n")
    with pytest.raises(EailabError, match="tag"):
        read_table([tmp_path])


def test_runs_of_two_libraries_are_not_mixed(tmp_path):
    lightning(tmp_path / "a")
    wandb(tmp_path / "b")
    with pytest.raises(UsageError, match=r"runs of Lightning and W&B: name the folder of one"):
        read_table([tmp_path])
