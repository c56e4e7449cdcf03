"""What the fields of the models mean: the docstrings below them, read from the source only when they are asked for.

pydantic would read them at import (`use_attribute_docstrings`), which took a third of the time that all models take.
Only `canary explain` and the CustomResourceDefinitions need them.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from inspect import cleandoc, getsource
from itertools import pairwise

from pydantic import BaseModel


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
