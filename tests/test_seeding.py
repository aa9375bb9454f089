"""Streams depend on the block and the purpose alone."""

from itertools import product

from eailab.seeding import stream

VALUES = [952, 671, 569]


def draws(*key):
    return tuple(stream(*key).integers(2**63, size=4))


def test_equal_names_give_equal_draws_and_others_differ():
    """Arms of a block share their draws; nothing else does."""
    keys = [(block, purpose, *index) for block, purpose, index in product((0, 1), ("init", "order"), ((), (0,), (1,)))]
    assert all(draws(*key) == draws(*key) for key in keys)
    assert len({draws(*key) for key in keys}) == len(keys)


def test_the_streams_never_change():
    """A stored trial's name promises its draws: these values are part of the file format."""
    assert stream(0, "init").integers(1000, size=3).tolist() == VALUES
