"""A valid store with one value changed and sealed again: no traceback, and no verdict changed in silence."""

import os
import sys

from mutations import SEED, siege

SHORT, LONG = 11, 300
"""Changes that are tried: one of each kind of file, and those of the long form."""


def test_every_command_reads_a_store_with_one_value_changed(long, tally, monkeypatch):
    """`benchmarks/soak.py --faults` tries 3,000, a hundred of them with processes of their own."""
    monkeypatch.setattr(sys, "argv", ["eailab"])
    count = int(os.environ.get("EAILAB_FAULTS_MUTATIONS", LONG if long else SHORT))
    processes = count // 30 if count > LONG else 0
    found = siege(count, processes)
    tally(
        "changes of a valid store, sealed again",
        seed=SEED,
        mutations=found.mutations,
        processes=found.processes,
        commands=found.commands,
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
