"""Guards: CEL that says whether traffic may rise. `rules.raise_to` asks them; what lowers exposure never does.

An expression is compiled once, by its text, and its cost is bounded: its length by the model, nesting and rounds
of its loops by the library, its memory by having no `+` of strings or lists. The library is loaded only where there
are guards. What can't be evaluated holds as well.
`guarded.py` says what the variables stand for; `checks/guards.py` asks `compiled` before anything runs.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from canary.api.guard import Guard

from .nearest import did_you_mean

if TYPE_CHECKING:
    from cel_expr_python.cel import Env, Expression

VARIABLES: Mapping[str, str] = {
    "now": "timestamp",
    "canary.name": "string",
    "canary.namespace": "string",
    "canary.labels": "map",
    "canary.annotations": "map",
    "canary.version": "string",
    "canary.revision": "string",
    "step.from": "int",
    "step.to": "int",
    "step.mirror": "int",
    "step.index": "int",
    "step.count": "int",
    "rollout.number": "int",
    "rollout.stable": "string",
    "rollout.weight": "int",
    "rollout.highest": "int",
    "rollout.started": "timestamp",
    "rollout.age": "duration",
    "rollout.held": "duration",
    "rollout.failedChecks": "int",
    "rollout.approvals": "list",
    "rollout.verifiedApprovals": "list",
}
"""The type of each; maps and lists hold strings. Dots are part of the names, so that each name is checked."""
FUNCTIONS = (
    *("all", "exists", "exists_one", "filter", "map", "has", "size", "contains", "startsWith", "endsWith", "matches"),
    *("timestamp", "duration", "int", "string", "getFullYear", "getMonth", "getDate", "getDayOfMonth"),
    *("getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds"),
)
"""What a misspelt function may have been meant to be."""
_JOINS = {
    **dict.fromkeys((b"add_string", b"add_bytes"), "joins strings with +"),
    b"add_list": "has + beside map, filter or lists (a guard of its own may have it)",
}
"""By CEL's names of what `+` does to them: with loops, 200 characters can ask for gigabytes. `map` and `filter` are
made of joined lists themselves, so a `+` beside them can't be told from one within."""
KEPT = 1024
"""Compiled expressions that are kept; a policy's are the same for all its canaries."""


@dataclass(frozen=True)
class Broken:
    """An expression that can't be compiled."""

    sentence: str
    """Why; read after the field's name or the guard's."""


@dataclass(frozen=True)
class Held:
    """A guard keeps traffic from rising."""

    reason: str
    """`GuardHolds`, or `GuardError` where it can't be evaluated."""
    sentence: str


HOLDS, ERROR = "GuardHolds", "GuardError"
REASONS = frozenset({HOLDS, ERROR})


def held(guards: Iterable[Guard], values: Mapping[str, Any]) -> Held | None:
    """The first guard that isn't true of these values of `VARIABLES`; None where all let traffic rise."""
    return next((found for guard in guards if (found := _held(guard, values)) is not None), None)


@lru_cache(maxsize=KEPT)
def compiled(text: str) -> "Expression | Broken":
    """The expression, its types checked; it is true or false, or an error, and nothing else."""
    try:
        expression = _environment().compile(text)
    except RuntimeError as error:  # the library has no class of its own
        return Broken(_sentence(str(error)))
    if "+" in text and (joined := next((_JOINS[name] for name in _JOINS if name in expression.serialize()), None)):
        return Broken(f"{joined}, whose memory has no bound; + is for numbers, times and durations")
    kind = _plain(expression.return_type().name().lower())
    return expression if kind == "bool" else Broken(f"must be true or false, and is of type {kind}")


def known_zone(name: str) -> bool:
    """Whether times can be asked for in this zone: `Europe/Berlin`, `+01:00`."""
    asked = _environment().compile('timestamp("2026-01-01T00:00:00Z").getHours(canary.name) >= 0')
    return asked.eval(data={"canary.name": name}).value() is True


def refused_pattern(literal: str) -> str:
    """What is wrong with a regular expression, given as CEL writes a string; empty where nothing is."""
    asked = compiled(f"canary.name.matches({literal})")
    answer = True if isinstance(asked, Broken) else asked.eval(data={"canary.name": ""}).value()
    return "" if isinstance(answer, bool) else _sentence(str(answer))


def refused_regex(pattern: str) -> str:
    """What RE2, which proxies use as well, finds wrong with a regular expression; empty where nothing is."""
    asked = _environment().compile("canary.name.matches(canary.version)")
    answer = asked.eval(data={"canary.name": "", "canary.version": pattern}).value()
    return "" if isinstance(answer, bool) else _sentence(str(answer)).removeprefix("invalid regular expression: ")


def _held(guard: Guard, values: Mapping[str, Any]) -> Held | None:
    expression = compiled(guard.expression)
    if isinstance(expression, Broken):
        return _failed(guard, expression.sentence)
    try:
        result = expression.eval(data=dict(values))
    except RuntimeError as error:  # only what would cost too much is raised
        return _failed(guard, _sentence(str(error)))
    answer = result.value()
    if answer is True:
        return None
    if answer is False:
        why = f": {guard.message}" if guard.message else ", until its expression is true"
        return Held(HOLDS, f"the guard {guard.name} holds without end{why}")
    return _failed(guard, _sentence(str(answer)))


def _failed(guard: Guard, sentence: str) -> Held:
    return Held(ERROR, f"the guard {guard.name} holds without end, because it can't be evaluated: {sentence}")


@cache
def _environment() -> "Env":
    from cel_expr_python.cel import NewEnv, Type

    kinds = {
        **{"timestamp": Type.TIMESTAMP, "duration": Type.DURATION, "string": Type.STRING, "int": Type.INT},
        **{"map": Type.Map(Type.STRING, Type.STRING), "list": Type.List(Type.STRING)},
    }
    return NewEnv(variables={name: kinds[kind] for name, kind in VARIABLES.items()})


# ---- the library's words ---------------------------------------------------------------------------------------

_FIRST = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_LIMITS = {
    "recursion limit exceeded": "is nested too deeply",
    "Iteration budget exceeded": "takes too many rounds to evaluate",
}


def _sentence(said: str) -> str:
    """The first thing that is wrong, in one line."""
    limit = next((ours for theirs, ours in _LIMITS.items() if theirs in said), None)
    if limit is not None:
        return limit
    found = _FIRST.search(said)
    if found is None:
        return re.sub(r"^[A-Z_]+: ", "", said.splitlines()[0])
    line, column, what = found.groups()
    return f"{_wrong(what)} (line {line}, column {column})"


def _wrong(what: str) -> str:
    if name := re.match(r"undeclared reference to '([^']+)'", what):
        return _unknown(name[1])
    if overload := re.match(r"found no matching overload for '([^']+)' applied to '\((.*)\)'", what):
        return f"{overload[1].strip('_')!r} can't be used with {_plain(overload[2])}"
    return what.partition(" expecting ")[0].replace("'<EOF>'", "its end")


def _unknown(name: str) -> str:
    inside = [known for known in VARIABLES if known.startswith(f"{name}.")]
    if inside:
        return f"{name!r} can't be used as a whole; there are {', '.join(inside)}"
    near = did_you_mean(name, (*VARIABLES, *FUNCTIONS))
    return f"{name!r} is unknown" + (near or f"; there are {', '.join(VARIABLES)}")


def _plain(kinds: str) -> str:
    return re.sub(r"google\.protobuf\.(\w+)", lambda found: found[1].lower(), kinds)
