"""The adapter for Prometheus, and for whatever speaks its API: queries → samples.

`merging.py` makes the requests, `session.py` carries them, `answers.py` reads them. One deadline covers all.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from canary.engine.errors import Invalid
from canary.engine.observed import Kind, Missing, Query, Sample

from . import answers, merging, pool
from .credentials import NONE, Credentials, address
from .merging import Batch, Cell, Plan, Question
from .promql import Dialect

if TYPE_CHECKING:
    from .session import Client

Rows = tuple[answers.Row, ...]
Found = Mapping[Cell | Question, Rows | Sample]

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


class Prometheus:
    """A source of evidence."""

    def __init__(
        self,
        url: str | None,
        credentials: Credentials = NONE,
        dialect: Dialect | None = None,
        *,
        others: Mapping[str, Credentials] | None = None,
        timeout: float = 5.0,
        told: Callable[[Missing | None], None] = lambda missing: None,
    ) -> None:
        """`url` is asked by queries that name no server; None where each names one.

        `credentials` are for `url` only: a query may name any server, and must not carry them there. Other
        servers are shown what `others` holds for them, or nothing. `timeout` (seconds) is for a whole `measure`.
        `told` is called after each request, with why it wasn't answered.
        Raises Invalid for a URL that can't be used; a user name and password in one are taken out of it.
        """
        self._dialect = dialect or Dialect()
        self._timeout = timeout
        self._told = told
        self._known = dict(address(other, shown) for other, shown in (others or {}).items())
        self._home = None
        if url is not None:
            self._home, own = address(url, credentials)
            self._known[self._home] = own
        self._clients: dict[str, tuple[object, Client]] = {}
        self._recent: set[str] = set()
        """Servers that were asked lately."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Prometheus({self._home!r}, {self._dialect!r})"

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """An answer for each query, over the window that ends at `at`, within `timeout` seconds. Never raises."""
        asked = tuple(dict.fromkeys(queries))
        plan = merging.plan(asked, self._home, self._dialect.table)
        ask = Ask(at, time.monotonic() + self._timeout)
        calls = [partial(self._batch, batch, ask) for batch in plan.batches]
        questions = [partial(self._question, one, ask) for one in dict.fromkeys(plan.questions.values())]
        found: dict[Cell | Question, Rows | Sample] = {}
        for part in pool.run([*calls, *questions], ask.deadline + _GRACE):
            found |= part or {}
        return {query: self._sample(query, plan, found) for query in asked}

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

    def _sample(self, query: Query, plan: Plan, found: Found) -> Sample:
        if query in plan.refused:
            return plan.refused[query]
        late = Missing(Kind.TIMED_OUT, f"no complete answer within {self._timeout:.3g}s")
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
        answer = self._ask(batch.server, batch.text(self._dialect), ask, ask.left / 2 if halves else ask.left)
        found = answer if isinstance(answer, Missing) else answers.rows(answer)
        if not isinstance(found, Missing):
            shares = batch.share(self._dialect.table, found)
            again = batch.again(shares)
            judged = self._batch(again, ask) if again else {}
            return {cell: judged.get(cell, own) for cell, own in shares.items()}
        if halves and found.kind in (Kind.INVALID, Kind.TIMED_OUT) and next(ask.halvings, None) is not None:
            return {cell: own for half in halves for cell, own in self._batch(half, ask).items()}
        return dict.fromkeys(batch.cells(), found)

    def _question(self, question: Question, ask: Ask) -> Found:
        answer = self._ask(question.server, question.text, ask, ask.left)
        return {question: answer if isinstance(answer, Missing) else answers.one_number(answer)}

    def _ask(self, server: str, text: str, ask: Ask, within: float) -> Any | Missing:
        if within < _LEAST:
            return Missing(Kind.TIMED_OUT, "no time was left to ask")
        client = self._client(server)
        answer = client if isinstance(client, Missing) else client.ask(text, ask.at, within)
        self._told(answer if isinstance(answer, Missing) else None)
        return answer

    def _client(self, server: str) -> "Client | Missing":
        """The client of a server, made anew when a file of its credentials has changed."""
        from .session import Client

        try:
            url, own = address(server)
            credentials = own if own != NONE else self._known.get(url, NONE)
            with self._lock:
                stamp = (credentials, credentials.stamp())
                self._recent.add(url)
                known = self._clients.get(url)
                if known is None or known[0] != stamp:
                    if known is not None:
                        known[1].close()
                    known = self._clients[url] = (stamp, Client(url, credentials))
                return known[1]
        except Invalid as error:
            return Missing(Kind.INVALID, str(error))
        except OSError as error:
            return Missing(Kind.DENIED, f"{error.filename}: {error.strerror or 'unreadable'}")
