"""Events of a template with `counts`: its counters → one request → whole numbers in a window. Pure.

The differences are those of the builtins (`promql.py`), so windows tile and a reset invents nothing. Rows bear the
number of the counter that they are for. Where a counter has new series it is asked a second time, as there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from canary.engine.counters import Counter, counters
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Counts, Missing, Query, Sample

from .answers import SeriesRow, rows
from .histogram import whole
from .promql import LOOKBACK, NEW, difference, filled

COUNTER = "canary_counter"
"""The label that tells the counters of one request apart."""


@dataclass(frozen=True)
class EventCounters:
    """What one query with counts asks."""

    total: tuple[Counter, ...]
    bad: tuple[Counter, ...]
    window: timedelta
    lookback: timedelta = LOOKBACK

    @classmethod
    def of(cls, query: Query, window: timedelta) -> "EventCounters":
        """Those of a query, over a window in whole milliseconds. Raises Invalid for what isn't counters, and for an
        unknown word."""
        if query.text is None or query.bad is None:
            raise Invalid("a query gives one number; counts take counters of all events and of the bad ones")
        total, bad = (counters(filled(query, one).strip()) for one in (query.text, query.bad))
        return cls(total, bad, window)

    @property
    def selectors(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(one.selector for one in (*self.total, *self.bad)))

    def ask(self, send: Callable[[str], object]) -> Sample:
        """Their counts; `send` returns the rows for a query, or a Missing."""
        found: Sample | None = None
        for new in (False, True):
            answer = send(self.text(new=new))
            found = answer if isinstance(answer, Missing) else self.counts(answer)
            if found is not None:
                break
        return found or Missing(Cause.RUBBISH, f"{NEW:+} events")

    def text(self, *, new: bool) -> str:
        """The PromQL for all of them. Unless `new` series are judged, counters that have any are `NEW`."""
        return " or ".join(
            f'label_replace({difference(one, self.window, self.lookback, new=new)}, "{COUNTER}", "{number}", "", "")'
            for number, one in enumerate(self.selectors)
        )

    def counts(self, found: object) -> Counts | Missing | None:
        """What the rows amount to; None where new series must be judged."""
        vector = rows(found)
        if isinstance(vector, Missing):
            return vector
        if any(row.value == NEW for row in vector):
            return None
        total, bad = self._sum(self.total, vector), self._sum(self.bad, vector) or 0
        if total is None:
            return Missing(Cause.EMPTY, f"no series of {self.total[0].selector} in the window")
        if isinstance(total, Missing):
            return total
        if isinstance(bad, Missing):
            return bad
        if not 0 <= bad <= total:
            return Missing(Cause.RUBBISH, f"{bad} bad events of {total}")
        return Counts(total, bad)

    def _sum(self, terms: Sequence[Counter], vector: Sequence[SeriesRow]) -> int | Missing | None:
        """None where no counter has a series: a counter of bad events often begins with the first of them. One that
        is subtracted must have one, or good events would be taken for bad."""
        known = {row.labels.get(COUNTER, ""): row.value for row in vector}
        values = [(one.sign, known.get(str(self.selectors.index(one.selector)))) for one in terms]
        there = [(sign, whole(value)) for sign, value in values if value is not None]
        missing = next((one for _, one in there if isinstance(one, Missing)), None)
        if missing is not None:
            return missing
        absent = [
            one.selector for one, (sign, value) in zip(terms, values, strict=True) if sign < 0 and value is None
        ]
        if there and absent:
            return Missing(Cause.EMPTY, f"no series of {absent[0]} in the window, which is subtracted")
        return sum(sign * one for sign, one in there if not isinstance(one, Missing)) if there else None
