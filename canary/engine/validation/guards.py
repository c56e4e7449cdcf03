"""Checks of guards, the Canary's own and its policy's: each is compiled, and zones in it are tried."""

import re
from collections.abc import Iterable, Iterator

from canary.api.canary import Guard

from .. import guards
from .problem import Case, Field, Problem, shared

ONE_NAME_EACH = "is the name of another guard as well"
_ZONE = re.compile(r"""\.get[A-Z]\w+\(\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\)""")


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
            yield Problem((*field, "name"), f"{guard.name!r} {ONE_NAME_EACH}")
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


CHECKS = (expressions,)
