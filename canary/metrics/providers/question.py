"""What a provider is asked with: the question, and the wire that carries it.

A provider is a module with one function, `ask(question, wire)`, which returns a number or raises NoAnswer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from canary.api.pinned import PinnedProvider
from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Missing
from canary.kube.requests import Request

from ..event_counts import EventCounters
from ..limits import LEAST, Bounds

Headers = Mapping[str, str]
PUBLIC = ("username", "org", "project", "newrelic_account_id")
"""Keys of a Secret that hold a name, not a credential."""


class NoAnswer(Exception):
    """Instead of a number: why there is none."""

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(cause, detail)
        self.missing = Missing(cause, detail)


@dataclass(frozen=True)
class ProviderQuestion:
    """One query."""

    text: str
    """The template with its words filled in; of counts, what is sent first."""
    server: str
    """The address without a path's last slash; empty for the API server."""
    window: timedelta
    at: datetime
    """The end of the window."""
    provider: PinnedProvider
    namespace: str = ""
    """Of the Canary."""
    secret: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    headers: Headers = field(default_factory=dict, repr=False, compare=False)
    """Of the template."""
    events: EventCounters | None = None
    """What it asks for, where that is counts."""

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.window.total_seconds()

    def may_read(self, namespace: str) -> None:
        """Raise Invalid for an object of another namespace than the Canary's and the template's.

        The API server is asked with canary's own permissions, which may be more than the author of a query has.
        """
        if namespace not in (self.namespace, self.provider.namespace):
            raise Invalid(f"objects of namespace {namespace} aren't read for a Canary of {self.namespace}")

    def key(self, name: str) -> str:
        """What the Secret holds under this key. Raises Invalid."""
        found = self.secret.get(name, "")
        if not found and self.provider.secret:
            raise Invalid(f"the Secret {self.provider.secret} has no key {name}")
        if not found:
            raise Invalid(f"the template has no secretRef, and the Secret's key {name} is needed")
        return found


class ProviderWire(Protocol):
    """Carries the requests of one question, with the template's headers."""

    def json(self, method: str, path: str, *, headers: Headers = {}, **how: Any) -> Any:  # noqa: B006 - never changed
        """The document of an answer with status 200; `how` is as for requests. Raises NoAnswer."""

    def body(self, method: str, path: str, *, bounds: Bounds = LEAST, **how: Any) -> bytes:
        """The body of an answer with status 200 that isn't JSON. Raises NoAnswer."""

    def raw(self, method: str, path: str, *, bounds: Bounds = LEAST, **how: Any) -> tuple[int, bytes]:
        """Status and body of the answer. Raises NoAnswer."""

    def cluster(self, request: Request) -> Any:
        """What the API server of the cluster answers. Raises NoAnswer."""

    def parsed(self, status: int, body: bytes, bounds: Bounds = LEAST) -> Any:
        """The document of what `raw` found, if the status is 200. Raises NoAnswer."""

    def at(self, server: str) -> "ProviderWire":
        """The same to another server, such as one that gives tokens; without the template's headers."""

    def scrubbed(self, text: str) -> str:
        """The text without secrets."""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""

    @property
    def quoted(self) -> bool:
        """Whether a page of the server that isn't the provider's may be shown."""


def number(found: object) -> float:
    """A JSON number, or a text that is one. Raises NoAnswer."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise NoAnswer(Cause.INVALID, "something else where one number was due")
    try:
        return float(found)
    except ValueError:
        raise NoAnswer(Cause.INVALID, "text where one number was due") from None
    except OverflowError:
        raise NoAnswer(Cause.NAN, "a number that is too large") from None


def empty(what: str = "the query has no result") -> NoAnswer:
    """For an answer without a value."""
    return NoAnswer(Cause.EMPTY, what)


def foreign(what: str) -> NoAnswer:
    """For an answer in a shape that isn't the server's."""
    return NoAnswer(Cause.RUBBISH, f"an answer that isn't {what}'s")


def several(count: int, what: str = "series") -> NoAnswer:
    """For an answer with more than one result."""
    return NoAnswer(Cause.INVALID, f"{count} {what} where one number was due")
