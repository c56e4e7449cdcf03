"""PromQL that a person wrote: how long and how nested it may be, what is wrong with it, and where.

The parser is native code. It builds a tree by calling itself and copies each subtree into each node above it: memory
grows with the square of the depth (1,000 terms of a sum: 140 MiB; 3,000: 1.2 GiB; 30,000: the process dies), and it
compiles each regular expression (up to 14 MiB and 0.6 s for 12 characters). So operators and brackets are counted
before it sees a text, and regular expressions are left to RE2, whose syntax Prometheus uses as well. At the bounds
below a text takes at most 40 MiB and 0.1 s. Nothing else in canary may call the parser.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import promql_parser

from canary.api.analysis import LONGEST_QUERY
from canary.engine.did_you_mean import did_you_mean
from canary.engine.guards import matches_empty, refused_regex
from canary.engine.patterns import too_costly

MOST_OPERATORS = 200
"""Operators and brackets: no tree is deeper."""
MOST_PATTERNS = 50
"""Different regular expressions in one query."""

ISTIO = "istio_requests_total"
OF_RESPONSES = ("response_code", "response_flags", "grpc_response_status")
"""Labels of Istio's requests that are known only when a response was sent."""

NO_DIVIDEND = (
    "gives no value instead of 0 while no request has the {} that is counted before the /, and onNoData decides "
    "then; write (sum(...) or vector(0)) before the /"
)
SHORTER = "keep a part of it as a recording rule, and ask for that"
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_OPERATORS = frozenset(("and", "or", "unless", "atan2", "==", "!=", "<=", ">=", *"+-*/%^<>(["))
_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"""
    r"""|(?P<word>[\w:.]+)|(?P<sign>[=!]~|[=!<>]=|.)""",
    re.DOTALL,
)
_QUOTES = frozenset("\"'`")
_NO_REASON = "invalid promql query"
_UNKNOWN = re.compile(r"unknown function with name '(\w+)'")
_FUNCTIONS = (
    *("abs", "absent", "absent_over_time", "avg", "avg_over_time", "ceil", "changes", "clamp", "clamp_max"),
    *("clamp_min", "count", "count_over_time", "delta", "deriv", "floor", "histogram_count", "histogram_fraction"),
    *("histogram_quantile", "histogram_sum", "idelta", "increase", "irate", "label_join", "label_replace"),
    *("last_over_time", "max", "max_over_time", "min", "min_over_time", "quantile", "quantile_over_time", "rate"),
    *("resets", "round", "scalar", "sort", "stddev_over_time", "sum", "sum_over_time", "time", "timestamp", "topk"),
    "vector",
)
"""A suggestion for a misspelt function."""


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a query."""

    sentence: str
    """Read after the name of the field."""
    at: int | None = None
    """Where, as an index into the text; None where it is wrong as a whole."""
    doubtful: bool = False
    """A warning: the server may know what isn't known here, or the query may be meant so."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def end(self) -> int:
        return self.at + len(self.text)


def wrong(text: str) -> Wrong | None:
    """The first thing that is wrong with a query whose words are filled in; None where nothing is."""
    if len(text) > LONGEST_QUERY:
        return Wrong(f"is {len(text)} characters long, and at most {LONGEST_QUERY} are read; {SHORTER}")
    tokens = [_Token(str(each.lastgroup), each[0], each.start()) for each in _TOKEN.finditer(text)]
    tokens = [each for each in tokens if each.kind != "skip"]
    count = sum(each.text.lower() in _OPERATORS for each in tokens if each.kind != "text")
    if count > MOST_OPERATORS:
        return Wrong(f"has {count} operators and brackets, and at most {MOST_OPERATORS} are read; {SHORTER}")
    found = _unbalanced(tokens)
    if found is not None:
        return found
    plain = _without_patterns(text, tokens)
    return plain if isinstance(plain, Wrong) else _parsed(plain, tokens)


def _unbalanced(tokens: list[_Token]) -> Wrong | None:
    opened: list[_Token] = []
    for each in (token for token in tokens if token.kind == "sign"):
        if each.text in _QUOTES:
            return Wrong(f"is no PromQL: the quote {each.text} is never closed", each.at)
        if each.text in _CLOSERS:
            opened.append(each)
        elif each.text in _CLOSERS.values() and (not opened or _CLOSERS[opened.pop().text] != each.text):
            return Wrong(f"is no PromQL: {each.text!r} closes nothing", each.at)
    return Wrong(f"is no PromQL: {opened[-1].text!r} is never closed", opened[-1].at) if opened else None


def _without_patterns(text: str, tokens: list[_Token]) -> str | Wrong:
    """The text with a stand-in of the same length for each regular expression, which RE2 judges."""
    seen: set[str] = set()
    for before, each in pairwise(tokens):
        if before.text not in ("=~", "!~") or each.kind != "text":
            continue
        try:
            pattern = _literal(each.text)
        except ValueError as error:
            return Wrong(f"is no PromQL: {error}", each.at)
        seen.add(pattern)
        if len(seen) > MOST_PATTERNS:
            return Wrong(f"has more than {MOST_PATTERNS} different regular expressions; {SHORTER}", each.at)
        if costly := too_costly(pattern):
            return Wrong(f"has a regular expression that {costly}", each.at)
        if refused := refused_regex(pattern):
            return Wrong(f"has what isn't a regular expression (RE2): {refused}", each.at)
        stand_in = '""' if matches_empty(pattern) else '"x"'
        text = text[: each.at] + stand_in.ljust(len(each.text)) + text[each.end :]
    return text


def _literal(text: str) -> str:
    """What a string literal stands for. Raises ValueError for an unknown escape."""
    return text[1:-1] if text[0] == "`" else str(getattr(promql_parser.parse(text), "val", ""))


def _parsed(text: str, tokens: list[_Token]) -> Wrong | None:
    try:
        found = promql_parser.parse(text)
    except ValueError as error:
        return _refused(str(error), text, tokens)
    while isinstance(found, promql_parser.ParenExpr | promql_parser.UnaryExpr):
        found = found.expr
    match found:
        case promql_parser.MatrixSelector() | promql_parser.SubqueryExpr():
            return Wrong("gives many values of each series, where one is judged; write avg_over_time(...) around it")
        case promql_parser.StringLiteral():
            return Wrong("gives a text, where a number is judged")
    label = _vanishing(found)
    return Wrong(NO_DIVIDEND.format(label), doubtful=True) if label else None


def _vanishing(expression: Any) -> str:
    """The label that leaves the dividend of a share of Istio's requests without series, if no request has its value.

    Empty where there is none, or where the query says what follows then. Proxies of Istio have no series of a code
    before the first such response; other counters may begin at 0, so nothing is said of them.
    """
    match expression:
        case promql_parser.ParenExpr() | promql_parser.UnaryExpr() | promql_parser.AggregateExpr():
            return _vanishing(expression.expr)
        case promql_parser.Call():
            return next((label for one in expression.args if (label := _vanishing(one))), "")
        case promql_parser.BinaryExpr() if str(expression.op) in "+-*/":
            inner = _vanishing(expression.lhs) or _vanishing(expression.rhs)
            return inner or (_missing_label(expression) if str(expression.op) == "/" else "")
    return ""


def _missing_label(division: promql_parser.BinaryExpr) -> str:
    part, whole = _counted(division.lhs), _counted(division.rhs)
    if part is None or whole is None or not whole < part:
        return ""
    narrowed = (label for label, _, value in sorted(part - whole) if label in OF_RESPONSES and value)
    return next(narrowed, "")


def _counted(expression: Any) -> frozenset[tuple[str, str, str]] | None:
    """What `sum(rate(istio_requests_total{...}[1m]))`, or a multiple of it, matches; None for anything else."""
    match expression:
        case promql_parser.ParenExpr():
            return _counted(expression.expr)
        case promql_parser.BinaryExpr() if isinstance(expression.lhs, promql_parser.NumberLiteral):
            return _counted(expression.rhs) if str(expression.op) == "*" else None
        case promql_parser.BinaryExpr() if isinstance(expression.rhs, promql_parser.NumberLiteral):
            return _counted(expression.lhs) if str(expression.op) in "*/" else None
        case promql_parser.AggregateExpr() if str(expression.op) == "sum" and expression.modifier is None:
            called = expression.expr
            counter = called.args[0] if isinstance(called, promql_parser.Call) and len(called.args) == 1 else None
            if isinstance(counter, promql_parser.MatrixSelector) and counter.vector_selector.name == ISTIO:
                matchers = counter.vector_selector.matchers.matchers
                return frozenset((one.name, str(one.op), one.value) for one in matchers)
    return None


def _refused(said: str, text: str, tokens: list[_Token]) -> Wrong:
    at = _place(said, text, tokens)
    if (name := _UNKNOWN.search(said)) is None:
        return Wrong(f"is no PromQL: {said.splitlines()[0][:200]}", at)
    called = [token.at for token in tokens if token.text == name[1]]
    hint = did_you_mean(name[1], _FUNCTIONS)
    why = "is a function that isn't known here, though the server may know it; nothing more is checked"
    return Wrong(f"{name[1]} {why}{hint}", called[0] if called else at, doubtful=True)


def _place(said: str, text: str, tokens: list[_Token]) -> int | None:
    """Where the shortest beginning ends that is refused with the same words, its brackets closed."""
    low, high = 0, len(tokens)
    while high - low > 1:
        middle = (low + high) // 2
        if _said(text, tokens[:middle]) == said:
            high = middle
        else:
            low = middle
    return tokens[high - 1].at if tokens else None


def _said(text: str, tokens: list[_Token]) -> str:
    """What the parser says of a beginning whose brackets are closed. It may lack its last operand."""
    closing = "\n" + "".join(_closing(tokens))
    beginning = text[: tokens[-1].end]
    said = _error(beginning + closing)
    return _error(f"{beginning} a{closing}") if said == _NO_REASON else said


def _error(text: str) -> str:
    try:
        promql_parser.parse(text)
    except ValueError as error:
        return str(error)
    return ""


def _closing(tokens: list[_Token]) -> Iterator[str]:
    opened: list[str] = []
    for each in tokens:
        if each.kind == "sign" and each.text in _CLOSERS:
            opened.append(_CLOSERS[each.text])
        elif each.kind == "sign" and opened and each.text == opened[-1]:
            opened.pop()
    return reversed(opened)
