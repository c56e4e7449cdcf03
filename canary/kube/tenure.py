"""Lease arithmetic: until when the holder may write, and from when on another may take over. Pure.

                 renewal sent, accepted                    holder dies, hangs, or loses contact
    holder:      |---- may write: deadline ----|
                 |   its last request may be under way:     |-- request --|
    another:          | sees the renewal      |------ duration ------|-- request --| takes over

Each side uses its own clock only, and only differences. What the holder sends last is sent before
`renewal + deadline` and given up after `request`; another waits `duration + request` after it saw the renewal, which
is after it was sent. So nobody else writes while the last request of the holder is under way, as long as
`deadline + request <= duration`. `lease.py` carries this out.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """All in seconds."""

    duration: int = 15
    """How long a lease counts without being renewed; whole seconds, because the Lease says so."""
    deadline: float = 10.0
    """How long after a renewal was sent its holder may write."""
    every: float = 2.0
    """Between two renewals, and between two looks at somebody else's lease."""
    request: float = 5.0
    """What a request may take."""

    def __post_init__(self) -> None:
        if not 0 < self.every < self.deadline or self.deadline + self.request > self.duration:
            raise ValueError("a lease needs every < deadline and deadline + request <= duration")


@dataclass(frozen=True)
class Tenure:
    """A lease that is ours, by our clock."""

    terms: Terms
    renewed: float
    """When the last renewal that was accepted was sent."""

    def overdue(self, now: float) -> float:
        """Seconds since the last renewal, once there are too many to write; else 0."""
        since = now - self.renewed
        return since if since < 0 or since >= self.terms.deadline else 0.0


@dataclass(frozen=True)
class Sighting:
    """Somebody else's lease, by our clock."""

    record: object
    """What it said; whatever changes in it is a sign of life."""
    since: float
    """When we first saw it say so."""

    def seen(self, record: object, now: float) -> "Sighting":
        """After another look."""
        return self if record == self.record else Sighting(record, now)

    def expires(self, duration: float, request: float) -> float:
        """When another may take it, if it stays as it is; `duration` as its holder wrote it."""
        return self.since + duration + request
