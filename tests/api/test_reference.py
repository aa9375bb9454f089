"""Pages of reference are what the code says; `python tests/api/test_reference.py` writes them again.

`docs/api.md` is from the docstrings of the public API, `docs/settings.md` from the schema of recipes.
"""

import ast
import inspect
import re
import sys
import textwrap
from pathlib import Path

import pytest

import eailab
from eailab.api import Figure, Table
from eailab.recipe.factors import resolve, short_names
from eailab.recipe.load import load
from eailab.recipe.schema import offered, settings, variants

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest has it, for `python tests/api/test_reference.py`
from settings_page import settings_page

DOCS = Path(__file__).parents[2] / "docs"
HEAD = """# eailab from Python

What `import eailab` gives, from the docstrings (`python tests/api/test_reference.py` writes this page). The
[guide](guide.md) has examples.
"""
SECTION = re.compile(r"^(Args|Returns|Raises|Yields):$")
PRIVATE = "session"


def reference():
    """Return the page: functions first, then classes with their fields and methods."""
    public = [(name, getattr(eailab, name)) for name in sorted(eailab.__all__) if not name.startswith("_")]
    functions = [entry(f"eailab.{name}", parsed(one)) for name, one in public if not inspect.isclass(one)]
    classes = [*(one for _, one in public if inspect.isclass(one)), Figure, Table]
    return "\n".join([HEAD, *functions, *(part for one in classes for part in of_class(one))])


def parsed(one):
    return ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]


def of_class(kind):
    """Yield the parts of a class, with what it inherits from classes of eailab."""
    yield f"## {kind.__name__}\n\n{text(parsed(kind))}"
    bodies = [parsed(one).body for one in reversed(kind.__mro__) if one.__module__.startswith("eailab.api")]
    nodes = [(node, after) for body in bodies for node, after in zip(body, [*body[1:], None], strict=True)]
    fields = [
        f"- `{node.target.id}`: `{ast.unparse(node.annotation)}`{said(after)}".replace("'", "")
        for node, after in nodes
        if isinstance(node, ast.AnnAssign) and node.target.id != PRIVATE
    ]
    if fields:
        yield "\n".join(fields) + "\n"
    for node, _ in nodes:
        if isinstance(node, ast.FunctionDef) and (node.name == "__getitem__" or not node.name.startswith("_")):
            yield entry(f"{kind.__name__}.{node.name}", node, level=3)


def said(after):
    is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    return f". {' '.join(after.value.value.split())}" if is_text else ""


def entry(name, node, level=2):
    is_property = any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list)
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    returned = ast.unparse(node.returns).strip("'")
    called = f": {returned}" if is_property else f"({arguments}) -> {returned}"
    return f"{'#' * level} {name}\n\n```python\n{name}{called}\n```\n\n{text(node)}"


def text(node):
    """Return a docstring as markdown: its sections are lists."""
    lines, is_in_section = [], False
    for line in ast.get_docstring(node).split("\n"):
        item = re.match(r"^    ([\w.]+): (.*)$", line)
        if SECTION.match(line):
            is_in_section = True
            lines.append(f"**{line}**\n")
        elif is_in_section and item:
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif is_in_section and line.startswith(" " * 5):
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line.strip() if is_in_section else line)
    return "\n".join(lines) + "\n"


PAGES = {"api.md": reference, "settings.md": settings_page}


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name):
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run: python tests/api/test_reference.py"


def test_every_setting_and_variant_of_each_engine_is_on_the_page_with_its_meaning():
    page = settings_page()
    for engine in offered():
        for part, kinds in variants(engine).items():
            assert all(f"`{name}`" in page for name in kinds), part
        for setting in settings(engine).values():
            is_heading = setting.path.rpartition(".")[0] in variants(engine) and setting.leaf == "name"
            rows = re.findall(rf"^\| `{re.escape(setting.path)}` \| (.+?) \|.*\b{engine}\b", page, flags=re.MULTILINE)
            assert is_heading or rows, (engine, setting.path)


def test_the_names_of_factors_in_the_introduction_of_the_settings_are_taken():
    assert {"batch-size", "lr", "optimizer", "augment"} <= set(short_names("numpy-mlp")) & set(
        short_names("torch-resnet")
    )
    assert resolve("sched", load("digits-mlp").recipe) == "schedule.name"


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
