"""Checks of guards, the Canary's own and its policy's: each is compiled; zones and patterns in it are tried."""

import re
from collections.abc import Iterable, Iterator

from canary.api.guard import Guard

from .. import guards
from .case import Case, shared
from .problem import Field, Problem

_ZONE = re.compile(r"""\.get[A-Z]\w+\(\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\)""")
_PATTERN = re.compile(r"""\bmatches\(\s*(?:[\w.]+\s*,\s*)?([rR]?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))\s*\)""")


def expressions(case: Case) -> Iterator[Problem]:
    """A guard that can't be asked would hold every rollout."""
    yield from _all(case.spec.guards)
    if case.policy is not None:
        yield from (shared(case.policy, problem) for problem in _all(case.policy.spec.guards))


def _all(given: Iterable[Guard]) -> Iterator[Problem]:
    names: set[str] = set()
    for index, guard in enumerate(given):
        field: Field = ("spec", "guards", index)
        if guard.name in names:
            yield Problem((*field, "name"), f"{guard.name!r} is the name of another guard as well")
        names.add(guard.name)
        yield from (Problem((*field, "expression"), sentence) for sentence in _wrong(guard.expression))


def _wrong(expression: str) -> Iterator[str]:
    found = guards.compiled(expression)
    if isinstance(found, guards.Broken):
        yield found.sentence
        return
    for zone in dict.fromkeys(double or single for double, single in _ZONE.findall(expression)):
        if not guards.known_zone(zone):
            yield f"{zone!r} is no time zone that is known here; write one such as Europe/Berlin, or +01:00"
    yield from filter(None, (guards.refused_pattern(one) for one in dict.fromkeys(_PATTERN.findall(expression))))


CHECKS = (expressions,)
