"""Edits the text of a YAML or JSON file so that it reads as other data, and leaves the rest byte for byte.

Only the spans that differ are replaced: comments, quoting, indentation and order elsewhere stay. New pieces are
written on the spot as YAML flow or as JSON. The result is read again and compared before it is returned.
`discovery.py` keeps the file.

Where each piece of data stands in YAML is what ruamel.yaml's composer says. JSON has a reader of its own, because
nothing else tells positions, and YAML's would refuse tabs and take a hundred times as long.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
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
    try:
        return _json(text) if syntax is Syntax.JSON else _yaml(text)
    except RecursionError:
        raise Rejected("the route file is nested too deeply to be read") from None


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


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_SPECIAL = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
"""Plain words that some YAML reader takes for something else than text."""


@dataclass(frozen=True, order=True)
class Edit:
    """Replace what stands from `start` to `end`."""

    start: int
    end: int
    text: str


def respelled(text: str, syntax: Syntax, data: Any) -> str:
    """The text, edited so that it reads as `data`. Raises Rejected where that can't be done in place."""
    root = parse(text, syntax)
    if root is None:
        raise Rejected("the route file is empty")
    edits = sorted(_Editor(text, syntax).edits(root, data))
    for edit in reversed(edits):  # at one place an insertion sorts, and so ends up, before a replacement
        text = text[: edit.start] + edit.text + text[edit.end :]
    if not _same(data_of(parse(text, syntax)), data):
        raise Rejected("the route file can't be edited in place; YAML anchors and aliases are such a case")
    return text


class _Editor:
    """Compares nodes of one text with data, and says what to edit."""

    def __init__(self, text: str, syntax: Syntax) -> None:
        self._text = text
        self._syntax = syntax

    def edits(self, node: Node, data: Any) -> Iterator[Edit]:
        if _same(data_of(node), data):
            return
        if node.keys is not None and node.items and isinstance(data, Mapping) and data:
            yield from self._mapping(node, data)
        elif node.keys is None and node.items and isinstance(data, Sequence) and data and not isinstance(data, str):
            yield from self._sequence(node, data)
        else:
            yield Edit(node.start, self._end(node), self._spelled(data, node.start, self._text[node.start]))

    def _mapping(self, node: Node, data: Mapping[str, Any]) -> Iterator[Edit]:
        """Kept keys are compared; of the others, one that became another stays in its place."""
        before = {key.value: index for index, key in enumerate(node.keys or ())}
        gone, new = [key for key in before if key not in data], [key for key in data if key not in before]
        for key, index in before.items():
            if key in data:
                yield from self.edits(node.items[index], data[key])
        for key in gone:
            other = next((one for one in new if one in key or key in one), None)  # cluster, weighted_clusters
            if other is None:
                yield self._without(node, before[key])
            else:
                new.remove(other)
                yield self._renamed(node, before[key], other, data[other])
        if new:
            pieces = [self._pair(self._key(node, 0), key, data[key]) for key in new]
            yield self._before(node, 0, pieces)

    def _sequence(self, node: Node, data: Sequence[Any]) -> Iterator[Edit]:
        """Items are paired by what identifies them; of what is left, the last ones, because we add in front."""
        before, after = [_identity(data_of(item)) for item in node.items], [_identity(item) for item in data]
        for _, low, high, first, last in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            both = min(high - low, last - first)
            for back in range(both, 0, -1):
                yield from self.edits(node.items[high - back], data[last - back])
            for index in range(low, high - both):
                yield self._without(node, index)
            added = data[first : last - both]
            if added and high - both < len(node.items):
                at = self._place(node, high - both)
                yield self._before(node, high - both, [self._item(node, one, at) for one in added])
            elif added:
                yield self._at_end(node, added)

    def _renamed(self, node: Node, index: int, key: str, value: Any) -> Edit:
        """In the quotes of what stood there, so that the way back leads to the same text."""
        old = self._key(node, index)
        end = self._end(node.items[index])
        quote = re.search("[\"']", self._text[node.items[index].start : end])
        return Edit(old.start, end, self._pair(old, key, value, quote[0] if quote else ""))

    def _before(self, node: Node, index: int, pieces: Sequence[str]) -> Edit:
        """Insert in front of a child; each new piece is followed by what separates children here."""
        at = self._place(node, index)
        between = self._separator(node) if node.flow else "\n" + " " * self._column(at)
        return Edit(at, at, "".join(piece + between for piece in pieces))

    def _at_end(self, node: Node, added: Sequence[Any]) -> Edit:
        at = self._end(node.items[-1])
        if node.flow:
            between = self._separator(node)
        else:
            at = self._line_end(at)
            between = "\n" + " " * self._column(self._place(node, 0))
        return Edit(at, at, "".join(between + self._item(node, one, at) for one in added))

    def _without(self, node: Node, index: int) -> Edit:
        """Remove a child with what separates it from its neighbour: from the one before in flow, else the next."""
        last = index == len(node.items) - 1
        if node.flow and index:
            return Edit(self._end(node.items[index - 1]), self._end(node.items[index]), "")
        if not last:
            return Edit(self._place(node, index), self._place(node, index + 1), "")
        if node.flow:
            return Edit(self._place(node, index), self._end(node.items[index]), "")
        line = self._text.rfind("\n", 0, self._place(node, index))
        return Edit(line, self._line_end(self._end(node.items[index])), "")

    def _place(self, node: Node, index: int) -> int:
        """Where a child begins: its key, or its dash."""
        if node.keys is not None:
            return node.keys[index].start
        start = node.items[index].start
        return start if node.flow else self._text.rfind("-", 0, start)

    def _key(self, node: Node, index: int) -> Node:
        assert node.keys is not None
        return node.keys[index]

    def _separator(self, node: Node) -> str:
        """What stands between two children of a flow collection, or would stand there."""
        if len(node.items) > 1:
            found = self._text[self._end(node.items[0]) : self._place(node, 1)]
            if re.fullmatch(r"\s*,\s*", found):
                return found
        lead = self._text[node.start + 1 : self._place(node, 0)]
        return f",{lead}" if "\n" in lead and lead.isspace() else ", "

    def _item(self, node: Node, value: Any, at: int) -> str:
        return ("" if node.flow else "- ") + self._spelled(value, at)

    def _pair(self, like: Node, key: str, value: Any, quote: str = "") -> str:
        """A key and its value, where the key `like` stands and as that is written."""
        if self._syntax is Syntax.JSON:
            return f"{json.dumps(key)}: {self._spelled(value, like.start)}"
        if self._text[like.start] == '"':
            return f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        return f"{_plain(key)}: {_flow(value, quote)}"

    def _spelled(self, value: Any, at: int, quote: str = "") -> str:
        """The value as new text; in JSON that is indented, indented as deep as the line that it stands in."""
        if self._syntax is Syntax.YAML:
            return _flow(value, quote)
        unit = re.search(r"\n([ \t]+)\S", self._text)
        line = self._text[self._text.rfind("\n", 0, at) + 1 : at]
        if unit is None:
            return json.dumps(value, ensure_ascii=False)
        indent = line[: len(line) - len(line.lstrip())]
        return json.dumps(value, indent=unit[1], ensure_ascii=False).replace("\n", f"\n{indent}")

    def _end(self, node: Node) -> int:
        """The end of what is written; a block's own end lies behind the comments that follow it."""
        if node.flow or not node.items:
            end = node.end
            while end > node.start and self._text[end - 1].isspace():
                end -= 1
            return end
        return self._end(node.items[-1])

    def _line_end(self, at: int) -> int:
        end = self._text.find("\n", at)
        return len(self._text) if end < 0 else end

    def _column(self, at: int) -> int:
        return at - (self._text.rfind("\n", 0, at) + 1)


def _identity(value: Any) -> str:
    """What tells one item of a list from its neighbours, and stays when its contents change."""
    if isinstance(value, Mapping):
        named = {key: value[key] for key in ("name", "match", "domains") if key in value}
        return json.dumps(named or dict(value), sort_keys=True, default=str)
    return json.dumps(value, default=str)


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same kinds: Python holds 1, 1.0 and True for equal."""
    return json.dumps(one, sort_keys=True, default=repr) == json.dumps(other, sort_keys=True, default=repr)


def _flow(value: Any, quote: str = "") -> str:
    """YAML on one line; `quote` is put around text even where it needs none."""
    match value:
        case str():
            if quote == "'" and value.isprintable() and "'" not in value:
                return f"'{value}'"
            return json.dumps(value, ensure_ascii=False) if quote == '"' else _plain(value)
        case Mapping():
            return "{" + ", ".join(f"{_plain(key)}: {_flow(item, quote)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_flow(item, quote) for item in value) + "]"
        case _:
            return json.dumps(value, default=str)


def _plain(text: str) -> str:
    """Without quotes where every YAML reader takes it for the same text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _SPECIAL:
        return text
    return json.dumps(text, ensure_ascii=False)
