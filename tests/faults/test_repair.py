"""What is damaged is found, named, set aside and made again; nothing else is, and no reader changes anything."""

import checks


def test_a_damaged_epoch_beside_a_whole_checkpoint_costs_no_training(folder):
    """The checkpoint carries the epochs before it; the damage is said of the file that has it."""
    wrong, said = checks.after_a_damaged_epoch(folder / "runs", folder / "quiet")
    assert wrong == []
    (reason,) = said
    assert "epochs.jsonl:1 is damaged" in reason
    assert "set aside as epochs.jsonl.damaged-1" in reason
    assert len(list((folder / "runs").glob("trials/*/*.damaged-*"))) == 1
