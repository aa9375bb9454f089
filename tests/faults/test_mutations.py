"""A valid store with one value changed and sealed again: no traceback, and no verdict changed in silence."""

import os
import sys

import pytest
from mutations import KINDS, SEED, siege

LONG = os.environ.get("EAILAB_FAULTS") == "long"
PARTS = 4 if LONG else 1
"""Stores of their own, so that several processes share the work."""
CHANGES = 300 if LONG else len(KINDS)
"""One of each kind of file, or those of the long form."""


@pytest.mark.parametrize("part", range(PARTS))
def test_every_command_reads_a_store_with_one_value_changed(part, tally, monkeypatch, forked):
    """`benchmarks/soak.py --mutations 3000` tries many."""
    monkeypatch.setattr(sys, "argv", ["eailab"])
    count = CHANGES // PARTS
    found = siege(count, int(LONG), part * count)
    tally(
        f"changes of a valid store, sealed again, from {part * count}",
        seed=SEED,
        mutations=found.mutations,
        commands=found.commands,
        processes=found.processes,
        noticed=found.noticed,
        verdicts_changed=found.verdicts_changed,
        tracebacks=len(found.tracebacks),
        unexplained=len(found.unexplained),
        written=len(found.written),
    )
    assert found.tracebacks == []
    assert found.unexplained == []
    assert found.written == []
    assert found.mutations == count
