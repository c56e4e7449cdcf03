"""YAML text to plain data, with the place of every key and every list item. JSON is read as the YAML it is.

Scalars are read as kubectl reads them: `yes`, `n` and `off` are true or false, 010 is 8, dates stay text.
`validation.py` makes resources of the data.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from canary.engine.checks import Field, Problem

Mark = tuple[int, int]
"""(line, column), both counted from 1."""

LARGEST = 100_000
"""Values in one document, aliases counted each time: more is a bomb or a mistake."""

_TAG = "tag:yaml.org,2002:"
_SWITCH = re.compile("(?P<on>y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)|n|N|no|No|NO|false|False|FALSE|off|Off|OFF")
_OCTAL = re.compile("[-+]?0[0-7_]+")
_SENTENCES = (
    (r"found character '\\t'", "a tab can't indent; use spaces"),
    (
        r"mapping values are not allowed",
        "a ':' where none can be: quotes are missing, or the line is indented wrongly",
    ),
    (r"quoted scalar.*end of stream", "a quote that is opened {start} is never closed"),
    (r"flow node", "a bracket isn't closed, or a comma is missing"),
    (r"flow (sequence|mapping)", "a bracket that is opened {start} isn't closed, or a comma is missing"),
    (r"expected <block end>", "the indentation doesn't fit the lines above"),
    (r"block sequence|block collection", "the indentation doesn't fit the lines above"),
    (r"could not find expected ':'", "a line that is neither `key: value` nor `- item`"),
    (r"undefined alias '?(?P<name>\S+?)'?$", "there is no anchor &{name}"),
    (r"cannot start any token", "a text can't begin with {character}; put it in quotes"),
)
# What ruamel's scanner lets through on broken text beside its own errors.
_SLIPS = (
    YAMLError,
    RecursionError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    AssertionError,
)


@dataclass(frozen=True)
class Document:
    """One document of a file."""

    data: Any
    mark: Mark
    """Where it begins."""
    marks: dict[Field, Mark] = field(default_factory=dict)
    """Where each field's name, or list item, stands."""
    problems: tuple[tuple[Mark, Problem], ...] = ()
    """What is wrong with the writing itself."""

    def place(self, way: Field) -> Mark:
        """Of the field, or of what would hold it."""
        while way and way not in self.marks:
            way = way[:-1]
        return self.marks.get(way, self.mark)


def documents(text: str) -> Iterator[Document]:
    """The documents of a text, without empty ones; the last one says why the rest can't be read."""
    for node in _nodes(text):
        document = node if isinstance(node, Document) else _document(node)
        if document.data is not None or document.problems:
            yield document


def _nodes(text: str) -> Iterator[Node | Document]:
    try:
        composer = _yaml().get_constructor_parser(text)[0].composer
        while composer.check_node():
            yield composer.get_node()
    except _SLIPS as error:
        mark, sentence = _told(error, text)
        yield Document(None, mark, problems=((mark, Problem((), sentence)),))


def _yaml() -> YAML:
    """YAML 1.2, with the switches of 1.1."""
    yaml = YAML(typ="safe", pure=True)
    words = re.compile(f"({_SWITCH.pattern})$")
    _ = yaml.resolver.versioned_resolver  # made when it is asked for; what is added before would be all that it knows
    yaml.resolver.add_version_implicit_resolver((1, 2), f"{_TAG}bool", words, list("yYnNoO"))
    return yaml


def _document(node: Node) -> Document:
    builder = _Builder()
    try:
        data = builder.build(node, ())
    except _TooLargeError:
        mark = _mark(node)
        return Document(None, mark, problems=((mark, Problem((), f"holds more than {LARGEST} values")),))
    return Document(data, _mark(node), builder.marks, tuple(builder.problems))


class _TooLargeError(Exception):
    """The document is a bomb or a mistake."""


class _Builder:
    """One walk through a document's nodes."""

    def __init__(self) -> None:
        self.marks: dict[Field, Mark] = {}
        self.problems: list[tuple[Mark, Problem]] = []
        self.seen = 0
        self.inside: set[int] = set()
        self.scalars = YAML(typ="safe", pure=True).constructor

    def build(self, node: Node, way: Field) -> Any:
        """The node's value; what can't be read is reported and left out."""
        self.seen += 1
        if self.seen > LARGEST:
            raise _TooLargeError
        if id(node) in self.inside:
            return self.report(node, way, "contains itself")
        self.inside.add(id(node))
        try:
            return self._build(node, way)
        finally:
            self.inside.discard(id(node))

    def _build(self, node: Node, way: Field) -> Any:
        match node:
            case MappingNode():
                return self.mapping(node, way)
            case SequenceNode():
                return [self.item(item, (*way, index)) for index, item in enumerate(node.value)]
            case ScalarNode():
                return self.scalar(node, way)
        raise AssertionError(f"ruamel has no node such as {node!r}")

    def item(self, node: Node, way: Field) -> Any:
        self.marks[way] = _mark(node)
        return self.build(node, way)

    def mapping(self, node: MappingNode, way: Field) -> dict[str, Any]:
        merges = [value for key, value in node.value if key.tag == f"{_TAG}merge"]
        merged = {name: value for each in merges for name, value in self.merged(each, way).items()}
        data: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                continue
            if not isinstance(key, ScalarNode):
                self.report(key, way, "has a list or mapping as the name of a field")
            elif (name := _text(key)) in data:
                line = self.marks[(*way, name)][0]
                self.report(key, (*way, name), f"is written twice, first in line {line}; remove one of them")
            else:
                self.marks[(*way, name)] = _mark(key)
                data[name] = self.build(value, (*way, name))
        return {**merged, **data}

    def merged(self, node: Node, way: Field) -> dict[str, Any]:
        """What `<<` takes in; fields that stand beside it win."""
        parts = node.value if isinstance(node, SequenceNode) else [node]
        data: dict[str, Any] = {}
        for part in reversed(parts):
            if isinstance(part, MappingNode):
                data |= self.build(part, way)
            else:
                self.report(part, way, "takes in with << what is no mapping")
        return data

    def scalar(self, node: ScalarNode, way: Field) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in ("str", "timestamp"):
            return _text(node)
        if kind not in ("int", "float", "bool", "null"):
            return self.report(node, way, f"has the tag {kind}, which means nothing here; remove it")
        try:
            return self.plain(node, kind)
        except (ValueError, KeyError):
            return self.report(node, way, f"{node.value!r} can't be read as {kind}")

    def plain(self, node: ScalarNode, kind: str) -> Any:
        if kind == "bool" and (switch := _SWITCH.fullmatch(node.value)):
            return switch["on"] is not None
        if kind == "int" and _OCTAL.fullmatch(node.value):
            return int(node.value, 8)
        return self.scalars.construct_object(node)

    def report(self, node: Node, way: Field, sentence: str) -> None:
        """Reports, and stands for the value as null."""
        self.problems.append((_mark(node), Problem(way, sentence)))


def _text(node: ScalarNode) -> str:
    """JSON escapes a character beyond the first 65536 as two halves, which ruamel leaves apart."""
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mark(node: Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _told(error: Exception, text: str) -> tuple[Mark, str]:
    match error:
        case RecursionError():
            return (1, 1), "is nested too deeply to be read"
        case ReaderError():
            before = text[: error.position]
            column = len(before) - before.rfind("\n")
            return (before.count("\n") + 1, column), "a character that can't be printed; is this a text file?"
        case MarkedYAMLError() if error.problem_mark is not None:
            mark = error.problem_mark
            return (mark.line + 1, mark.column + 1), _syntax(error, text)
        case YAMLError():
            return (1, 1), str(error).splitlines()[0]
        case _:
            return (1, 1), "can't be read as YAML"


def _syntax(error: MarkedYAMLError, text: str) -> str:
    """ruamel's words in ours."""
    words = f"{error.context or ''}: {error.problem or ''}".replace("\n", " ")
    start = error.context_mark
    opened = f"in line {start.line + 1}" if start is not None else "before"
    character = repr(text[error.problem_mark.index : error.problem_mark.index + 1])
    for pattern, sentence in _SENTENCES:
        found = re.search(pattern, words)
        if found:
            return sentence.format(start=opened, character=character, **found.groupdict())
    return f"is no YAML: {(error.problem or 'can not be read').splitlines()[0]}"
