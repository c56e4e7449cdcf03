"""The results of a run, kept beside the code, so that the page can be written again without simulating."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .figures import Row, read, wire
from .validity import Validity

PATH = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Results:
    """All figures of the page."""

    rows: Sequence[Row]
    valid: Sequence[Validity]
    interval: str
    """Between evaluations of the judge."""
    seconds: float
    """The run took so long."""


def save(results: Results) -> None:
    """One line for each scenario, so that a change shows what it changed."""
    lines = ",\n".join(json.dumps(wire(one), ensure_ascii=False, sort_keys=True) for one in results.rows)
    valid = ",\n".join(json.dumps(asdict(one), ensure_ascii=False, sort_keys=True) for one in results.valid)
    text = (
        f'{{"interval": "{results.interval}", "seconds": {results.seconds:.0f},\n'
        f'"rows": [\n{lines}\n],\n"valid": [\n{valid}\n]}}\n'
    )
    PATH.write_text(text, "utf-8")


def load() -> Results:
    """The last run's."""
    kept = json.loads(PATH.read_text("utf-8"))
    valid = [Validity(**one) for one in kept["valid"]]
    return Results([read(one) for one in kept["rows"]], valid, kept["interval"], kept["seconds"])
