"""Check what Python's functions are called with, and read their blocks."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from eailab.errors import StudyError, UsageError


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
        UsageError: It is neither, or the blocks are not distinct whole numbers from 0.
    """
    from eailab.recipe.canonical import built_in
    from eailab.studies.plan import parse_blocks

    plain = built_in(seeds)
    listed = list(plain) if isinstance(plain, Sequence) and not isinstance(plain, str) else []
    if len(listed) == 1 and type(listed[0]) is int:
        return (listed[0],)
    try:
        return parse_blocks(str(plain) if type(plain) is int else ",".join(map(str, listed)))
    except StudyError as error:
        if not str(error).startswith("--seeds"):
            raise
        raise UsageError(
            f"seeds={seeds!r}: give the number of blocks, such as 5, or distinct blocks, such as [0, 3, 7]."
        ) from error
