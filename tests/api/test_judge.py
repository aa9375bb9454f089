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
    with pytest.raises(public.EailabError, match="DataFrame"):
        public.judge([1, 2], arm="model")
    with pytest.raises(public.EailabError, match="modle"):
        public.judge(COLUMNS, arm="modle", seed="seed", metric="val_acc")
