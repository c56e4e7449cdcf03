"""Files to resources that know each other: what `lint` prints and what `run` starts from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from canary.api.canary import API_VERSION, Canary, CanaryPolicy, MetricTemplate
from canary.api.kinds import Resource
from canary.engine.checks import (
    Problem,
    Severity,
    check,
    check_policy,
    check_template,
    dotted,
    of_template,
    shared,
)
from canary.engine.errors import Invalid

from .documents import Document, Mark, documents
from .files import shown, text_of
from .located import Located
from .others import other, unopened
from .policies import meant, shipped, shipped_names
from .templates import templates_of
from .validation import resource


@dataclass(frozen=True)
class Placed:
    """A document of a file, and the resource that it is; None where it is none."""

    path: str
    document: Document
    resource: Resource | None = None

    def located(self, problem: Problem, mark: Mark | None = None) -> Located:
        """The problem with its place in the file."""
        line, column = mark or self.document.place(problem.field)
        return Located(self.path, line, column, problem.severity, dotted(problem.field), problem.sentence)

    def broken(self, kinds: Sequence[str]) -> str | None:
        """The name of a resource of one of these kinds that is there, and can't be used as it is."""
        data = self.document.data
        if self.resource is not None or not isinstance(data, dict) or data.get("kind") not in kinds:
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
    """The file of each object of somebody else's; nothing more is known of them."""

    @property
    def canaries(self) -> tuple[Canary, ...]:
        """In the order of the files."""
        return tuple(each.resource for each in self.placed if isinstance(each.resource, Canary))

    @property
    def policies(self) -> dict[str, CanaryPolicy]:
        """By name."""
        found = (each.resource for each in self.placed)
        return {each.metadata.name: each for each in found if isinstance(each, CanaryPolicy)}

    @property
    def templates(self) -> tuple[MetricTemplate, ...]:
        """In the order of the files."""
        return tuple(each.resource for each in self.placed if isinstance(each.resource, MetricTemplate))

    def policy_of(self, canary: Canary) -> CanaryPolicy | None:
        """The one that the Canary refers to by kind and name: of these files, else one that comes with canary."""
        ref = canary.spec.policy_ref
        if ref is None:
            return self.policies.get(self.offered) if self.offered is not None else None
        return self.policies_of(ref.kind).get(ref.name)

    def policies_of(self, kind: str) -> dict[str, CanaryPolicy]:
        """By name, those that come with canary included; these are no cluster's."""
        found = (each.resource for each in self.placed)
        ours = {one.metadata.name: one for one in found if isinstance(one, CanaryPolicy) and one.kind == kind}
        return ({name: one for name in shipped_names() if (one := shipped(name)) and one.kind == kind}) | ours


@dataclass(frozen=True)
class Given:
    """What a rollout starts from."""

    canary: Canary
    policy: CanaryPolicy | None
    templates: Mapping[str, MetricTemplate]
    """By `TemplateRef.key`."""
    warnings: tuple[Located, ...] = ()


def read(paths: Iterable[str], policy: str | None = None) -> Reading:
    """Reads files (`-` is the standard input), and one more whose only policy is offered to all Canaries."""
    reading = _joined([_file(path) for path in paths])
    if reading.others and not reading.placed:
        reading = replace(reading, problems=(*reading.problems, *_nothing(reading.others)))
    if policy is None:
        return reading
    extra = _file(policy)
    names = tuple(extra.policies)
    joined = _joined([reading, extra])
    if not extra.problems and not names:
        joined = replace(joined, problems=(*joined.problems, _whole(policy, "holds no CanaryPolicy")))
    return replace(joined, offered=names[0] if len(names) == 1 else None)


def lint(reading: Reading) -> tuple[Located, ...]:
    """Every problem, sorted by its place."""
    found = [located for placed in reading.placed for located in _meaning(placed, reading)]
    return tuple(sorted({*reading.problems, *found, *_twice(reading)}))


def only_canary(reading: Reading) -> Canary:
    """The one Canary of what was read. Raises Invalid where there is none, or more than one."""
    match reading.canaries:
        case [canary]:
            return canary
        case []:
            raise Invalid("no Canary was found; one document must have kind: Canary")
        case several:
            names = ", ".join(each.metadata.name for each in several)
            raise Invalid(f"{len(several)} Canaries were found ({names}); name a file that holds one")


def load(paths: Iterable[str], policy: str | None = None, metrics_server: str | None = None) -> Given:
    """The one Canary of some files, with all that it refers to; `metrics_server` stands for the Canary's own.

    Raises Invalid with every error, a line each, where anything is wrong.
    """
    reading = read(paths, policy)
    if metrics_server is not None:
        reading = replace(reading, placed=tuple(_asking(each, metrics_server) for each in reading.placed))
    problems = lint(reading)
    errors = [str(each) for each in problems if each.severity is Severity.ERROR]
    if errors:
        raise Invalid("\n".join(errors))
    canary = only_canary(reading)
    chosen = reading.policy_of(canary)
    return Given(canary, chosen, templates_of(canary, chosen, reading.templates), problems)


def _asking(placed: Placed, server: str) -> Placed:
    if not isinstance(placed.resource, Canary):
        return placed
    canary = placed.resource
    return replace(placed, resource=canary.but(spec=canary.spec.but(metrics_server=server)))


def _file(path: str) -> Reading:
    name = shown(path)
    try:
        found = list(documents(text_of(path)))
    except Invalid as error:
        return Reading(problems=(_whole(path, str(error)),))
    if not found:
        return Reading(problems=(_whole(path, "is empty"),))
    return _joined(_read(name, document) for document in found)


def _read(path: str, document: Document) -> Reading:
    """A document whose writing is at fault is judged no further: what it means isn't known."""
    bare = Placed(path, document)
    if other(document.data):
        return Reading(others=(path,))
    if document.problems:
        return Reading((bare,), tuple(bare.located(problem, mark) for mark, problem in document.problems))
    packed = unopened(document.data)
    if packed is not None:
        return Reading((bare,), (bare.located(packed),))
    made, problems = resource(document.data)
    return Reading((Placed(path, document, made),), tuple(bare.located(problem) for problem in problems))


def _joined(readings: Iterable[Reading]) -> Reading:
    every = list(readings)
    return Reading(
        tuple(placed for each in every for placed in each.placed),
        tuple(problem for each in every for problem in each.problems),
        others=tuple(path for each in every for path in each.others),
    )


def _nothing(others: tuple[str, ...]) -> Iterator[Located]:
    """Whoever has nothing checked named the wrong file, or the chart has left out what was meant."""
    for path in dict.fromkeys(others):
        sentence = (
            f"holds none of canary's objects (apiVersion: {API_VERSION}), only {others.count(path)} of other kinds"
        )
        yield _whole(path, sentence)


def _whole(path: str, sentence: str) -> Located:
    return Located(shown(path), 0, 0, Severity.ERROR, "", sentence)


def _meaning(placed: Placed, reading: Reading) -> Iterator[Located]:
    match placed.resource:
        case Canary() as canary:
            found = _of_canary(canary, reading)
        case CanaryPolicy() as policy:
            found = check_policy(policy)
        case MetricTemplate() as template:
            found = check_template(template)
        case _:
            found = []
    yield from (placed.located(problem) for problem in found)


def _of_canary(canary: Canary, reading: Reading) -> list[Problem]:
    """All but what is reported elsewhere already: at the policy itself, or at a broken document."""
    policy = reading.policy_of(canary)
    elsewhere = {shared(policy, each) for each in check_policy(policy)} if policy is not None else set()
    templates = templates_of(canary, policy, reading.templates)
    unread = {of_template(each, problem) for each in templates.values() for problem in check_template(each)}
    found = check(canary, policy, templates)
    return [
        _nearest(each, canary, reading)
        for each in found
        if each not in elsewhere and each.sentence not in unread and not _follows(each, canary, reading)
    ]


def _follows(problem: Problem, canary: Canary, reading: Reading) -> bool:
    """Whether something is only said to be absent because it is broken."""
    if problem.field == ("spec", "policyRef", "name") and canary.spec.policy_ref is not None:
        ref = canary.spec.policy_ref
        return ref.name in {each.broken((ref.kind,)) for each in reading.placed}
    broken = {each.broken(("MetricTemplate",)) for each in reading.placed} - {None}
    return problem.field[-1:] == ("templateRef",) and bool(broken)


def _nearest(problem: Problem, canary: Canary, reading: Reading) -> Problem:
    """Only here is it known which policies there are."""
    ref = canary.spec.policy_ref
    if problem.field != ("spec", "policyRef", "name") or ref is None:
        return problem
    return replace(problem, sentence=problem.sentence + meant(ref, reading.policies_of))


def _twice(reading: Reading) -> Iterator[Located]:
    """Two resources of one kind and name in the same namespace: which is meant can't be told."""
    first: dict[tuple[type, str, str], Placed] = {}
    for placed in reading.placed:
        if placed.resource is None:
            continue
        metadata = placed.resource.metadata
        before = first.setdefault((type(placed.resource), metadata.namespace, metadata.name), placed)
        if before is not placed:
            line = before.document.place(("metadata", "name"))[0]
            sentence = f"{metadata.name!r} is the name of the {placed.resource.kind} at {before.path}:{line} as well"
            yield placed.located(Problem(("metadata", "name"), sentence))
