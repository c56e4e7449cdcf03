"""Files to resources that know each other, and problems with their places; `linting.py` judges them."""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from canary.api.canary import API_VERSION, Canary, CanaryPolicy, MetricTemplate, PolicyRef
from canary.api.kinds import Resource
from canary.engine.did_you_mean import did_you_mean
from canary.engine.errors import Invalid
from canary.engine.pairs import pair_for
from canary.engine.validation import Field, Problem, Severity, dotted

from .documents import Document, Mark, documents
from .others import UNRENDERED, counted, mentioned, other, raw, theirs, unopened
from .validation import follows, partial, resource

R = TypeVar("R", bound=Resource)
STDIN = "-"
LARGEST = 4 * 1024 * 1024
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, order=True)
class Located:
    """One problem. Sorted by file, then by line and column."""

    path: str
    line: int
    """Counted from 1; 0 for the whole file."""
    column: int
    """Counted from 1, at the field's name; 0 for the whole file."""
    severity: Severity
    field: str
    """`spec.analysis.steps[1].weight`; empty if there is no field."""
    sentence: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        field = f"{self.field}: " if self.field else ""
        return f"{place}: {self.severity}: {field}{self.sentence}"

    def wire(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "file": self.path,
            "line": self.line,
            "column": self.column,
            "severity": self.severity.value,
            "field": self.field,
            "message": self.sentence,
        }


@dataclass(frozen=True)
class Placed:
    """A document of a file, and the resource that it is; None where it is none."""

    path: str
    document: Document
    resource: Resource | None = None
    partial: Resource | None = None
    """What else it says where something in it can't be read; nothing starts from it."""
    bad: tuple[Field, ...] = ()
    """What can't be read."""
    unrendered: Severity | None = None
    """How bad it is that Helm has still to make YAML of it; None where it hasn't."""

    def located(self, problem: Problem, mark: Mark | None = None) -> Located:
        """The problem with its place in the file."""
        line, column = mark or self.document.place(problem.field)
        return Located(self.path, line, column, problem.severity, dotted(problem.field), problem.sentence)

    def unhidden(self, problems: Iterable[Located]) -> tuple[Located, ...]:
        """These, or what causes them all: the author of a template can't mend what isn't YAML yet."""
        found = tuple(problems)
        if not found or self.unrendered is None:
            return found
        return (self.located(Problem((), UNRENDERED, self.unrendered), self.document.mark),)

    def broken(self, kind: str) -> str | None:
        """The name of a resource of this kind that is there, and can't be used as it is."""
        data = self.document.data
        if self.resource is not None or not isinstance(data, dict) or data.get("kind") != kind:
            return None
        metadata = data.get("metadata")
        return str(metadata.get("name")) if isinstance(metadata, dict) else None


@dataclass(frozen=True)
class Reading:
    """All that was read from some files."""

    placed: tuple[Placed, ...] = ()
    problems: tuple[Located, ...] = ()
    """Of writing and shape; `lint` adds those of meaning."""
    offered: str | None = None
    """Name of the policy that holds for Canaries without a `policyRef`."""
    others: tuple[str, ...] = ()
    """The file of each object of another kind; it isn't parsed."""

    def each(self, kind: type[R]) -> list[R]:
        """The resources of a kind, in the order of the files."""
        return [placed.resource for placed in self.placed if isinstance(placed.resource, kind)]

    @property
    def policies(self) -> dict[str, CanaryPolicy]:
        """By name."""
        return {each.metadata.name: each for each in self.each(CanaryPolicy)}

    @property
    def templates(self) -> list[MetricTemplate]:
        return self.each(MetricTemplate)

    def policy_of(self, canary: Canary) -> CanaryPolicy | None:
        """The one that the Canary refers to by kind and name: of these files, else one that comes with canary."""
        ref = canary.spec.policy_ref
        if ref is None:
            return self.policies.get(self.offered) if self.offered is not None else None
        return self.policies_of(ref.kind).get(ref.name)

    def policies_of(self, kind: str) -> dict[str, CanaryPolicy]:
        """By name, those that come with canary included; these are no cluster's."""
        known = [*_shipped().values(), *self.each(CanaryPolicy)]
        return {one.metadata.name: one for one in known if one.kind == kind}


def read(paths: Iterable[str], policy: str | None = None, found: Collection[str] = ()) -> Reading:
    """Reads files (`-` is the standard input), and one more whose only policy is offered to all Canaries.

    `found` are those of the paths that were found in a folder: what isn't canary's there may be of any format.
    """
    reading = _joined([_found(path) if path in found else _file(path) for path in paths])
    if reading.others and not reading.placed:
        reading = replace(reading, problems=(*reading.problems, *_nothing(reading.others, found)))
    if policy is None:
        return reading
    extra = _file(policy)
    names = tuple(extra.policies)
    joined = _joined([reading, extra])
    if not extra.problems and not names:
        joined = replace(joined, problems=(*joined.problems, _whole(policy, "holds no CanaryPolicy")))
    return replace(joined, offered=names[0] if len(names) == 1 else None)


def _found(path: str) -> Reading:
    """A file of a folder: one that doesn't mention anything of canary's is passed over unread."""
    try:
        text = text_of(path)
    except Invalid:
        return Reading(others=(path,))
    return _file(path, Severity.WARNING) if mentioned(text) else Reading(others=(path,) * counted(text))


ANY = "any"
"""Stands for the version where no command reads it; a target that has none stays without."""


def with_fields(reading: Reading, **instead: str | None) -> Reading:
    """The same with other values in the spec of each Canary, as options of a command say; None changes nothing."""
    given = {field: value for field, value in instead.items() if value is not None}
    return replace(reading, placed=tuple(_with(each, given) for each in reading.placed)) if given else reading


def _with(placed: Placed, fields: Mapping[str, str]) -> Placed:
    if not isinstance(placed.resource, Canary):
        return placed
    canary, pair = placed.resource, pair_for(placed.resource.spec)
    if fields.get("version") == ANY and pair is not None and not pair.no_version:
        fields = {field: value for field, value in fields.items() if field != "version"}
    return replace(placed, resource=canary.but(spec=canary.spec.but(**fields)))


def _file(path: str, unrendered: Severity = Severity.ERROR) -> Reading:
    try:
        text = text_of(path)
    except Invalid as error:
        return Reading(problems=(_whole(path, str(error)),))
    return read_text(path, text, unrendered)


def read_text(path: str, text: str, unrendered: Severity = Severity.ERROR) -> Reading:
    """What a file with this text holds. `unrendered` is how bad it is if Helm has still to make YAML of it."""
    name, found = shown(path), list(documents(text, theirs))
    if not found:
        return Reading(problems=(_whole(path, "is empty"),))
    return _joined(
        _read(Placed(name, document, unrendered=unrendered if raw(document.text) else None)) for document in found
    )


def _read(bare: Placed) -> Reading:
    """What can be read of a document is judged even if the rest can't be, so that one round shows all problems."""
    document = bare.document
    if other(document.data):
        return Reading(others=(bare.path,))
    writing = [bare.located(problem, mark) for mark, problem in document.problems]
    if not isinstance(document.data, dict) and writing:
        return Reading((bare,), bare.unhidden(writing))
    packed = unopened(document.data)
    if packed is not None:
        return Reading((bare,), bare.unhidden([*writing, bare.located(packed)]))
    unread = [problem.field for _, problem in document.problems]
    made, every = resource(document.data)
    shape = [each for each in every if not follows(each.field, unread, document.marks)]
    bad = (*unread, *(each.field for each in every))
    if writing or made is None:
        placed = replace(bare, partial=partial(document.data), bad=bad)
    else:
        placed = replace(bare, resource=made)
    return Reading((placed,), bare.unhidden([*writing, *map(bare.located, shape)]))


def _joined(readings: Iterable[Reading]) -> Reading:
    every = list(readings)
    return Reading(
        tuple(placed for each in every for placed in each.placed),
        tuple(problem for each in every for problem in each.problems),
        others=tuple(path for each in every for path in each.others),
    )


def _nothing(others: tuple[str, ...], found: Collection[str]) -> Iterator[Located]:
    """If nothing was checked, the file is wrong, or the chart has left the objects out."""
    folder = os.path.commonpath(others) if found else ""
    places = [folder or "." if path in found else path for path in others]
    for place in dict.fromkeys(places):
        sentence = (
            f"holds none of canary's objects (apiVersion: {API_VERSION}), only {places.count(place)} of other kinds"
        )
        yield _whole(place, sentence)


def _whole(path: str, sentence: str) -> Located:
    return Located(shown(path), 0, 0, Severity.ERROR, "", sentence)


# ---- files -----------------------------------------------------------------------------------------------------


def shown(path: str) -> str:
    """How problems name the file."""
    return "<stdin>" if path == STDIN else path


def text_of(path: str) -> str:
    """The file's text. Raises Invalid with what is wrong, without the file's name."""
    data = _bytes_of(path)
    if len(data) > LARGEST:
        raise Invalid(f"is larger than {LARGEST // 1024 // 1024} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("is no text file (UTF-8)") from None
    if "\0" in text:
        raise Invalid("is no text file (UTF-8)")
    return text


def within(path: str) -> list[str]:
    """The file itself, or all YAML and JSON files below a directory, hidden ones aside, by name.

    A file to which several links lead is one.
    """
    folder = Path(path)
    if path == STDIN or not folder.is_dir():
        return [path]
    found = [each for each in folder.rglob("*") if each.suffix in SUFFIXES and each.is_file()]
    visible = (each for each in found if not any(part.startswith(".") for part in each.relative_to(folder).parts))
    once = {each.resolve(): each for each in sorted(visible, reverse=True)}
    return sorted(map(str, once.values()))


def _bytes_of(path: str) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(LARGEST + 1)
    try:
        with Path(path).open("rb") as file:
            return file.read(LARGEST + 1)
    except FileNotFoundError:
        raise Invalid("there is no such file") from None
    except IsADirectoryError:
        raise Invalid("is a directory; name a file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Invalid(f"can't be read: {reason}") from None


# ---- policies that come with canary ----------------------------------------------------------------------------

_HERE = Path(__file__).parent.parent
_PLACES = (_HERE / "policies", _HERE.parent / "policies")


def shipped(name: str) -> CanaryPolicy | None:
    """The policy of this name, or None."""
    return _shipped().get(name)


def shipped_names() -> tuple[str, ...]:
    """The names of all of them."""
    return tuple(_shipped())


def meant(ref: PolicyRef, names: Callable[[str], Collection[str]]) -> str:
    """A suggestion for a reference to an unknown policy, appended to a sentence. `names`: of each kind."""
    other = next(kind for kind in ("CanaryPolicy", "ClusterCanaryPolicy") if kind != ref.kind)
    if ref.name in names(other):
        return f", but a {other}; write kind: {other} in policyRef"
    known = names(ref.kind)
    return did_you_mean(ref.name, known) or (f"; there are {', '.join(known)}" if known else "")


@cache
def _shipped() -> dict[str, CanaryPolicy]:
    place = next((place for place in _PLACES if place.is_dir()), None)
    files = sorted(place.glob("*.yaml")) if place is not None else []
    found = (resource(each.data)[0] for file in files for each in documents(file.read_text("utf-8")))
    return {each.metadata.name: each for each in found if isinstance(each, CanaryPolicy)}
