"""Tables that people have as CSV, long and wide, give arms by seed, and what is odd in them is named."""

import gzip

import pytest

from eailab.errors import UsageError
from eailab.existing.assign import Options, assign
from eailab.existing.read import read_table

LONG = "optimizer,seed,val_acc\nadam,1,0.75\nadam,2,0.5\nsgd,1,0.25\nsgd,2,0.375\n"
WITH_STEPS = "optimizer,seed,epoch,step,val_acc\nadam,1,1,9,0.75\nadam,2,1,9,0.5\nsgd,1,1,9,0.25\nsgd,2,1,9,0.375\n"
EXPECTED = {"adam": {"1": 0.75, "2": 0.5}, "sgd": {"1": 0.25, "2": 0.375}}


def observed(tmp_path, text, name="r.csv", **options):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return assign(read_table([file]), Options(**options))


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        "\ufeff" + LONG.replace("\n", "\r\n"),
        LONG.replace(",", "\t"),
        LONG.replace(",", ";").replace(".", ","),
        LONG.replace("0.5", "0.5±0.01").replace("0.25", "0.25%"),
        gzip.compress(LONG.encode(), mtime=0),
    ],
    ids=["plain", "bom", "tabs", "commas", "spreads", "gzip"],
)
def test_a_long_table_is_read_as_it_comes(text, tmp_path):
    assert observed(tmp_path, text).arms == EXPECTED


def test_of_several_rows_of_a_run_the_last_epoch_and_its_last_step_count(tmp_path):
    """Also where rows are in another order; the others of that epoch are earlier values of the same run."""
    found = observed(tmp_path, WITH_STEPS + "sgd,2,1,8,0.9\nsgd,2,0,4,0.8\n")
    assert found.arms == EXPECTED
    assert "runs have from 1 to 3 rows" in "; ".join(found.notes)


@pytest.mark.parametrize("text", ["seed,adam,sgd\n1,0.75,0.25\n2,0.5,0.375\n", "adam;sgd\n0,75;0,25\n0,5;0,375\n"])
def test_a_wide_table_has_an_arm_a_column(text, tmp_path):
    found = observed(tmp_path, text, goal="max")
    assert (found.arms, found.is_blocked) == (EXPECTED, True)
    assert found.notes or "the columns adam, sgd are read as arms" in found.table.notes[0]


def test_what_a_tracker_exports_names_code_and_state(tmp_path):
    """As the CSV of Weights & Biases: of names, states, times and commits no arm is made."""
    text = (
        "Name,State,Runtime,commit,optimizer,seed,val_acc\n"
        "a,finished,1,f00,adam,1,0.75\nb,finished,2,f00,adam,2,0.5\n"
        "c,crashed,3,f01,sgd,1,0.25\nd,finished,4,f01,sgd,2,0.375\n"
    )
    found = observed(tmp_path, text)
    assert found.arms == EXPECTED
    assert found.notes == (
        "1 row has a State that is not finished, and its value counts: r.csv:4",
        "commit differs among the runs, so their code may differ too",
    )


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (LONG + "sgd,3,\n", "1 row has no value of val_acc: r.csv:6"),
        (LONG + "sgd,3,0.4\n", "the values of seed are not the same in all arms"),
        (LONG + "sgd,3,0.4\n", "rows of seed 1, 2 alone, which all arms have, would be compared within blocks"),
        (LONG + "sgd,2,0.375\n", "sgd, seed 2, is there 2 times with one value"),
        (WITH_STEPS + "sgd,2,1,9,0.375\n", "sgd, seed 2, is there 2 times with one value"),
        (LONG.replace("0.375", "nan"), "sgd: 1 of 2 values are not finite"),
        (LONG.replace("0.375", "0.25"), "sgd: all 2 values are equal to the last digit"),
        (LONG.replace("val_acc", "best_val_acc"), "best_val_acc is called a best value"),
    ],
)
def test_what_is_odd_is_named(text, note, tmp_path):
    assert note in "; ".join(observed(tmp_path, text).notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("<!DOCTYPE html><html>404", "is a web page"),
        ("optimizer,seed,val_acc\n", "no rows"),
        (LONG.replace("0.375", "oops"), r"r\.csv:5: 'oops' in the column val_acc is not a number"),
        (LONG + "sgd,2,0.5\n", "sgd, seed 2, has 2 rows with unequal values"),
        (
            WITH_STEPS + "sgd,2,1,9,0.5\n",
            r"sgd, seed 2, has 2 rows with unequal values at its last epoch \(r\.csv:5, r\.csv:6\)",
        ),
        (LONG.replace("seed", "val_acc"), "the column 'val_acc' twice"),
        (LONG + "sgd,4\n", r"r\.csv:6 has 2 cells"),
        ("lr,width,val_acc\n1,2,0.5\n2,3,0.25\n", "2 columns vary: lr, width"),
        ("a,b\nx,y\n", "no column of numbers could be judged: the columns are a, b"),
        (b"\xff\xfe\x00", "UTF-8"),
        (gzip.compress(LONG.encode(), mtime=0)[:30], "cannot be unpacked"),
    ],
)
def test_what_is_not_a_table_of_results_is_one_clear_error(text, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        observed(tmp_path, text)


def test_values_that_are_no_shares_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"adam, seed 1: 75 is not a share of 1: .*--unit percent"):
        observed(tmp_path, LONG.replace("0.75", "75"), unit="share")


def test_a_column_whose_name_has_a_plus_is_one_column(tmp_path):
    assert observed(tmp_path, LONG.replace("optimizer", "lr+wd")).factor == ("lr+wd",)


def test_a_formula_is_text(tmp_path):
    found = observed(tmp_path, LONG.replace("sgd", "=cmd|'/c calc'!A1"))
    assert list(found.arms) == ["adam", "=cmd|'/c calc'!A1"]
