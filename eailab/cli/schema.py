"""`eailab schema`: the JSON Schema of what commands print for programs."""

import json
from typing import Annotated, Any

import typer

from eailab.cli import completion
from eailab.cli.output import JSON_VERSION, echo
from eailab.errors import UsageError

NAMES = ("decision", "error", "gradcheck", "model", "recipe", "sanity")


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
    schemas = {
        "decision": _decision,
        "error": _error,
        "gradcheck": _gradcheck,
        "model": _model,
        "recipe": _recipe,
        "sanity": _sanity,
    }
    echo(json.dumps(schemas[name](), indent=2, ensure_ascii=False))


def _of(kind: Any) -> dict[str, Any]:
    from pydantic import TypeAdapter

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TypeAdapter(kind).json_schema()}


def _decision() -> dict[str, Any]:
    from eailab.findings.decision import Decision

    return _of(Decision)


def _gradcheck() -> dict[str, Any]:
    from eailab.gradcheck.report import GradientReport

    return _of(GradientReport)


def _model() -> dict[str, Any]:
    from eailab.cli.own_network import printed

    return _of(printed()[0])


def _sanity() -> dict[str, Any]:
    from eailab.cli.own_network import printed

    return _of(printed()[1])


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
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "eailab error",
        "type": "object",
        "properties": {"schema_version": {"const": JSON_VERSION}, "error": error},
        "required": ["schema_version", "error"],
    }


def _recipe() -> dict[str, Any]:
    from eailab.recipe.schema import json_schema

    return json_schema()
