"""`eailab recipes`: which recipes there are, what they say in full, and whether a file is one."""

import json
from pathlib import Path
from typing import Annotated

import typer

from eailab.cli import completion
from eailab.cli.commands import Commands
from eailab.cli.options import AsJson, MetricName, Overrides
from eailab.cli.output import echo, echo_json, say_note
from eailab.cli.program import HOW, NO_PROGRAM, ProgramOptions, takes_program
from eailab.errors import UsageError
from eailab.files import write_new

recipes = Commands(
    help="List, show, check, copy and write recipes.\n\nExample: eailab recipes copy digits-mlp mine.yaml"
)

WIDEST = 44
"""Column at which origins stand, if the values leave room."""


@recipes.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the recipes that come with eailab, and the studies that are declared in files.

    Example: eailab recipes list
    """
    from eailab.recipe.catalogue import engine_of, header, shipped, shipped_studies

    known = [
        {"name": name, "engine": str(engine_of(file)), "what": header(file).what, "run": header(file).run}
        for name, file in shipped().items()
    ]
    studies = [
        {"name": name, "what": header(file).what, "run": header(file).run} for name, file in shipped_studies().items()
    ]
    if as_json:
        echo_json({"recipes": known, "studies": studies})
        return
    for entry in (*known, *({"engine": "a study", **study} for study in studies)):
        echo(f"{entry['name']}  ({entry['engine']})\n    {entry['what']}\n    {entry['run']}", hang=0)


@recipes.command()
def show(
    name: Annotated[
        str, typer.Argument(help="A name of `eailab recipes list`, or a path.", autocompletion=completion.recipes)
    ],
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Print a recipe with every default written out, and where each value comes from.

    Example: eailab recipes show digits-mlp -o optimizer=sgd -o lr=0.1
    """
    from eailab.recipe.canonical import yaml_lines
    from eailab.recipe.load import load, parse_override

    loaded = load(name, [parse_override(text) for text in override or ()])
    if as_json:
        recipe = loaded.recipe.model_dump(mode="json")
        echo_json({"recipe": recipe, "origins": loaded.origins, "notes": loaded.notes})
        return
    for note in loaded.notes:
        say_note(note)
    lines = list(yaml_lines(loaded.recipe))
    width = min(WIDEST, max(len(line) for _, line in lines))
    for path, line in lines:
        echo(line if path is None else f"{line:<{width}}  # {loaded.origins[path]}")


@recipes.command()
def check(file: Annotated[str, typer.Argument(help="The recipe's path, or a name of `eailab recipes list`.")]) -> None:
    """Say whether a file is a recipe, or everything that is wrong with it.

    Example: eailab recipes check mine.yaml
    """
    from eailab.recipe.load import load

    loaded = load(file)
    echo(f"{loaded.source}: OK ({loaded.recipe.name}, a recipe of {loaded.recipe.engine})")


@recipes.command()
def copy(
    name: Annotated[
        str, typer.Argument(help="A name of `eailab recipes list`.", autocompletion=completion.shipped_files)
    ],
    destination: Annotated[
        Path | None, typer.Argument(help="A new file, or a folder [default: NAME.yaml here]", metavar="DEST")
    ] = None,
) -> None:
    """Copy a recipe or a study to a file of your own, to be changed; nothing is overwritten.

    Example: eailab recipes copy digits-mlp mine.yaml
    """
    from eailab.recipe.catalogue import shipped_studies
    from eailab.recipe.load import shipped_file

    file = shipped_studies().get(name) or shipped_file(name)
    _write_new(file.read_text("utf-8"), destination, file.name)


@recipes.command()
@takes_program("arm", *HOW)
def new(
    destination: Annotated[
        Path | None, typer.Argument(help="A new file, or a folder [default: NAME.yaml here]", metavar="DEST")
    ] = None,
    metric: MetricName = None,
    override: Overrides = None,
    program: ProgramOptions = NO_PROGRAM,
) -> None:
    """Write the recipe of a program from its command; nothing is run, and nothing is overwritten.

    Example: eailab recipes new --run 'python train.py --lr {lr} --seed {seed}' -o lr=0.001 --metric val_acc
    """
    from eailab.cli.options import overrides_of
    from eailab.recipe.canonical import to_yaml

    if not program:
        raise UsageError("name a program of yours: --run 'python train.py --lr {lr} --seed {seed}' --metric val_acc.")
    recipe = program.recipe(metric, (), overrides_of({}, override))
    _write_new(to_yaml(recipe), destination, f"{recipe.name}.yaml")


def _write_new(text: str, destination: Path | None, name: str) -> None:
    """Write a new file, here or in a folder under its own name, and print its path."""
    target = destination or Path(name)
    target = target / name if target.is_dir() else target
    write_new(target, text)
    echo(target)


@recipes.command()
def schema() -> None:
    """Print the JSON Schema of recipes, with which editors check and complete them.

    Example: eailab recipes schema > recipe.schema.json
    """
    from eailab.recipe.schema import json_schema

    echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
