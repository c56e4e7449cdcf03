"""Where each piece of data stands in the text of a YAML or JSON file. Pure; `splice.py` edits by it.

YAML is composed by ruamel.yaml. JSON has a reader of its own, because nothing else tells positions, and YAML's
would refuse tabs and take a hundred times as long.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from json import JSONDecoder
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from canary.engine.errors import Rejected

_BLANK = re.compile(r"[ \t\r\n]*")
_SCALARS = JSONDecoder()


class Syntax(Enum):
    """How a file is written; Envoy tells by its extension."""

    YAML = "YAML"
    JSON = "JSON"


@dataclass(frozen=True)
class Node:
    """A piece of data and its span in the text."""

    start: int
    end: int
    flow: bool
    """Written in brackets, or a scalar."""
    value: Any = None
    """Of a scalar or a key."""
    keys: "tuple[Node, ...] | None" = None
    """Of a mapping, one for each item."""
    items: "tuple[Node, ...]" = ()
    """Of a mapping or a sequence."""
    sequence: bool = False


def parse(text: str, syntax: Syntax) -> Node | None:
    """The root; None for an empty file. Raises Rejected with the place for what can't be read."""
    return _json(text) if syntax is Syntax.JSON else _yaml(text)


def data_of(node: Node | None) -> Any:
    """The plain data that a node stands for."""
    if node is None:
        return None
    if node.keys is not None:
        return {key.value: data_of(item) for key, item in zip(node.keys, node.items, strict=True)}
    return [data_of(item) for item in node.items] if node.sequence else node.value


def _yaml(text: str) -> Node | None:
    reader = YAML(typ="safe", pure=True)
    try:
        root = reader.compose(text)
        return None if root is None else _node(root, reader)
    except YAMLError as error:
        raise Rejected(f"the route file is not YAML: {' '.join(str(error).split())}") from None


def _node(node: Any, reader: YAML) -> Node:
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, MappingNode):
        flow = bool(node.flow_style)
        keys = tuple(_node(key, reader) for key, _ in node.value)
        _check_keys(keys)
        return Node(start, end, flow, keys=keys, items=tuple(_node(item, reader) for _, item in node.value))
    if isinstance(node, SequenceNode):
        items = tuple(_node(item, reader) for item in node.value)
        return Node(start, end, bool(node.flow_style), items=items, sequence=True)
    return Node(start, end, True, reader.constructor.construct_object(node))


def _check_keys(keys: tuple[Node, ...]) -> None:
    names = [key.value for key in keys]
    twice = next((name for name in names if not isinstance(name, str) or names.count(name) > 1), None)
    if twice is not None:
        raise Rejected(f"the route file has the key {twice!r} twice in one place, or one that isn't text")


def _json(text: str) -> Node | None:
    at = _skip(text, 0)
    if at == len(text):
        return None
    node = _value(text, at)
    if _skip(text, node.end) != len(text):
        _unreadable(text, node.end)
    return node


def _value(text: str, at: int) -> Node:
    match text[at : at + 1]:
        case "{":
            pairs = list(_children(text, at + 1, "}"))
            keys = tuple(key for key, _ in pairs if key is not None)
            _check_keys(keys)
            end = _skip(text, pairs[-1][1].end if pairs else at + 1) + 1
            return Node(at, end, True, keys=keys, items=tuple(item for _, item in pairs))
        case "[":
            items = tuple(item for _, item in _children(text, at + 1, "]"))
            end = _skip(text, items[-1].end if items else at + 1) + 1
            return Node(at, end, True, items=items, sequence=True)
    try:
        value, end = _SCALARS.raw_decode(text, at)
    except ValueError:
        _unreadable(text, at)
    return Node(at, end, True, value)


def _children(text: str, at: int, close: str) -> Iterator[tuple[Node | None, Node]]:
    """The children up to the closing bracket, with their keys in a mapping."""
    at = _skip(text, at)
    while text[at : at + 1] != close:
        key = None
        if close == "}":
            key = _value(text, at)
            at = _skip(text, key.end)
            at = _skip(text, _expect(text, at, ":"))
        item = _value(text, at)
        yield key, item
        at = _skip(text, item.end)
        if text[at : at + 1] != close:
            at = _skip(text, _expect(text, at, ","))


def _expect(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        _unreadable(text, at)
    return at + 1


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _unreadable(text: str, at: int) -> NoReturn:
    line = text.count("\n", 0, at) + 1
    raise Rejected(f"the route file is not JSON: line {line} can't be read near {text[at : at + 20]!r}")
