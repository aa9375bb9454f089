"""Check what Python's functions are called with."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from eailab.errors import UsageError
from eailab.seeding import LARGEST_BLOCK


def one_of(name: str, value: Any, kind: Any) -> None:
    """Refuse a value that is not one of those that a type lists.

    Raises:
        UsageError: It is none of them.
    """
    known = get_args(kind)
    if value not in known:
        raise UsageError(f"{name}={value!r}: give one of {', '.join(map(repr, known))}.")


def refuse_given(given: Mapping[str, Any], usual: Mapping[str, Any], what: str) -> None:
    """Refuse arguments that only a function, or only a recipe, has.

    Raises:
        UsageError: One has another value than the usual one.
    """
    for name, value in given.items():
        if value != usual[name]:
            raise UsageError(f"{name}={value!r} is for {what}: leave it out.")


def blocks_of(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Return the blocks that a number of them, or a list, stands for.

    Raises:
        UsageError: It is neither.
        StudyError: A block is one that tunings train in.
    """
    from eailab.recipe.canonical import built_in
    from eailab.studies.design import refuse_tuning_blocks
    from eailab.studies.plan import MOST_BLOCKS, are_blocks

    plain = built_in(seeds)
    if type(plain) is int and 1 <= plain <= MOST_BLOCKS:
        return tuple(range(plain))
    if isinstance(plain, Sequence) and not isinstance(plain, str) and are_blocks(plain):
        refuse_tuning_blocks(plain)
        return tuple(sorted(plain))
    raise UsageError(f"seeds={seeds!r}: give the number of blocks, such as 5, or distinct blocks, such as [0, 3, 7].")


def block_of(block: int) -> int:
    """Return the number of one block.

    Raises:
        UsageError: It is none.
    """
    from eailab.recipe.canonical import built_in
    from eailab.studies.plan import are_blocks

    plain = built_in(block)
    if not are_blocks([plain]):
        raise UsageError(f"block={block!r}: give a whole number from 0 to {LARGEST_BLOCK}.")
    return int(plain)
