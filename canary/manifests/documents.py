"""YAML text to plain data, with the place of every key and every list item. JSON is read as the YAML it is.

Scalars are read as kubectl reads them: `yes`, `n` and `off` are true or false, 010 is 8, dates stay text.
`validation.py` makes resources of the data.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.docinfo import DocInfo
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scanner import Scanner

from canary.engine.validation import Field, Problem

Mark = tuple[int, int]
"""(line, column), both counted from 1."""

LARGEST = 10_000
"""Values in one document, aliases counted each time: more is a bomb or a mistake."""
MOST_TOKENS = 10_000
"""Words and signs in one document; our largest example has 250. ruamel needs up to 35 µs for each."""
MOST_TOKENS_OF_ALL = 50_000
"""In all documents of a file: two seconds."""
LONGEST = 128 * 1024
"""Characters of one document."""
LONGEST_OF_ALL = 512 * 1024
"""Of all documents of a file that are read: ruamel needs up to 2 µs for a character, were it an empty line."""

DEEPEST = 100
"""Levels of nesting, merges included: what walks the data later calls itself for each. A schema has 40."""
MOST_DOCUMENTS = 1000
"""Documents in one file: each may have several problems, and each of them is a line."""
LONGEST_NUMBER = 100
"""Characters of a number: Python refuses to print whole numbers of thousands of digits."""

_SEVERAL = "write several files"
_TAG = "tag:yaml.org,2002:"
_SWITCH = re.compile("(?P<on>y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)|n|N|no|No|NO|false|False|FALSE|off|Off|OFF")
_OCTAL = re.compile("[-+]?0[0-7_]+")
_SENTENCES = (
    (r"too many tokens", f"is too long: only the first {MOST_TOKENS} words and signs of a document are read"),
    (r"nested too deeply", f"is nested in more than {DEEPEST} levels"),
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
_SLIPS = (YAMLError, RecursionError, IndexError, ValueError, TypeError, AttributeError, KeyError, AssertionError)


_BREAKS = "\n\r\x85\u2028\u2029"
_LINE_BREAK = re.compile(f"\r\n|[{_BREAKS}]")
_BORDER = re.compile(rf"(?:\A|(?<=[{_BREAKS}]))(---|\.\.\.)(?=[ \t{_BREAKS}]|\Z)")
_CONTENT = re.compile(rf"(?:\A|(?<=[{_BREAKS}]))[ \t]*[^ \t{_BREAKS}#%]")


class DocumentText(NamedTuple):
    """The text of one document."""

    text: str
    line: int
    """Lines before it."""

    @property
    def first(self) -> Mark:
        """Where it begins."""
        return self.line + 1, 1


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
    text: str = ""
    """What it was read from."""

    def place(self, way: Field) -> Mark:
        """Of the field, or of what would hold it."""
        while way and way not in self.marks:
            way = way[:-1]
        return self.marks.get(way, self.mark)


def documents(text: str, unread: Callable[[str], Any] = lambda _: None) -> Iterator[Document]:
    """The documents of a text, without empty ones; one that can't be read says why, as does what is too much.

    `unread` may know enough of a document from its text: what it returns stands for the data.
    """
    number, characters, tokens = 0, 0, MOST_TOKENS_OF_ALL
    for piece in _texts(text):
        known = unread(piece.text)
        if known is not None:
            yield Document(known, piece.first, text=piece.text)
            continue
        number, characters = number + 1, characters + len(piece.text)
        excess = _excess(number, characters, tokens)
        if excess is not None:
            yield _unread(piece.text, piece.first, excess)
            return
        if len(piece.text) > LONGEST:
            excess = f"is longer than {LONGEST // 1024} KiB; write it without what it doesn't need"
            yield _unread(piece.text, piece.first, excess)
            continue
        composed, spent = _composed(piece)
        tokens -= spent
        yield from (each for each in composed if each.data is not None or each.problems)


def _texts(text: str) -> Iterator[DocumentText]:
    """A border at the start of a line separates documents, also inside a broken one."""
    start, line = 0, 0
    for end in (*_ends(text), len(text)):
        piece = DocumentText(text[start:end], line)
        if end < len(text) and not _CONTENT.search(piece.text):
            continue  # comments and directives, which belong to what follows
        if _CONTENT.search(piece.text) or "%" in piece.text:
            yield piece
        start, line = end, line + len(_LINE_BREAK.findall(piece.text))


def _ends(text: str) -> Iterator[int]:
    for border in _BORDER.finditer(text):
        after = _LINE_BREAK.search(text, border.end())
        if border.start() and border[1] == "---":
            yield border.start()
        elif border[1] == "..." and after is not None:
            yield after.end()


def _excess(number: int, characters: int, tokens: int) -> str | None:
    """Why no more of a file is read."""
    if number > MOST_DOCUMENTS:
        return f"is document {number} of this file, and at most {MOST_DOCUMENTS} are read; {_SEVERAL}"
    if characters > LONGEST_OF_ALL and number > 1:
        return f"ends after the first {LONGEST_OF_ALL // 1024} KiB of this file, and no more are read; {_SEVERAL}"
    if tokens <= 0:
        return f"stands after the first {MOST_TOKENS_OF_ALL} words and signs of this file, which are read; {_SEVERAL}"
    return None


def _unread(text: str, mark: Mark, sentence: str) -> Document:
    """What stands for a document that can't be read, or isn't."""
    return Document(None, mark, problems=((mark, Problem((), sentence)),), text=text)


def _composed(piece: DocumentText) -> tuple[list[Document], int]:
    """What the text holds; and how many tokens, or values, aliases counted each time, it took to know."""
    yaml, values = _yaml(), 0
    found: list[Document] = []
    try:
        composer = yaml.get_constructor_parser(piece.text)[0].composer
        composer.warn_double_anchors = False  # YAML allows an anchor to be set again
        yaml.reader.line = piece.line
        while composer.check_node():
            document, seen = _document(composer.get_node(), piece.text)
            found.append(document)
            values += seen
    except _SLIPS as error:
        found.append(_unread(piece.text, *_problem(error, piece)))
    return found, max(yaml.scanner.fetched, values)


class _BoundedScanner(Scanner):
    """One that doesn't follow brackets and indentation as deep as they go: it walks all levels at each token.
    Nor does it go on without end."""

    fetched = 0

    def fetch_more_tokens(self) -> Any:
        """One, or what belongs together."""
        self.fetched += 1
        if self.fetched > MOST_TOKENS:
            raise MarkedYAMLError(problem="too many tokens", problem_mark=self.reader.get_mark())
        return super().fetch_more_tokens()

    def scan_yaml_directive_value(self, start_mark: Any) -> Any:
        """`%YAML 1.1` changes nothing, as it changes nothing for kubectl."""
        major, _ = super().scan_yaml_directive_value(start_mark)
        self.yaml_version = (major, 2)
        return self.yaml_version

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        """At `[` and `{`."""
        super().fetch_flow_collection_start(TokenClass, to_push)
        self._bound(len(self.flow_context))

    def add_indent(self, column: int) -> bool:
        """At what is indented further."""
        added: bool = super().add_indent(column)
        self._bound(len(self.indents))
        return added

    def _bound(self, levels: int) -> None:
        if levels > DEEPEST:
            raise MarkedYAMLError(problem="nested too deeply", problem_mark=self.reader.get_mark())


class _SwitchResolver(VersionedResolver):
    """YAML 1.2, with the switches of 1.1."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        _ = self.versioned_resolver  # made when it is asked for; what is added before would be all that it knows
        words = re.compile(f"({_SWITCH.pattern})$")
        self.add_version_implicit_resolver((1, 2), f"{_TAG}bool", words, list("yYnNoO"))


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _BoundedScanner
    yaml.Resolver = _SwitchResolver
    yaml.doc_infos.append(DocInfo())  # where directives are noted
    return yaml


@cache
def _scalars() -> Any:
    """What reads plain scalars; it costs more to make than a small document to read."""
    return YAML(typ="safe", pure=True).constructor


def _document(node: Node, text: str) -> tuple[Document, int]:
    """The document, and how many values were looked at."""
    builder = _Builder()
    try:
        data = builder.build(node, ())
    except _TooLargeError:
        return _unread(text, _mark(node), f"holds more than {LARGEST} values"), builder.seen
    return Document(data, _mark(node), builder.marks, tuple(builder.problems), text), builder.seen


class _TooLargeError(Exception):
    """The document is a bomb or a mistake."""


class _Builder:
    """One walk through a document's nodes."""

    def __init__(self) -> None:
        self.marks: dict[Field, Mark] = {}
        self.problems: list[tuple[Mark, Problem]] = []
        self.seen = 0
        self.inside: set[int] = set()

    def build(self, node: Node, way: Field) -> Any:
        """The node's value; what can't be read is reported and left out."""
        self.seen += 1
        if self.seen > LARGEST:
            raise _TooLargeError
        if id(node) in self.inside:
            return self.report(node, way, "contains itself")
        if len(self.inside) >= DEEPEST:
            return self.report(node, way, f"is nested in more than {DEEPEST} levels")
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
                data |= self.build(part, way) or {}  # nothing, where it contains itself
            else:
                self.report(part, way, "takes in with << what is no mapping")
        return data

    def scalar(self, node: ScalarNode, way: Field) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in ("str", "timestamp"):
            return _text(node)
        if kind not in ("int", "float", "bool", "null"):
            return self.report(node, way, f"has the tag {kind}, which means nothing here; remove it")
        if kind in ("int", "float") and len(node.value) > LONGEST_NUMBER:
            return self.report(node, way, f"has a number of over {LONGEST_NUMBER} characters; write text in quotes")
        try:
            return self.plain(node, kind)
        except (ValueError, KeyError, IndexError):
            return self.report(node, way, f"{str(node.value)[:LONGEST_NUMBER]!r} can't be read as {kind}")

    def plain(self, node: ScalarNode, kind: str) -> Any:
        if kind == "bool" and (switch := _SWITCH.fullmatch(node.value)):
            return switch["on"] is not None
        if kind == "int" and _OCTAL.fullmatch(node.value):
            return int(node.value, 8)
        return getattr(_scalars(), f"construct_yaml_{kind}")(node)

    def report(self, node: Node, way: Field, sentence: str) -> None:
        """Reports, and stands for the value as null."""
        self.problems.append((_mark(node), Problem(way, sentence)))


def _text(node: ScalarNode) -> str:
    """JSON escapes a character beyond the first 65536 as two halves, which ruamel leaves apart."""
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mark(node: Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _problem(error: Exception, piece: DocumentText) -> tuple[Mark, str]:
    match error:
        case RecursionError():
            return piece.first, "is nested too deeply to be read"
        case ReaderError():
            before = piece.text[: error.position]
            column = len(before) - before.rfind("\n")
            line = piece.line + before.count("\n") + 1
            return (line, column), "a character that can't be printed; is this a text file?"
        case MarkedYAMLError() if error.problem_mark is not None:
            mark = error.problem_mark
            return (mark.line + 1, mark.column + 1), _syntax(error, piece.text)
        case YAMLError():
            return piece.first, str(error).splitlines()[0]
        case _:
            return piece.first, "can't be read as YAML"


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
