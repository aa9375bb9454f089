"""Write `docs/settings.md` from the schema: every setting with its meaning, default, values and engines."""

from collections import defaultdict

from pydantic_core import PydanticUndefined

from eailab.recipe.canonical import write
from eailab.recipe.describe import expected
from eailab.recipe.descriptions import descriptions
from eailab.recipe.own import OwnRecipe
from eailab.recipe.schema import RECIPES, offered, parts, settings, variant_names, variants

OWN = "own"
HEAD = """# All settings of a recipe

From the schema (`python tests/api/test_reference.py` writes this page). A recipe sets them in YAML, the settings of a
part indented below its name, and a command with `-o PATH=VALUE`. What a recipe leaves out has its default; what is
*required* has none. A unit is named with the meaning; what has none is a plain number. All but `name`, `engine` and
`study` are factors: `eailab ablate FACTOR LEVEL …` takes the path, its last word where that is unique (`batch-size`,
`lr`), or the name of a part, for its variant (`optimizer`, `sched`, `augment`). A variant has its own settings and
those that all variants share. `eailab schema recipe` prints a JSON Schema for editors; the [guide](guide.md) shows
recipes at work.
"""
TITLES = {
    "": "Images: `numpy-mlp` and `torch-resnet`",
    "study": "`study`: how arms are compared",
    "data": "`data`: which images",
    "data.augment": "`data.augment`: how training images vary",
    "model": "`model`: the network",
    "optimizer": "`optimizer`",
    "schedule": "`schedule`: the learning rate over a trial",
    OWN: "Training of your own: `program` and `function`",
}
COLUMNS = "| setting | meaning | default | values | engines |\n|---|---|---|---|---|"


def entries(engine):
    """Yield each setting of an engine: its part, variant and path, and the texts of its row."""
    for setting in settings(engine).values():
        part = setting.path.rpartition(".")[0]
        for owner in setting.owners:
            variant = variant_names(owner) if part in variants(engine) else ()
            if setting.leaf != "name" or len(variant) != 1:  # else the heading of the variant says it
                field = owner.model_fields[setting.leaf]
                said = texts(field, descriptions(owner).get(setting.leaf, field.description))
                yield OWN if issubclass(RECIPES[engine], OwnRecipe) else part, variant, setting.path, said


def texts(field, meaning):
    """Return the meaning, the default and the values of a setting."""
    if meaning is None:
        return "How it is trained; a recipe's engine stays.", "*required*", "that of the last column"
    default = "*required*" if field.default is PydanticUndefined else f"`{write(field.default)}`"
    values = expected(field) + (f", such as {', '.join(field.examples)}" if field.examples else "")
    return " ".join(meaning.split()), default, values


def settings_page():
    """Return the page: a section a part, in it what all variants share, and a heading for each variant."""
    rows, users, kinds = defaultdict(list), defaultdict(list), defaultdict(dict)
    for engine in offered():
        for part, variant, path, said in entries(engine):
            rows[part, variant] += [(path, said)] if (path, said) not in rows[part, variant] else []
            users[part, path, said] += [engine] if engine not in users[part, path, said] else []
        for part, classes in variants(engine).items():
            for one in classes.values():
                kinds[part].setdefault(variant_names(one), (one, []))[1].append(engine)
    lines = [HEAD]
    for part, title in TITLES.items():
        shared = [
            row for row in rows[part, next(iter(kinds[part]), ())] if all(row in rows[part, v] for v in kinds[part])
        ]
        lines.append(f"## {title}\n")
        if kinds[part]:
            lines.append(f"{usual(part)}\n")
        lines += table(part, shared if kinds[part] else rows[part, ()], users)
        for variant, (one, engines) in kinds[part].items():
            names = ", ".join(f"`{name}`" for name in variant)
            used_by = ", ".join(dict.fromkeys(engines))
            lines.append(f"### {names}\n\n{one.__doc__.splitlines()[0]} Engines: {used_by}.\n")
            lines += table(part, [row for row in rows[part, variant] if row not in shared], users)
    return "\n".join(lines)


def usual(part):
    """Return which variant a part has where a recipe names none."""
    engines_of = defaultdict(list)
    for engine in offered():
        if part in variants(engine):
            model, (*above, leaf) = RECIPES[engine], part.split(".")
            for key in above:
                (model,) = parts(model, key)
            default = model.model_fields[leaf].default
            said = "none, it is required" if default is PydanticUndefined else f"`{default.name}`"
            engines_of[said].append(engine)
    each = [f"{said} ({', '.join(engines)})" for said, engines in engines_of.items()]
    return f"Default: {', '.join(each if len(each) > 1 else engines_of)}."


def table(part, rows, users):
    lines = [
        " | ".join([f"| `{path}`", *(text.replace("|", "\\|") for text in said), ", ".join(users[part, path, said])])
        for path, said in rows
    ]
    return ["\n".join([COLUMNS, *(f"{line} |" for line in lines), ""])] if lines else []
