"""A death is told as what it was, as far as the system knows."""

import pytest

from eailab.runs.executors.attempts import Outcome, Retries, describe, out_of_memory_kills


@pytest.mark.parametrize(
    ("code", "before", "now", "said"),
    [
        (-9, 3, 4, "because the machine ran out of memory"),
        (-9, 3, 3, "not for lack of memory: probably by a person or a limit"),
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


def test_a_trial_without_memory_is_tried_once_more_whatever_else_went_wrong():
    retries = Retries(attempts=3)
    assert retries.after_death("a")
    assert [retries.after_shortage(trial) for trial in ("a", "b", "a")] == [True, True, False]


def test_deaths_count_in_a_row_without_a_finished_epoch_in_between():
    retries = Retries(attempts=3)
    assert [retries.after_death("a", epochs) for epochs in (2, 2, 5, 5, 5)] == [True, True, True, True, False]
    assert [Retries(attempts=2).after_death("a") for _ in "ab"] == [True, True]
    twice = Retries(attempts=2)
    assert [twice.after_death("a"), twice.after_death("b"), twice.after_death("a")] == [True, True, False]


def test_one_rule_says_whether_an_attempt_is_followed_by_another():
    """Executors differ in when and where they try again, not in whether."""
    retries = Retries(2, of_programs=1)
    failed, short = Outcome("program", "it ended with code 1"), Outcome("memory", "no memory.")
    again = "it ended with code 1\nIt is started again."
    assert [retries.why_again("a", failed) for _ in range(2)] == [again, None]
    once_more = "no memory. It is tried once more, alone, at the end."
    assert [retries.why_again("a", short, ", alone, at the end") for _ in range(2)] == [once_more, None]
    assert {retries.why_again("b", Outcome(end, "so")) for end in ("none", "trial", "store")} == {None}
