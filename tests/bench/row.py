"""One line of the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measurement, and what it may be at most."""

    what: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def broken(self) -> bool:
        """More than was promised."""
        return self.limit is not None and self.value > self.limit
