"""Checks of what single steps ask for: matches, mirrors and gates, and whether the router can do it."""

from collections.abc import Iterator

from canary.api.plan import Gate, Match, StringMatch

from ..guards import refused_regex
from .case import Case
from .problem import Problem

ONE_COMPARISON = "write only one of exact, prefix or regex"
NO_COMPARISON = "compares with nothing; write exact, prefix or regex"
NO_CONDITION = "has no condition, so it would match every request; write headers"
NOTHING_OPENS = "nothing opens this gate; write `approval: {count: 1}`"
NO_REGEX = "isn't a regular expression (RE2)"
ONE_NAME_EACH = "two gates of this step are called {name}; give each a name of its own"

_LOOKS = ("(?=", "(?!", "(?<=", "(?<!")
"""How a message about looking ahead or behind ends."""

At = tuple[str, tuple[str | int, ...]]
"""A field of the analysis by Python name, and the way inside it."""


def mirrors(case: Case) -> Iterator[Problem]:
    """A copy of requests needs a router that copies."""
    if case.capabilities.mirror:
        return
    sentence = f"{case.capabilities.name} can't mirror requests"
    if case.analysis.mirror:
        yield case.problem("mirror", sentence)
    for index, step in enumerate(case.analysis.steps or ()):
        if step.mirror:
            yield case.problem("steps", sentence, index, "mirror")


def matches(case: Case) -> Iterator[Problem]:
    """Each condition is one that the router understands, and says one thing."""
    for (name, way), match in _matches(case):
        yield from _unable(case, name, way, match)
        if not (match.headers or match.query_params or match.source_labels):
            yield case.problem(name, NO_CONDITION, *way)
        for kind, conditions in (("headers", match.headers), ("queryParams", match.query_params)):
            for key, condition in conditions.items():
                yield from _one_comparison(case, (name, (*way, kind, key)), condition)
                yield from _regex(case, (name, (*way, kind, key)), condition)


def affinity(case: Case) -> Iterator[Problem]:
    """Without it users would change versions between requests, which the manifest says they must not."""
    if case.analysis.session_affinity is not None and not case.capabilities.affinity:
        yield case.problem(
            "session_affinity", f"{case.capabilities.name} can't keep users on the version that they met"
        )


def gates(case: Case) -> Iterator[Problem]:
    """A gate that nothing opens ends every rollout in its time-out."""
    for index, step in enumerate(case.analysis.steps or ()):
        for number, gate in enumerate(step.gates):
            if gate.approval is None:
                yield case.problem("steps", NOTHING_OPENS, index, "gates", number)
        yield from _one_name_each(case, index, step.gates)


def _one_name_each(case: Case, index: int, gates: tuple[Gate, ...]) -> Iterator[Problem]:
    names = [gate.name or "approval" for gate in gates]
    for number, name in enumerate(names):
        if name in names[:number]:
            sentence = ONE_NAME_EACH.format(name=name)
            yield case.problem("steps", sentence, index, "gates", number)


def _matches(case: Case) -> Iterator[tuple[At, Match]]:
    for number, match in enumerate(case.analysis.match or ()):
        yield ("match", (number,)), match
    for index, step in enumerate(case.analysis.steps or ()):
        for number, match in enumerate(step.match):
            yield ("steps", (index, "match", number)), match


def _unable(case: Case, name: str, way: tuple[str | int, ...], match: Match) -> Iterator[Problem]:
    can = case.capabilities
    for kind, wanted, able in (
        ("headers", match.headers, can.headers),
        ("queryParams", match.query_params, can.query_params),
        ("sourceLabels", match.source_labels, can.source_labels),
    ):
        if wanted and not able:
            yield case.problem(name, f"{can.name} can't match {kind}", *way, kind)


def _one_comparison(case: Case, at: At, condition: StringMatch) -> Iterator[Problem]:
    name, way = at
    given = sorted(condition.model_dump(exclude_none=True))
    if not given:
        yield case.problem(name, NO_COMPARISON, *way)
    if len(given) > 1:
        yield case.problem(name, f"has {' and '.join(given)}; {ONE_COMPARISON}", *way)


def _regex(case: Case, at: At, condition: StringMatch) -> Iterator[Problem]:
    """The proxy refuses the whole route for one that can't be compiled."""
    name, way = at
    wrong = refused_regex(condition.regex) if condition.regex is not None else ""
    if wrong:
        hint = "; RE2 doesn't look ahead or behind" if wrong.endswith(_LOOKS) else ""
        yield case.problem(name, f"{NO_REGEX}: {wrong}{hint}", *way, "regex")


CHECKS = (mirrors, matches, affinity, gates)
