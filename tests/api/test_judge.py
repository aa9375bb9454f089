"""Results in a DataFrame are judged as those in a file are, by its columns alone."""

import pytest

import eailab as public

COLUMNS = {
    "model": ["a", "b"] * 4,
    "seed": [0, 0, 1, 1, 2, 2, 3, 3],
    "val_acc": [0.5, 0.61, 0.52, 0.6, 0.51, 0.62, 0.5, 0.6],
}


class Frame(dict):
    """What is used of pandas."""

    @property
    def columns(self):
        return list(self)


def test_a_data_frame_is_judged_by_its_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = public.judge(Frame(COLUMNS), arm="model", seed="seed", metric="val_acc")
    assert study["b"].difference == pytest.approx(0.1)
    assert study["b"].verdict == "BETTER"
    assert "<svg" in study._repr_html_()
    with pytest.raises(public.EailabError, match="2 columns"):
        public.judge(COLUMNS, arm=["model", "seed"], metric="val_acc")
    with pytest.raises(public.EailabError, match="DataFrame"):
        public.judge([1, 2], arm="model")
    with pytest.raises(public.EailabError, match="modle"):
        public.judge(COLUMNS, arm="modle", seed="seed", metric="val_acc")


def test_columns_that_change_together_are_held_to_a_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {**COLUMNS, "lr": [0.1, 0.2] * 4}
    study = public.judge(columns, arm=["model", "lr"], joint=True, seed="seed", metric="val_acc", target=0.55)
    assert (study["b+0.2"].verdict, study["a+0.1"].verdict) == ("BETTER", "WORSE")
    assert public.judge(columns, arm="model", target=0.55, beat_by=0.2, metric="val_acc")["b"].verdict == "UNDECIDED"
