"""Read the tuning that Python asks for."""

from collections.abc import Mapping
from typing import Any

from eailab.errors import UsageError
from eailab.recipe.canonical import built_in, write
from eailab.studies.tuning import asked
from eailab.studies.tuning_run import Request


def request_of(tune: Any, how: Mapping[str, Any]) -> Request | None:
    """Return what is to be tuned; None where nothing is.

    Args:
        tune: Settings with their values.
        how: Further arguments of a tuning, by their names; None or False for what is usual.

    Raises:
        UsageError: They do not fit.
    """
    given = {name: value for name, value in how.items() if value is not None and value is not False}
    if tune is None:
        if given:
            raise UsageError(f"{next(iter(given))} is for a tuning: name one, as in tune={{'lr': '1e-4..1e-1'}}.")
        return None
    if not isinstance(tune, Mapping) or not tune:
        raise UsageError(
            f"tune={tune!r}: give settings with their values, as in tune={{'lr': '1e-4..1e-1'}} or "
            "tune={'lr': [0.001, 0.01], 'sgd:lr': [0.1, 0.3]}."
        )
    texts = []
    for name, values in tune.items():
        said = f"tune={{{name!r}: {values!r}}}: give a list of plain values, or a range such as '1e-4..1e-1'."
        if isinstance(values, Mapping):
            raise UsageError(said)
        try:
            texts.append(f"{name}={values if isinstance(values, str) else ','.join(map(write, map(built_in, values)))}")
        except TypeError as error:
            raise UsageError(said) from error
    fields = {"tune_blocks": "blocks", "tune_all": "everything", "tune_unequal": "unequal", "tune_again": "again"}
    return Request(tuple(map(asked, texts)), **{fields.get(name, name): value for name, value in given.items()})
