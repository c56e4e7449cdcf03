"""Which counters a template with `counts` names: selectors, with `+` and `-` between them.

`canary/metrics/event_counts.py` takes their exact differences, which is why functions have no place around them.
"""

import re
from dataclasses import dataclass

from .errors import Invalid

NO_COUNTERS = "must be counters, such as orders_total{{…}}, or several with + and - between them: {}"
CLASSIC = 'let Prometheus keep the classic buckets too, and write X_bucket{le="…"} or X_count'
"""What to do about a native histogram."""
_NATIVE = re.compile(r"histogram_\w*\(")
"""Functions for native histograms."""
_TIMES = ("_seconds", "_milliseconds", "_duration", "_latency")
"""How the names of histograms end, without the classic suffixes."""
_NAME = r"[A-Za-z_:][\w:]*"
_TEXT = r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|`[^`]*`'
_MATCHERS = rf"\{{(?:[^{{}}\"'`]|{_TEXT})*\}}"
_SELECTOR = re.compile(rf"\s*(?P<name>{_NAME})?\s*(?P<matchers>{_MATCHERS})?\s*")
_LE = re.compile(r"[{,]\s*le\s*=[^~]")
_COUNTERS = ("_total", "_count", "_bucket")
_WORDS = frozenset(("by", "without", "offset", "on", "ignoring", "and", "or", "unless", "bool"))


@dataclass(frozen=True)
class Counter:
    """One selector."""

    sign: int
    """1, or -1 where it is subtracted."""
    selector: str

    @property
    def name(self) -> str:
        """Its metric; empty where only matchers say it."""
        return self.selector.partition("{")[0]


def counters(text: str) -> tuple[Counter, ...]:
    """The counters of an expression whose words are filled in. Raises Invalid for anything else."""
    found: list[Counter] = []
    at, sign = 0, 1
    while True:
        selector = _SELECTOR.match(text, at)
        if selector is None or not (selector["name"] or selector["matchers"]) or selector["name"] in _WORDS:
            raise Invalid(NO_COUNTERS.format(_odd(text, at)))
        found.append(Counter(sign, (selector["name"] or "") + (selector["matchers"] or "")))
        at = selector.end()
        if at == len(text):
            return tuple(found)
        if text[at] not in "+-":
            raise Invalid(NO_COUNTERS.format(_odd(text, selector.start() if text[at] == "(" else at)))
        sign, at = 1 if text[at] == "+" else -1, at + 1


def _odd(text: str, at: int) -> str:
    """What stands there instead."""
    rest = text[at:].split()
    if not rest:
        return "a selector is missing at the end"
    if _NATIVE.match(rest[0]):
        return f"{rest[0][:40]!r} reads a native histogram, of which no exact differences can be taken; {CLASSIC}"
    if rest[0][0] in "([" or "(" in rest[0]:
        return f"{rest[0][:40]!r} isn't one; canary takes the differences itself, without functions and windows"
    return f"{rest[0][:40]!r} isn't one"


def doubt(counter: Counter) -> str:
    """Why this is hardly a counter of events; empty if it is."""
    if not counter.name:
        return ""
    if counter.name.endswith("_bucket") and not _LE.search(counter.selector):
        return f'{counter.name} without le="…" adds up all buckets, so events count several times'
    if not counter.name.endswith(_COUNTERS):
        native = f"; a native histogram can't be counted: {CLASSIC}" if counter.name.endswith(_TIMES) else ""
        return (
            f"{counter.name} is hardly a counter of events: its name ends with none of {', '.join(_COUNTERS)}{native}"
        )
    return ""
