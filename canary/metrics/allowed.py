"""Which Prometheus may be asked: whoever writes a Canary or a template names an address, and the controller asks it.

It stands elsewhere in the network than whoever wrote that. Prefixes are compared by their parts, not as text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from canary.engine.errors import Invalid
from canary.engine.observed import Kind, Missing, Query, Sample

from .credentials import address

SETTING = "--allowed-metrics-servers"
_PORTS = {"http": 80, "https": 443}


class Place(NamedTuple):
    """What an address leads to."""

    scheme: str
    host: str
    port: int
    path: tuple[str, ...]

    def holds(self, other: "Place") -> bool:
        """Whether the other one is this server, at this path or below."""
        below = other.path[: len(self.path)] == self.path and not {".", ".."} & set(other.path)
        return self[:3] == other[:3] and below


@dataclass(frozen=True)
class Allowed:
    """Prefixes of addresses; none allow all. Raises Invalid for one that is no address."""

    prefixes: tuple[str, ...] = ()
    _places: tuple[Place, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "_places", tuple(_place(one) for one in self.prefixes))
        except Invalid as error:
            raise Invalid(f"{SETTING}: {error}") from None

    def refusal(self, url: str) -> str:
        """Why it may not be asked, in a sentence; empty where it may, and for what is no address at all."""
        try:
            clean, place = address(url)[0], _place(url)
        except Invalid:
            return ""
        if not self._places or any(one.holds(place) for one in self._places):
            return ""
        return f"{clean} may not be asked; the controller's {SETTING} says which addresses may"


class Source(Protocol):
    """Of evidence."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]: ...


@dataclass(frozen=True)
class Confined:
    """A source of evidence that asks only where that is allowed."""

    source: Source
    home: str | None
    """Who is asked by queries that name no server."""
    allowed: Allowed

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See the port; what may not be asked is denied."""
        asked = tuple(queries)
        refused = {one: why for one in asked if (why := self.allowed.refusal(one.server or self.home or ""))}
        denied = {one: Missing(Kind.DENIED, why) for one, why in refused.items()}
        rest = [one for one in asked if one not in refused]
        return {**(self.source.measure(rest, at) if rest else {}), **denied}


def _place(url: str) -> Place:
    parts = urlsplit(address(url)[0])
    path = tuple(one for one in unquote(parts.path).split("/") if one)
    return Place(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme], path)
