"""What every model of the api shares: frozen, camelCase on the wire, described by the docstrings of its fields.

`descriptions` reads these from the source, only when it is asked: pydantic would read them at import
(`use_attribute_docstrings`), which took a third of the time that all models take. Only `canary explain` and the
CustomResourceDefinitions need them.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from inspect import cleandoc, getsource
from itertools import pairwise
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema


class Model(BaseModel):
    """Frozen. Reads camelCase or snake_case, writes camelCase without fields that are null.

    Unknown fields are ignored, because a cluster may hold newer objects than this code;
    a user's file is read with `extra="forbid"` (see `canary.manifests`).
    """

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
    )

    def but(self, **changes: Any) -> Self:
        """A copy with these fields changed; the values are taken as they are, not validated again.

        What `model_copy` does, in a third of its time: a decision makes a dozen copies.
        """
        copy = type(self).__new__(type(self))
        known = self.__pydantic_fields_set__
        object.__setattr__(copy, "__dict__", {**self.__dict__, **changes})
        object.__setattr__(
            copy, "__pydantic_fields_set__", known if changes.keys() <= known else _shared(known | changes.keys())
        )
        object.__setattr__(copy, "__pydantic_extra__", None)
        object.__setattr__(copy, "__pydantic_private__", None)
        return copy

    def model_post_init(self, context: Any, /) -> None:
        """Runs after each validation."""
        object.__setattr__(self, "__pydantic_fields_set__", _shared(self.__pydantic_fields_set__))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler, /) -> dict[str, Any]:
        """The schema, with the descriptions of the fields."""
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, words in descriptions(cls).items():
            if name in properties:
                properties[name]["description"] = words
        return schema

    def wire(self) -> dict[str, Any]:
        """The model as JSON-ready data, camelCase, without nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


_SETS: dict[frozenset[str], set[str]] = {}
"""One of each: models that differ in values have the same fields set, and nothing changes a frozen one's."""


def _shared(fields: set[str]) -> set[str]:
    """The names of the fields that were set: a set of its own would be a quarter of a model's memory."""
    return _SETS.setdefault(frozenset(fields), fields)


@cache
def descriptions(model: type[BaseModel]) -> Mapping[str, str]:
    """The description of each field of a model that has one, by the field's name in a manifest."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, BaseModel):
            found |= _by_class(each.__module__).get(each.__qualname__, {})
    return {field.alias or name: found[name] for name, field in model.model_fields.items() if name in found}


@cache
def _by_class(module: str) -> dict[str, dict[str, str]]:
    """The docstrings below the fields of each class that a module defines."""
    tree = ast.parse(getsource(import_module(module)))
    return {each.name: dict(_docstrings(each)) for each in tree.body if isinstance(each, ast.ClassDef)}


def _docstrings(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(definition.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(str(words))):
                yield name, cleandoc(words)
