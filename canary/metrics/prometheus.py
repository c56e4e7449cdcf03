"""The adapter for Prometheus, and for servers with the same API: queries → samples.

`batching.py` makes the requests, `session.py` carries them, `answers.py` reads them. One deadline covers all.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing, Query, Sample
from canary.ports import Metrics

from . import answers, batching
from .batching import Batch, Cell, MergedPlan, MergedQuestion
from .credentials import NONE, Credentials, address
from .limits import Bounds
from .promql import Dialect

T = TypeVar("T")

ABREAST = 8
"""Calls at a time; fewer than the connections that a session keeps."""
MOST = 256
"""Threads of one source of evidence, those that outlived their deadline counted; as a name server can make them."""


class Threads:
    """The threads of one source: blocking calls side by side, and no waiting for those that outlive the deadline."""

    def __init__(self, most: int = MOST) -> None:
        self._free = threading.Semaphore(most)

    def run(self, calls: Sequence[Callable[[], T]], deadline: float) -> list[T | None]:
        """The results in order; None for a call that wasn't over at `deadline` (of time.monotonic).

        The threads are daemons of this call only: one that is stuck holds up neither the next call nor the exit.
        """
        results: list[T | None] = [None] * len(calls)
        waiting, open_, over = list(enumerate(calls)), len(calls), threading.Condition()

        def work() -> None:
            nonlocal open_
            while True:
                with over:
                    if not waiting or time.monotonic() > deadline:
                        return
                    index, call = waiting.pop(0)
                try:
                    results[index] = call()
                finally:
                    with over:
                        open_ -= 1
                        over.notify()

        for _ in range(min(ABREAST, len(calls))):
            self._start(work, deadline)
        with over:
            over.wait_for(lambda: not open_, max(deadline - time.monotonic(), 0))
            return list(results)

    def _start(self, work: Callable[[], None], deadline: float) -> None:
        """A thread, once one is free; none where all are stuck until the deadline."""
        if not self._free.acquire(timeout=max(deadline - time.monotonic(), 0)):
            return

        def counted() -> None:
            try:
                work()
            finally:
                self._free.release()

        try:
            threading.Thread(target=counted, name="canary-metrics", daemon=True).start()
        except RuntimeError:  # the system gives no more
            self._free.release()
            raise


if TYPE_CHECKING:
    from .session import PrometheusClient

Rows = tuple[answers.SeriesRow, ...]
Found = Mapping[Cell | MergedQuestion, Rows | Sample]

_log = logging.getLogger(__name__)

_LEAST = 0.05
"""Seconds below which no further request is made."""
_HALVINGS = 32
"""How often requests are halved: enough for three heavy workloads among 500, and for no storm of requests where
a server refuses all that is asked."""
_GRACE = 0.1
"""Seconds for a request that was cut off at the deadline to say so."""


@dataclass(frozen=True)
class Ask:
    """What all requests of one `measure` have in common."""

    at: datetime
    deadline: float
    halvings: Iterator[int] = field(default_factory=lambda: iter(range(_HALVINGS)))

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()


class Prometheus(Metrics):
    """A source of evidence."""

    def __init__(
        self,
        url: str | None,
        credentials: Credentials = NONE,
        dialect: Dialect | None = None,
        *,
        timeout: float = 5.0,
        on_request: Callable[[Missing | None], object] = lambda missing: None,
    ) -> None:
        """`url` is asked by queries that name no server; None where each names one.

        `credentials` are for `url` only: a query may name any server, and must not carry them there.
        `timeout` (seconds) is for a whole `measure`.
        `on_request` is called after each request, with why it wasn't answered.
        Raises Invalid for a URL that can't be used; a user name and password in one are taken out of it.
        """
        self._dialect = dialect or Dialect()
        self._timeout = timeout
        self._on_request = on_request
        self.quoted: Callable[[str], bool] = lambda server: False
        """Whether a page of this server's that isn't Prometheus' may be shown; of others only its kind is."""
        self._threads = Threads()
        self._home: str | None = None
        self._own = NONE
        if url is not None:
            self._home, self._own = address(url, credentials)
        self._clients: dict[str, tuple[object, PrometheusClient]] = {}
        self._recent: set[str] = set()
        """Servers that were asked lately."""
        self._lock = threading.Lock()
        self._logged: set[object] = set()
        """Where exceptions came from that are in the log already."""

    def __repr__(self) -> str:
        return f"Prometheus({self._home!r}, {self._dialect!r})"

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """An answer for each query, over the window that ends at `at`, within `timeout` seconds. Never raises."""
        asked = tuple(dict.fromkeys(queries))
        plan = batching.plan(asked, self._home, self._dialect.table, at)
        ask = Ask(batching.whole(at), time.monotonic() + self._timeout)
        calls = [partial(self._safely, batch.cells(), self._batch, batch, ask) for batch in plan.batches]
        questions = dict.fromkeys(plan.questions.values())
        calls += [partial(self._safely, [one], self._question, one, ask) for one in questions]
        found: dict[Cell | MergedQuestion, Rows | Sample] = {}
        for part in self._threads.run(calls, ask.deadline + _GRACE):
            found |= part or {}
        answered: dict[Query, Sample] = {}
        for query in asked:
            answered |= self._safely([query], self._sampled, query, plan, found)
        return answered

    def _safely(self, asked: Sequence[Any], call: Callable[..., Mapping[Any, Any]], *given: Any) -> Mapping[Any, Any]:
        """What the call answers; an exception is our own fault, and neither a time-out nor anything else's answer."""
        try:
            return call(*given)
        except Exception as error:  # noqa: BLE001 - what no one foresaw in the answer of a foreign server
            self._log_once(error)
            why = f"the answer could not be read: {type(error).__name__}; the log has the traceback"
            return dict.fromkeys(asked, Missing(Cause.RUBBISH, why))

    def _log_once(self, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = (type(error), frames[-1].filename, frames[-1].lineno) if frames else type(error)
        with self._lock:
            if place in self._logged:
                return
            self._logged.add(place)
        _log.error("answer of Prometheus could not be read: %s", type(error).__name__, exc_info=error)

    def close(self) -> None:
        """Lets go of the connections; the next `measure` makes new ones."""
        with self._lock:
            for _, client in self._clients.values():
                client.close()
            self._clients.clear()

    def forget(self) -> bool:
        """Lets go of servers that weren't asked since the last call of this; whether any is left."""
        with self._lock:
            for url in self._clients.keys() - self._recent:
                self._clients.pop(url)[1].close()
            self._recent.clear()
            return bool(self._clients)

    def _sampled(self, query: Query, plan: MergedPlan, found: Found) -> Mapping[Query, Sample]:
        return {query: self._sample(query, plan, found)}

    def _sample(self, query: Query, plan: MergedPlan, found: Found) -> Sample:
        if query in plan.refused:
            return plan.refused[query]
        late = Missing(Cause.TIMED_OUT, f"no complete answer within {self._timeout:.3g}s")
        if query in plan.questions:
            answer = found.get(plan.questions[query], late)
            return late if isinstance(answer, tuple) else answer
        rows: Rows = ()
        for cell in plan.cells[query]:
            answer = found.get(cell, late)
            if not isinstance(answer, tuple):
                return answer
            rows += answer
        return answers.sample(query, self._dialect.table, [cell.part for cell in plan.cells[query]], rows)

    def _batch(self, batch: Batch, ask: Ask) -> Found:
        """Asks; where it was too much for the server, asks for the halves."""
        halves = batch.halves()
        cells = len(batch.cells())
        within, bounds = ask.left / 2 if halves else ask.left, Bounds.of(cells, cells if batch.native else 0)
        dropped = list[str]() if batch.native else None
        text = batch.text(self._dialect)
        answer, asked = self._ask(batch.server, text, ask, within, bounds=bounds, dropped=dropped)
        found = answer if isinstance(answer, Missing) else answers.rows(answer)
        if not isinstance(found, Missing):
            shares = batch.share(self._dialect.table, found)
            if asked.dropped:
                lost = Missing(Cause.EMPTY, f"no native histograms that can be added up: {asked.dropped[0]}")
                return {cell: own or lost for cell, own in shares.items()}
            judged: dict[Any, Any] = {}
            for again in batch.again(shares):
                judged |= self._batch(again, ask)
            return {cell: judged.get(cell if own else cell.native, own) for cell, own in shares.items()}
        if halves and found.cause in (Cause.INVALID, Cause.TIMED_OUT) and next(ask.halvings, None) is not None:
            return {cell: own for half in halves for cell, own in self._batch(half, ask).items()}
        return dict.fromkeys(batch.cells(), found)

    def _question(self, question: MergedQuestion, ask: Ask) -> Found:
        if question.events is not None:
            return {question: question.events.ask(lambda text: self._ask(question.server, text, ask, ask.left)[0])}
        answer, asked = self._ask(question.server, question.text, ask, ask.left, types=("vector", "scalar"))
        return {question: answer if isinstance(answer, Missing) else answers.one_number(answer, asked.scrubbed)}

    def _ask(
        self, server: str, text: str, ask: Ask, within: float, **held: Any
    ) -> tuple[Any | Missing, answers.Asked]:
        """The answer, and what it was `held` against beside the time."""
        asked = answers.Asked(ask.at, str, quoted=self.quoted(server), **held)
        if within < _LEAST:
            return Missing(Cause.TIMED_OUT, "no time was left to ask"), asked
        answer: Any = self._client(server)
        if not isinstance(answer, Missing):
            asked = replace(asked, scrubbed=answer.scrubbed)
            answer = answer.ask(text, asked, within)
        self._on_request(answer if isinstance(answer, Missing) else None)
        return answer, asked

    def _client(self, server: str) -> "PrometheusClient | Missing":
        """The client of a server, created again when a file of its credentials has changed."""
        from .session import PrometheusClient

        try:
            url, own = address(server)
            credentials = self._own if own == NONE and url == self._home else own
            with self._lock:
                stamp = (credentials, credentials.stamp())
                self._recent.add(url)
                known = self._clients.get(url)
                if known is None or known[0] != stamp:
                    if known is not None:
                        known[1].close()
                    known = self._clients[url] = (stamp, PrometheusClient(url, credentials))
                return known[1]
        except Invalid as error:
            return Missing(Cause.INVALID, str(error))
        except OSError as error:
            return Missing(Cause.DENIED, f"{error.filename}: {error.strerror or 'unreadable'}")
