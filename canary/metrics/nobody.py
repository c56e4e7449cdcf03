"""Nobody to ask: the address is none. What protects needs no evidence, and mustn't fail for want of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from canary.engine.observed import Kind, Missing, Query, Sample


@dataclass(frozen=True)
class Nobody:
    """A source of evidence that has none."""

    why: str
    """In a sentence."""

    def measure(self, queries: Iterable[Query], at: datetime) -> Mapping[Query, Sample]:
        """See the port."""
        return dict.fromkeys(queries, Missing(Kind.INVALID, self.why))
