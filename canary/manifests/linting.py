"""What was read is judged: the meaning of each document beside its shape, and what a rollout starts from."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from canary.api.action import ActionResource
from canary.api.analysis import TemplateRef
from canary.api.canary import AlertProvider, Canary, CanaryPolicy, Metadata, MetricTemplate
from canary.engine.errors import Invalid
from canary.engine.policy_merge import effective
from canary.engine.validation import (
    Problem,
    Severity,
    check,
    check_action,
    check_policy,
    check_provider,
    check_template,
    of_template,
    shared,
)

from .reading import Located, Placed, Reading, meant, read, with_fields, within
from .validation import follows


@dataclass(frozen=True)
class Given:
    """What a rollout starts from."""

    canary: Canary
    policy: CanaryPolicy | None
    templates: Mapping[str, MetricTemplate]
    """By `TemplateRef.key`."""
    warnings: tuple[Located, ...] = ()


def lint(reading: Reading, offline: bool = True) -> tuple[Located, ...]:
    """Every problem, sorted by its place. `offline`: a cluster may have what is referred to and wasn't read."""
    found = [located for placed in reading.placed for located in _meaning(placed, reading, offline)]
    return tuple(sorted({*reading.problems, *found, *_twice(reading)}))


NAMED = "canary simulate, backtest or policy report"
"""Commands that take one of several Canaries."""


def only_canary(reading: Reading, name: str | None = None) -> Canary:
    """The one Canary of what was read, or that of a name. Raises Invalid where there is none, or more than one."""
    found = reading.each(Canary)
    match [each for each in found if name in (None, each.metadata.name)]:
        case [canary]:
            return canary
        case [] if found:
            raise Invalid(f"no Canary is called {name}; there are {', '.join(each.metadata.name for each in found)}")
        case []:
            raise Invalid("no Canary was found; one document must have kind: Canary")
        case several:
            names = ", ".join(each.metadata.name for each in several)
            said = f"{len(several)} Canaries were found ({names})"
            raise Invalid(f"{said}; name a file that holds one, or its --name for {NAMED}")


def load(paths: Iterable[str], policy: str | None = None, name: str | None = None, **instead: str | None) -> Given:
    """The one Canary of some files and directories, or that of a name, with all that it refers to.

    `instead` are values for fields of its spec, such as `version`, where they aren't None.

    Raises Invalid with every error, a line each, where anything is wrong.
    """
    given = list(paths)
    files = list(dict.fromkeys(each for path in given for each in within(path)))
    reading = with_fields(read(files, policy, set(files) - set(given)), **instead)
    problems = lint(reading, offline=False)
    errors = [str(each) for each in problems if each.severity is Severity.ERROR]
    if errors:
        raise Invalid("\n".join(errors))
    canary = only_canary(reading, name)
    chosen = reading.policy_of(canary)
    return Given(canary, chosen, templates_of(canary, chosen, reading.templates), problems)


def _meaning(placed: Placed, reading: Reading, offline: bool) -> Iterator[Located]:
    """What follows from a field that can't be read isn't said as well."""
    match placed.resource or placed.partial:
        case Canary() as canary:
            found = _of_canary(canary, reading, offline)
        case CanaryPolicy() as policy:
            found = check_policy(policy)
        case MetricTemplate() as template:
            found = check_template(template)
        case AlertProvider() as provider:
            found = check_provider(provider)
        case ActionResource() as action:
            found = check_action(action)
        case _:
            found = []
    said = (each for each in found if not follows(each.field, placed.bad, placed.document.marks))
    yield from placed.unhidden(map(placed.located, said))


def _of_canary(canary: Canary, reading: Reading, offline: bool) -> list[Problem]:
    """All but what is reported elsewhere already: at the policy itself, or at a broken document."""
    policy = reading.policy_of(canary)
    elsewhere = {shared(policy, each) for each in check_policy(policy)} if policy is not None else set()
    templates = templates_of(canary, policy, reading.templates)
    unread = {of_template(each, problem) for each in templates.values() for problem in check_template(each)}
    found = check(canary, policy, templates)
    named = [
        _nearest(each, canary, reading)
        for each in found
        if each not in elsewhere and each.sentence not in unread and not _follows(each, canary, reading)
    ]
    return [_perhaps_there(each) if offline else _in_another_file(each) for each in named]


def _perhaps_there(problem: Problem) -> Problem:
    """What isn't in the given files may be in the cluster, where the controller looks for it."""
    if not problem.absent:
        return problem
    what = re.sub("^there is no ([^;,]*)", r"these files have no \1, so the cluster must have it", problem.sentence)
    return replace(problem, sentence=what, severity=Severity.WARNING)


def _in_another_file(problem: Problem) -> Problem:
    """A template is often kept beside those of other teams."""
    if not problem.absent or problem.field[-1:] != ("templateRef",):
        return problem
    what, _, hint = problem.sentence.partition(";")
    return replace(problem, sentence=f"{what} in these files;{hint or ' name its file with -f as well'}")


def _follows(problem: Problem, canary: Canary, reading: Reading) -> bool:
    """Whether something is only said to be absent because it is broken."""
    if problem.field == ("spec", "policyRef", "name") and canary.spec.policy_ref is not None:
        ref = canary.spec.policy_ref
        return ref.name in {each.broken(ref.kind) for each in reading.placed}
    return problem.field[-1:] == ("templateRef",) and any(each.broken("MetricTemplate") for each in reading.placed)


def _nearest(problem: Problem, canary: Canary, reading: Reading) -> Problem:
    """Only here is it known which policies there are."""
    ref = canary.spec.policy_ref
    if problem.field != ("spec", "policyRef", "name") or ref is None:
        return problem
    return replace(problem, sentence=problem.sentence + meant(ref, reading.policies_of))


def _twice(reading: Reading) -> Iterator[Located]:
    """Two resources of one kind and name in the same namespace: it isn't clear which one is used."""
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


def templates_of(
    canary: Canary, policy: CanaryPolicy | None, found: Sequence[MetricTemplate]
) -> dict[str, MetricTemplate]:
    """The MetricTemplates that a Canary refers to, by `TemplateRef.key`; beside them those that are there and that it
    doesn't refer to, by name.

    Those of two namespaces are two; one without a namespace goes where its file is applied, and so may be of any.
    """
    metrics = effective(canary.spec, policy).metrics or ()
    refs = {one.template_ref.key: one.template_ref for one in metrics if one.template_ref is not None}
    others = {one.metadata.name: one for one in found if one.metadata.name not in refs}
    meant = {key: _meant(ref, canary, found) for key, ref in refs.items()}
    return others | {key: one for key, one in meant.items() if one is not None}


def _meant(ref: TemplateRef, canary: Canary, found: Iterable[MetricTemplate]) -> MetricTemplate | None:
    wanted = ref.namespace or _written(canary.metadata)
    there = {_written(one.metadata): one for one in found if one.metadata.name == ref.name}
    if wanted in there or wanted is not None:
        return there.get(wanted) or there.get(None)
    return next(iter(there.values()), None)


def _written(metadata: Metadata) -> str | None:
    return metadata.namespace if "namespace" in metadata.model_fields_set else None
