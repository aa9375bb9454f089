"""What a field means is read from the source when it is shown, as pydantic would read it when a class is made."""

from typing import ClassVar

from pydantic import BaseModel, Field

from eailab.recipe.descriptions import descriptions
from eailab.recipe.schema import json_schema


class Base(BaseModel, use_attribute_docstrings=True):
    """Not of a field."""

    first: int = 1
    """In one line."""
    second: list[int] = Field(default=[])
    """In two
    lines."""
    third: int = 0
    silent: ClassVar = 4
    """Of a class."""

    @property
    def other(self):
        """Not of a field either."""


class Child(Base):
    second: list[int] = Field(default=[1])
    """Said again."""
    third: int = 1
    fourth: int = 2
    """New."""


def test_fields_have_the_texts_that_pydantic_would_give_them():
    for kind in (Base, Child):
        said = {name: field.description for name, field in kind.model_fields.items() if field.description}
        assert descriptions(kind).items() >= said.items()
        assert descriptions(kind).keys() & kind.model_fields.keys() == said.keys()


def test_the_schema_for_editors_has_them_all():
    """Also where a part's class is its base's, and where the field has a description of its own."""
    kinds = json_schema()["$defs"]
    assert kinds["CropFlip"]["properties"]["padding"]["description"] == "Width of the border of zeros, in pixels."
    assert kinds["Module"]["properties"]["class"]["description"].startswith("Name of the class in the file")
    assert kinds["MlpRecipe"]["properties"]["epochs"]["description"]
