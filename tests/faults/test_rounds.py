"""Commands at once on one study, or on studies that overlap, lose no block."""

import random

import checks
import rounds


def test_commands_at_once_lose_no_block(folder, long, tally):
    """Real programs; each reads, merges and writes the record, and prints and publishes a table."""
    chance, played, commands = random.Random(1), 60 if long else 1, 0  # noqa: S311 - no secret
    for number in range(played):
        asked = rounds.a_round(chance)
        commands += len(asked)
        assert rounds.play(folder / str(number) / "runs", asked) == []
    tally("commands at once on one study", rounds=played, commands=commands, blocks_lost=0)


def test_two_commands_that_merge_at_the_same_moment_keep_each_others_blocks(folder):
    assert checks.two_merges_at_once(folder) == (0, 1, 2, 3)
