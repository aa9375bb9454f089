"""`eailab schema`: the JSON Schema of what commands print for programs."""

import json
from pkgutil import resolve_name
from typing import Annotated, Any

import typer

from eailab.cli import completion
from eailab.cli.output import JSON_VERSION, echo
from eailab.cli.own_network import SANITY_REPORT
from eailab.errors import UsageError

NAMES = ("decision", "error", "gradcheck", "model", "recipe", "sanity")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PRINTED = {
    "decision": "eailab.findings.decision:Decision",
    "gradcheck": "eailab.gradcheck.report:GradientReport",
    "model": "eailab.engines.summary:NetworkSummary",
    "sanity": SANITY_REPORT,
}
"""The classes of what is printed, each imported where its schema is asked for."""


def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="decision, error, gradcheck, model, recipe or sanity.",
            autocompletion=completion.one_of(NAMES),
            show_default=False,
        ),
    ],
) -> None:
    """Print the JSON Schema of a decision, of an error, of checks of gradients and networks, or of recipes.

    `--json` of ablate, gate, judge, noise and verify prints a `decision`, that of gradcheck a `gradcheck`, of sanity a
    `sanity`, of model show a `model`; where a command fails, an `error`.

    Example: eailab schema decision
    """
    from eailab.recipe.describe import nearest

    if name not in NAMES:
        raise UsageError(f"there is no schema {name!r}: there are {', '.join(NAMES)}{nearest(name, NAMES)}")
    echo(json.dumps(_schema(name), indent=2, ensure_ascii=False))


def _schema(name: str) -> dict[str, Any]:
    if name == "error":
        return _error()
    if name == "recipe":
        from eailab.recipe.schema import json_schema

        return json_schema()
    from pydantic import TypeAdapter

    return {"$schema": DIALECT, **TypeAdapter(resolve_name(PRINTED[name])).json_schema()}


def _error() -> dict[str, Any]:
    text = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    fields = {
        "what": {"type": "string", "description": "What was found."},
        "expected": {**text, "description": "What would be right."},
        "fix": {**text, "description": "The command to run instead, where it is known."},
        "exit_code": {"type": "integer", "description": "Of the program: 1 for what failed, 2 for what was asked."},
    }
    error = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {
        "$schema": DIALECT,
        "title": "eailab error",
        "type": "object",
        "properties": {"schema_version": {"const": JSON_VERSION}, "error": error},
        "required": ["schema_version", "error"],
    }
