"""The port of metrics for templates' providers: queries → questions, each asked of its provider's file.

Equal questions are asked once. All share one deadline; a failure of one isn't another's.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from canary.api.pinned import PinnedProvider
from canary.api.providers import PROVIDERS
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing, Query, Sample, Shape, Value
from canary.kube.requests import Request
from canary.ports import Metrics, Secrets

from ..batching import tiled, whole
from ..credentials import Credentials, Secret, address
from ..event_counts import EventCounters
from ..prometheus import Threads
from ..promql import custom, duration
from .question import PUBLIC, NoAnswer, ProviderQuestion

if TYPE_CHECKING:
    from ..session import BoundedSession

log = logging.getLogger(__name__)
Templates = Callable[[str, str], Mapping[str, Iterable[str]] | None]
"""Of a namespace and a name, the headers of that MetricTemplate; None where there is none."""
Objects = Callable[[Request], Any]
"""Reads from the API server. Raises kube's Failure."""
_GRACE = 0.1
"""Seconds for a request that was cut off at the deadline to say so."""


@dataclass(frozen=True)
class Surroundings:
    """What providers need beside the queries."""

    secrets: Secrets
    templates: Templates
    objects: Objects | None = None
    """None without a cluster."""


class Providers(Metrics):
    """All types of providers."""

    def __init__(
        self,
        around: Surroundings,
        *,
        timeout: float = 5.0,
        on_request: Callable[[Missing | None], object] = lambda missing: None,
        quoted: Callable[[str], bool] = lambda server: True,
    ) -> None:
        """`timeout` (seconds) is for a whole `measure`. `quoted`: whether a server's own words may be shown."""
        self._around = around
        self._timeout = timeout
        self._on_request = on_request
        self._quoted = quoted
        self._threads = Threads()
        self._sessions: dict[tuple[str, bool], BoundedSession] = {}
        self._recent: set[tuple[str, bool]] = set()
        self._lock = threading.Lock()

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """An answer for each query, over the window that ends at `at`. Never raises."""
        answered: dict[Query, Sample] = {}
        questions: dict[ProviderQuestion, list[Query]] = {}
        for query in dict.fromkeys(queries):
            try:
                questions.setdefault(question(query, at), []).append(query)
            except Invalid as error:
                answered[query] = Missing(Cause.INVALID, str(error))
        deadline = time.monotonic() + self._timeout
        calls = [partial(self._safely, one, deadline) for one in questions]
        late = Missing(Cause.TIMED_OUT, f"no complete answer within {self._timeout:.3g}s")
        for asked, answer in zip(questions.values(), self._threads.run(calls, deadline + _GRACE), strict=True):
            answered |= dict.fromkeys(asked, late if answer is None else answer)
        return answered

    def close(self) -> None:
        """Lets go of the connections; the next `measure` makes new ones."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def forget(self) -> None:
        """Lets go of servers that weren't asked since the last call of this."""
        with self._lock:
            for key in self._sessions.keys() - self._recent:
                self._sessions.pop(key).close()
            self._recent.clear()

    def _safely(self, one: ProviderQuestion, deadline: float) -> Sample:
        """What is asked; an exception is our own fault, and not another question's."""
        try:
            found = self._ask(one, deadline)
        except Exception as error:  # what no one foresaw in the answer of a foreign server; logged
            log.error("answer of %s could not be read: %s", one.provider.type, type(error).__name__, exc_info=error)
            found = Missing(Cause.RUBBISH, f"the answer could not be read: {type(error).__name__}; see the log")
        self._on_request(found if isinstance(found, Missing) else None)
        if not isinstance(found, Missing):
            return found
        if found.cause is Cause.DENIED and one.provider.secret:
            self._around.secrets.forget(one.provider.namespace, one.provider.secret)
        return replace(found, detail="; ".join(part for part in (found.detail, one.server) if part))

    def _ask(self, one: ProviderQuestion, deadline: float) -> Sample:
        from .wire import HttpWire

        asked = self._with_credentials(one)
        if isinstance(asked, Missing):
            return asked
        wire = HttpWire(
            session=self._session(one),
            server=one.server,
            deadline=deadline,
            headers=asked.headers,
            masked=_credentials(asked).scrubbed,
            words=self._quoted(one.server),
            objects=self._around.objects,
        )
        try:
            found: Sample = provider(one.provider.type).ask(asked, wire)
        except NoAnswer as error:
            return error.missing
        except Invalid as error:
            return Missing(Cause.INVALID, str(error))
        except ModuleNotFoundError as error:
            kind = one.provider.type
            return Missing(Cause.INVALID, f"{error.name} isn't installed: pip install 'canary-controller[{kind}]'")
        return finite(found)

    def _with_credentials(self, one: ProviderQuestion) -> ProviderQuestion | Missing:
        """The question with what its template and its Secret hold now."""
        name = one.provider.template
        headers = self._around.templates(one.provider.namespace, name)
        if headers is None:
            return Missing(Cause.INVALID, f"the MetricTemplate {name} doesn't exist any more")
        found = self._around.secrets.read(one.provider.namespace, one.provider.secret) if one.provider.secret else {}
        if isinstance(found, Missing):
            return found
        joined = {header: ", ".join(values) for header, values in headers.items()}
        return replace(one, secret=found, headers=joined)

    def _session(self, one: ProviderQuestion) -> "BoundedSession":
        from .wire import session

        key = one.server, one.provider.insecure
        with self._lock:
            self._recent.add(key)
            if key not in self._sessions:
                self._sessions[key] = session(*key)
            return self._sessions[key]


def _credentials(asked: ProviderQuestion) -> Credentials:
    """What no message may hold."""
    words = [value for key, value in asked.secret.items() if key not in PUBLIC]
    return Credentials(headers=tuple(("", Secret(word)) for word in [*words, *asked.headers.values()]))


def question(query: Query, at: datetime) -> ProviderQuestion:
    """The question that a query asks. Raises Invalid."""
    if query.provider is None:
        raise AssertionError("a query of the Canary's own Prometheus")
    server = address(query.server)[0] if query.server else ""
    if not server and not PROVIDERS[query.provider.type].in_cluster:
        raise Invalid(f"the provider {query.provider.type} needs an address")
    if query.shape is Shape.COUNTS:
        return _of_events(query, at, server, query.provider)
    duration(query.window)
    text = custom(query)
    return ProviderQuestion(text, server, query.window, at, query.provider, query.subject.namespace)


def _of_events(query: Query, at: datetime, server: str, provider: PinnedProvider) -> ProviderQuestion:
    if provider.type != "prometheus":
        raise Invalid(f"the provider {provider.type} has no counts; only Prometheus has")
    window = tiled(query.window, at)
    events = EventCounters.of(query, window)
    text, namespace = events.text(new=False), query.subject.namespace
    return ProviderQuestion(text, server, window, whole(at), provider, namespace, events=events)


def provider(kind: str) -> Any:
    """The module of a type of provider. Raises Invalid."""
    if kind not in PROVIDERS:
        raise Invalid(f"there is no provider {kind}")
    return import_module(f"{__package__}.{kind}")


def finite(found: Sample) -> Sample:
    """A number, or why it is none."""
    match found:
        case Value(value) if value != value:  # noqa: PLR0124 - only NaN differs from itself
            return Missing(Cause.NAN)
        case Value(value) if abs(value) == float("inf"):
            return Missing(Cause.NAN, f"{value:+}")
    return found


@dataclass(frozen=True)
class Routed(Metrics):
    """The Canary's own Prometheus, and providers of templates beside it."""

    prometheus: Metrics
    providers: Providers
    home: str | None
    """The own Prometheus, which is also asked by templates that bring credentials and no address."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See the port."""
        asked = tuple(dict.fromkeys(queries))
        own = [one for one in asked if one.provider is None]
        theirs = {one: self._addressed(one) for one in asked if one.provider is not None}
        found = dict(self.prometheus.measure(own, at)) if own else {}
        answers = self.providers.measure(theirs.values(), at) if theirs else {}
        return {**found, **{one: answers[each] for one, each in theirs.items()}}

    def _addressed(self, query: Query) -> Query:
        needs = query.server is None and query.provider is not None and query.provider.type == "prometheus"
        return replace(query, server=self.home) if needs else query
