"""Checks of what single steps ask for: matches, mirrors and gates, and whether the router can do it."""

import re
from collections.abc import Iterator

from canary.api.analysis import SessionAffinity
from canary.api.plan import Gate, Match, StringMatch

from ..guards import refused_regex
from ..patterns import too_costly
from ..strategies import STRATEGIES, plan_of
from .primary import service_of
from .problem import Case, Problem, Severity
from .webhooks import wrong

ONE_COMPARISON = "write only one of exact, prefix, suffix or regex"
NO_COMPARISON = "compares with nothing; write exact, prefix, suffix or regex"
NO_CONDITION = "has no condition, so it would match every request; write headers"
CANT_MATCH = "can't match {}"
CANT_MIRROR = "can't mirror requests"
CANT_SHARE = (
    "can't share out the requests that match by weight; write iterations for all that match, or steps with match and "
    "weight"
)
NO_AFFINITY = "can't keep users on the version that they met"
NO_COOKIE = "can't be the name of a cookie: letters, digits and !#$%&'*+-.^_`|~"
NO_ATTRIBUTE = "can't be an attribute of a cookie: no ';', ',', quotes, spaces or other signs that aren't printed"
ONE_COOKIE_EACH = "is cookieName as well; the two versions need a cookie each"
NOT_SECURE = "needs `secure: true`, or browsers refuse the cookie"
COOKIE = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
ATTRIBUTE = "[!#-+./0-9:<-\\[\\]-~-]+"
NO_CALLER = "has sourceLabels, and no request through gateways has a caller with labels; add mesh to service.gateways"
REFUSED = "the first increase is refused, unless routes of your own have mesh"
NO_CHOICE = "is in service.match as well, so it chooses none of the requests; remove it"
NOTHING_OPENS = "must have exactly one of approval, webhook and opa, such as `approval: {count: 1}`"
NO_NAME = "is missing; a gate that isn't an approval needs a name"
NO_REGEX = "isn't a regular expression (RE2)"
ONE_NAME_EACH = "two gates of this step are called {name}; give each a name of its own"

MOST_PATTERNS = 50
"""Different regular expressions in one analysis: RE2 takes up to 50 ms for one."""
FEWER = "write exact or prefix, or one expression with | in it"

_LOOKS = ("(?=", "(?!", "(?<=", "(?<!")
"""How a message about looking ahead or behind ends."""

At = tuple[str, tuple[str | int, ...]]
"""A field of the analysis by Python name, and the way inside it."""


def mirrors(case: Case) -> Iterator[Problem]:
    """A copy of requests needs a router that copies."""
    if case.capabilities.mirror:
        return
    sentence = f"{case.capabilities.name} {CANT_MIRROR}"
    if case.analysis.mirror:
        yield case.problem("mirror", sentence)
    for index, step in enumerate(case.analysis.steps or ()):
        if step.mirror:
            yield case.problem("steps", sentence, index, "mirror")


def matches(case: Case) -> Iterator[Problem]:
    """Each condition is one that the router understands, and says one thing."""
    compared = {(one.regex, one.suffix) for _, match in _matches(case) for one in _conditions(match)}
    count = len(compared - {(None, None)})
    if count > MOST_PATTERNS:
        field = "match" if case.analysis.match else "steps"
        sentence = f"has {count} different regular expressions, and at most {MOST_PATTERNS} are compiled; {FEWER}"
        yield case.problem(field, sentence)
        return
    for (name, way), match in _matches(case):
        yield from _unable(case, name, way, match)
        if not (match.headers or match.query_params or match.source_labels):
            yield case.problem(name, NO_CONDITION, *way)
        yield from _repeated(case, (name, way), match)
        yield from _without_caller(case, (name, way), match)
        for kind, conditions in (("headers", match.headers), ("queryParams", match.query_params)):
            for key, condition in conditions.items():
                yield from _one_comparison(case, (name, (*way, kind, key)), condition)
                yield from _regex(case, (name, (*way, kind, key)), condition)


def shared_matches(case: Case) -> Iterator[Problem]:
    """A share of the requests that match needs a router that can send them to two versions."""
    if case.capabilities.match_weight:
        return
    sentence = f"{case.capabilities.name} {CANT_SHARE}"
    if case.analysis.match and (case.analysis.step_weight or case.analysis.step_weights):
        yield case.problem("match", sentence)
    for index, step in enumerate(case.analysis.steps or ()):
        if step.match_weight is not None:
            yield case.problem("steps", sentence, index, "matchWeight")


def affinity(case: Case) -> Iterator[Problem]:
    """Without it users would change versions between requests, which the manifest says they must not."""
    given = case.analysis.session_affinity
    if given is None:
        return
    if not case.capabilities.affinity:
        yield case.problem("session_affinity", f"{case.capabilities.name} {NO_AFFINITY}")
        return
    yield from _cookies(case, given)
    strategy = any(getattr(case.analysis, name) for name, _ in STRATEGIES)
    if strategy and not any(step.traffic.weight for step in plan_of(case.analysis).steps):
        yield case.warning("session_affinity", "isn't used: no step shares requests out by weight")


def _cookies(case: Case, given: SessionAffinity) -> Iterator[Problem]:
    """What a browser would refuse, or what would be another cookie."""
    names = {"cookieName": given.cookie_name, "primaryCookieName": given.primary_cookie_name}
    for wire, name in names.items():
        if name is not None and not re.fullmatch(COOKIE, name):
            yield case.problem("session_affinity", f"{name!r} {NO_COOKIE}", wire)
    if given.cookie_name == given.primary_cookie_name:
        yield case.problem("session_affinity", f"{given.cookie_name!r} {ONE_COOKIE_EACH}", "primaryCookieName")
    for wire, text in (("domain", given.domain), ("path", given.path)):
        if text and not re.fullmatch(ATTRIBUTE, text):
            yield case.problem("session_affinity", f"{text!r} {NO_ATTRIBUTE}", wire)
    for wire, on in (("partitioned", given.partitioned), ("sameSite", given.same_site == "None")):
        if on and not given.secure:
            yield case.problem("session_affinity", NOT_SECURE, wire, severity=Severity.WARNING)


def gates(case: Case) -> Iterator[Problem]:
    """A gate that nothing opens ends every rollout in its time-out."""
    for index, step in enumerate(case.analysis.steps or ()):
        for number, gate in enumerate(step.gates):
            given = [one for one in ("approval", "webhook", "opa") if getattr(gate, one) is not None]
            if len(given) != 1:
                yield case.problem("steps", NOTHING_OPENS, index, "gates", number)
            elif gate.request is not None:
                yield from _called(case, gate, (index, "gates", number), given[0])
        yield from _one_name_each(case, index, step.gates)


def _called(case: Case, gate: Gate, at: tuple[str | int, ...], kind: str) -> Iterator[Problem]:
    if not gate.name:
        yield case.problem("steps", NO_NAME, *at, "name")
    for field, sentence in wrong(gate.request) if gate.request else ():
        yield case.problem("steps", sentence, *at, kind, field)


def _one_name_each(case: Case, index: int, gates: tuple[Gate, ...]) -> Iterator[Problem]:
    names = [gate.called for gate in gates]
    for number, name in enumerate(names):
        if name in names[:number]:
            sentence = ONE_NAME_EACH.format(name=name)
            yield case.problem("steps", sentence, index, "gates", number)


def _conditions(match: Match) -> list[StringMatch]:
    return [*match.headers.values(), *match.query_params.values()]


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
            yield case.problem(name, f"{can.name} {CANT_MATCH.format(kind)}", *way, kind)


def _repeated(case: Case, at: At, match: Match) -> Iterator[Problem]:
    """A condition that all requests of the routes meet that are made for a Service."""
    service = service_of(case)
    routed = service.match if service is not None else ()
    for kind, conditions in match.wire().items():
        for key, condition in conditions.items():
            if routed and all((one.get(kind) or {}).get(key) == condition for one in routed):
                yield case.problem(at[0], NO_CHOICE, *at[1], kind, key)


def _without_caller(case: Case, at: At, match: Match) -> Iterator[Problem]:
    """No error: others of the same list may be met, and routes that are adopted keep their own gateways."""
    service = service_of(case)
    if service is None or not service.by_gateways_only or not match.source_labels:
        return
    name, way = at
    beside = (case.analysis.match if name == "match" else (case.analysis.steps or ())[int(way[0])].match) or ()
    follows = REFUSED if all(one.source_labels for one in beside) else "it is left out"
    yield case.warning(name, f"{NO_CALLER}; {follows}", *way)


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
    if condition.regex is None:
        return
    if costly := too_costly(condition.regex):
        yield case.problem(name, costly, *way, "regex")
    elif wrong := refused_regex(condition.regex):
        hint = "; RE2 has no look-ahead or look-behind" if wrong.endswith(_LOOKS) else ""
        yield case.problem(name, f"{NO_REGEX}: {wrong}{hint}", *way, "regex")


CHECKS = (mirrors, matches, shared_matches, affinity, gates)
