"""A problem and the place in a file where it stands; `documents.py` finds the place."""

from dataclasses import dataclass
from typing import Any

from canary.engine.checks import Severity


@dataclass(frozen=True, order=True)
class Located:
    """One problem. Sorted by file, then by line and column."""

    path: str
    line: int
    """Counted from 1; 0 where the file as a whole is meant."""
    column: int
    """Counted from 1, at the field's name; 0 where the file as a whole is meant."""
    severity: Severity
    field: str
    """`spec.analysis.steps[1].weight`; empty where no field is meant."""
    sentence: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        field = f"{self.field}: " if self.field else ""
        return f"{place}: {self.severity}: {field}{self.sentence}"

    def wire(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "file": self.path,
            "line": self.line,
            "column": self.column,
            "severity": self.severity.value,
            "field": self.field,
            "message": self.sentence,
        }
