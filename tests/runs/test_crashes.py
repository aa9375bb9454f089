"""A death is told as what it was, as far as the system knows."""

import pytest

from eailab.runs.executors.crashes import describe, out_of_memory_kills


@pytest.mark.parametrize(
    ("code", "before", "now", "said"),
    [
        (-9, 3, 4, "because the machine ran out of memory"),
        (-9, 3, 3, "counts no lack of memory"),
        (-9, None, None, "most likely"),
        (-11, 0, 0, "signal 11"),
        (1, 0, 0, "code 1"),
        (0, 0, 0, "code 0 before the trial did"),
    ],
)
def test_a_kill_for_memory_is_told_apart_from_any_other(code, before, now, said):
    assert said in describe(code, before, now)


def test_the_systems_count_is_read_where_there_is_one(tmp_path):
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free_pages 12\noom_kill 7\n")
    assert out_of_memory_kills(counters) == 7
    counters.write_text("nr_free_pages 12\n")
    assert out_of_memory_kills(counters) is None
    assert out_of_memory_kills(tmp_path / "absent") is None
