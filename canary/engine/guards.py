"""Guards: CEL that says whether traffic may increase. `increase_to` evaluates them; a decrease never does.

An expression is compiled once, by its text, and its cost is bounded: its length and its loops here, nesting by the
library, its memory by having no `+` of strings or lists, its regular expressions here and in `patterns.py`. CEL
compiles a pattern each time that it asks `matches`, and asks it 10,000 times in nested loops: one of 14 characters
kept a guard busy for minutes, and one that came from an annotation could be 256 KiB long. No other file calls the
library, or RE2, which is in it. The library is loaded only where there are guards. What can't be evaluated holds as
well. `validation/guards.py` asks `compiled` before anything runs.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from canary.api.canary import LONGEST_EXPRESSION, Guard
from canary.api.reason import Reason

from .did_you_mean import did_you_mean
from .next_traffic import step_at
from .patterns import HALF, encodable, too_costly
from .situation import Situation

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
"""The type of each; maps and lists hold strings. `variables` has their values for one increase. Dots are part of the
names, so that each name is checked."""
FUNCTIONS = (
    *("all", "exists", "exists_one", "filter", "map", "has", "size", "contains", "startsWith", "endsWith", "matches"),
    *("timestamp", "duration", "int", "string", "getFullYear", "getMonth", "getDate", "getDayOfMonth"),
    *("getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds"),
)
"""A suggestion for a misspelt function."""
_JOINS = {
    **dict.fromkeys((b"add_string", b"add_bytes"), "joins strings with +"),
    b"add_list": "has + beside map, filter or lists (a guard of its own may have it)",
}
"""By CEL's names of what `+` does to them: with loops, 200 characters can ask for gigabytes. `map` and `filter` are
made of joined lists themselves, so a `+` beside them can't be distinguished from one within."""
_NESTED = (
    "has a loop in a loop, or over what another one makes, whose cost has no bound; write one all, exists, "
    "exists_one, filter or map for each, with && in it, or two guards"
)
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

    reason: Reason
    """`GuardHolds`, or `GuardError` where it can't be evaluated."""
    sentence: str


def held(guards: Iterable[Guard], values: Mapping[str, Any]) -> Held | None:
    """The first guard that isn't true of these values of `VARIABLES`; None where all let traffic rise."""
    return next((found for guard in guards if (found := _held(guard, values)) is not None), None)


@lru_cache(maxsize=KEPT)
def compiled(text: str) -> "Expression | Broken":
    """The expression, its types checked; it is true or false, or an error, and nothing else."""
    if len(text) > LONGEST_EXPRESSION:
        most = f"at most {LONGEST_EXPRESSION} are read; write two guards of it"
        return Broken(f"is {len(text)} characters long, and {most}")
    if refused := _NESTED if nested(text) else "" if encodable(text) else HALF:
        return Broken(refused)
    try:
        expression = _environment().compile(text)
    except RuntimeError as error:  # the library has no class of its own
        return Broken(_sentence(str(error)))
    if "+" in text and (joined := next((_JOINS[name] for name in _JOINS if name in expression.serialize()), None)):
        return Broken(f"{joined}, whose memory has no bound; + is for numbers, times and durations")
    if refused := _refused_patterns(text):
        return Broken(refused)
    kind = _plain(expression.return_type().name().lower())
    return expression if kind == "bool" else Broken(f"must be true or false, and is of type {kind}")


def known_zone(name: str) -> bool:
    """Whether times can be asked for in this zone: `Europe/Berlin`, `+01:00`."""
    asked = _environment().compile('timestamp("2026-01-01T00:00:00Z").getHours(canary.name) >= 0')
    return asked.eval(data={"canary.name": name}).value() is True


@lru_cache(maxsize=KEPT)
def refused_regex(pattern: str) -> str:
    """What RE2, which proxies use as well, finds wrong with a regular expression; empty where nothing is.

    It isn't asked about a pattern that costs too much: `too_costly` says what to write instead.
    """
    if too_costly(pattern):
        return "costs too much to be compiled"
    answer = _asked_of_nothing(pattern)
    return "" if isinstance(answer, bool) else _sentence(str(answer)).removeprefix("invalid regular expression: ")


def _refused_patterns(text: str) -> str:
    """What is wrong with the regular expressions of a guard, of which each evaluation compiles each."""
    literals, refused = patterns(text)
    looped = loops(text)
    written = [str(_environment().compile(each).eval(data={}).value()) for each in literals]
    return refused or next((wrong for each in written if (wrong := _refused(each, looped))), "")


def _refused(pattern: str, in_loop: bool) -> str:
    if costly := too_costly(pattern, in_loop):
        return f"has a regular expression that {costly}"
    wrong = refused_regex(pattern)
    return f"invalid regular expression: {wrong}" if wrong else ""


def matches_empty(pattern: str) -> bool:
    """Whether a regular expression that isn't refused matches a text of no characters."""
    return _asked_of_nothing(pattern) is True


def _asked_of_nothing(pattern: str) -> Any:
    asked = _environment().compile("canary.name.matches(canary.version)")
    return asked.eval(data={"canary.name": "", "canary.version": pattern}).value()


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
        return Held(Reason.GUARD_HOLDS, f"the guard {guard.name} blocks the next step, without a time limit{why}")
    return _failed(guard, _sentence(str(answer)))


def _failed(guard: Guard, sentence: str) -> Held:
    blocks = f"the guard {guard.name} blocks the next step, without a time limit"
    return Held(Reason.GUARD_ERROR, f"{blocks}, because it can't be evaluated: {sentence}")


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
    "Exceeded max recursion depth": "is nested too deeply; write it as several guards",
    "recursion limit exceeded": "is nested too deeply; write it as several guards",
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


MOST_PATTERNS = 10
"""Patterns in one guard: those that cost the most take 0.4 s together."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)"""
    r"""|(?P<raw>[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*'))"""
    r"""|(?P<text>\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<word>\w+)|(?P<sign>.)""",
    re.DOTALL,
)
_LOOPS = frozenset(("all", "exists", "exists_one", "existsOne", "filter", "map"))
_DEPTH = {"(": 1, ")": -1}
_OPENED, _CLOSED = frozenset("([{"), frozenset(")]}")

_Token = tuple[str, str]
"""(kind, text)"""


@dataclass
class _Level:
    """What is known within a pair of brackets."""

    inside: bool = False
    """A loop's brackets are around it."""
    made: bool = False
    """The operand that is being read has a loop in it."""
    made_any: bool = False
    """Anything so far has."""


def patterns(text: str) -> tuple[list[str], str]:
    """The literals that `matches` is asked with, as CEL writes them; and what is wrong with another argument."""
    tokens = [token for token in _tokens(text) if token[0] != "skip"]
    found = []
    for index, token in enumerate(tokens):
        if token == ("word", "matches") and tokens[index + 1 : index + 2] == [("sign", "(")]:
            literal = _last_argument(tokens[index + 1 :])
            if literal is None:
                return [], "uses matches with a pattern that isn't written in quotes, so that its cost isn't known"
            found.append(literal)
    if len(found) > MOST_PATTERNS:
        most = f"at most {MOST_PATTERNS} are evaluated"
        return [], f"uses matches {len(found)} times, and {most}; write two guards of it"
    return found, ""


def loops(text: str) -> bool:
    """Whether anything in the expression may be evaluated more than once."""
    tokens = [token for token in _tokens(text) if token[0] != "skip"]
    return any(
        kind == "word" and name in _LOOPS and following == ("sign", "(")
        for (kind, name), following in pairwise(tokens)
    )


def nested(text: str) -> bool:
    """Whether a loop stands in another one, or goes through what another one makes.

    `[[1]].map(a, [a, a])`, 30 times in a row, makes lists whose comparison takes hours, though nothing is copied; and
    a loop in a loop compares 10,000 times what is as large as all labels.
    """
    levels, before = [_Level()], ("", "")
    for token in (each for each in _tokens(text) if each[0] != "skip"):
        kind, word = token
        level = levels[-1]
        if kind == "sign" and word in _OPENED:
            levels.append(_Level(inside=level.inside))
            if word == "(" and before[0] == "word" and before[1] in _LOOPS:
                if level.inside or level.made:
                    return True
                levels[-1].inside = levels[-1].made_any = True
        elif kind == "sign" and word in _CLOSED and len(levels) > 1:
            made = levels.pop().made_any
            levels[-1].made |= made
            levels[-1].made_any |= made
        elif word == "in" or (kind == "sign" and word != "."):
            level.made = False
        before = token
    return False


def _tokens(text: str) -> Iterator[_Token]:
    return ((str(each.lastgroup), each[0]) for each in _TOKEN.finditer(text))


def _last_argument(tokens: list[_Token]) -> str | None:
    """The literal before the bracket that closes the first one; None for anything else, and "" if none does."""
    depth = 0
    for index, (kind, text) in enumerate(tokens):
        depth += _DEPTH.get(text, 0) if kind == "sign" else 0
        if depth == 0:
            (before, _), (last, literal) = tokens[index - 2], tokens[index - 1]
            alone = before == "sign" and tokens[index - 2][1] in ("(", ",")
            return literal if alone and last in ("raw", "text") else None
    return '""'  # never closed, which the compiler says


# ---- what the variables stand for ------------------------------------------------------------------------------

ENTRIES, LONGEST = 64, 1024
"""Labels and annotations that a guard sees, and the characters of one: it may compare all of them in each round of
a loop over them. The API server allows 256 KiB."""


def holding(s: Situation, step: int) -> Held | None:
    """The guard that blocks the increase to a step; None for a step that exposes no new users."""
    if not s.resolved.guards or s.decreases(step_at(s.rollout.plan, step).traffic):
        return None
    return held(s.resolved.guards, variables(s, step))


def variables(s: Situation, step: int) -> dict[str, Any]:
    """By name; weights are per cent, and approvals the authors' names.

    A repeated increase has the approvals that it had when it was decided.
    """
    rollout, metadata = s.rollout, s.manifest.metadata
    approvals = (rollout.approved or ()) if step == rollout.step else rollout.approvals
    traffic = step_at(rollout.plan, step).traffic
    return {
        "now": s.now,
        "canary.name": metadata.name,
        "canary.namespace": metadata.namespace,
        "canary.labels": _short(metadata.labels),
        "canary.annotations": _short(metadata.annotations),
        "canary.version": rollout.canary_version.name,
        "canary.revision": rollout.canary_version.revision,
        "step.from": _weight(s),
        "step.to": traffic.weight,
        "step.mirror": traffic.mirror,
        "step.index": step,
        "step.count": len(rollout.plan.steps) + len(rollout.plan.promotion) - 1,
        "rollout.number": rollout.number,
        "rollout.stable": rollout.stable_version.name,
        "rollout.weight": rollout.desired.weight,
        "rollout.highest": rollout.highest,
        "rollout.started": rollout.started,
        "rollout.age": s.now - rollout.started,
        "rollout.held": s.held,
        "rollout.failedChecks": s.status.failed_checks,
        "rollout.approvals": [one.author for one in approvals],
        "rollout.verifiedApprovals": [one.author for one in approvals if one.verified],
    }


def _short(texts: dict[str, str]) -> dict[str, str]:
    """Those that aren't too long, in the order of their names; no others are there for a guard."""
    return dict(sorted(each for each in texts.items() if len(each[1]) <= LONGEST)[:ENTRIES])


def _weight(s: Situation) -> int:
    """The present weight of the canary, as far as is known: a saved increase may not be in effect yet."""
    seen = s.route.traffic if s.route else None
    return seen.weight if seen is not None else min(s.rollout.desired.weight, s.rollout.previous.weight)
