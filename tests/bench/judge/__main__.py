"""`make bench-judge`: simulates all scenarios, keeps the results, and writes docs/judge.md and docs/judge.svg.

`--tuning WORD…` prints a table for some scenarios with other seeds than the page's, and writes nothing. `--page` only
writes the page of the last results again.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from .bars import bars
from .contestants import ANALYSIS
from .figures import Row, row_of
from .page import page
from .plot import plot
from .results import Results, load, save
from .scenarios import Scenario
from .simulate import REPORT, TUNING, all_found, chosen
from .validity import Validity, validity

DOCS = Path(__file__).parents[3] / "docs"
HEALTHY, BAD, TRIED = 5, 1, 1
"""Batches of a scenario: for the page with a healthy and a bad canary, and while tuning."""
CHECKED, SEED = 10000, 20261
"""Rollouts at each point of the validity, and their seed."""


def main(words: Sequence[str] | None = None) -> int:
    """Runs, and says which promises are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the page of the last results again")
    parser.add_argument("--tuning", nargs="*", metavar="WORD", help="try scenarios with a word in their name")
    asked = parser.parse_args(words)
    if asked.tuning is not None:
        for row in _rows(chosen(asked.tuning), TUNING):
            print("\n".join(_lines(row)))
        return 0
    if not asked.page:
        save(_measured())
    results = load()
    (DOCS / "judge.md").write_text(page(results), "utf-8")
    (DOCS / "judge.svg").write_text(plot([one for one in results.rows if one.bad]), "utf-8")
    for one in bars(results.rows, results.valid):
        print(f"{'missed' if one.missed else 'kept':6}  {one.promise}: {one.found}")
    return 0


def _measured() -> Results:
    began = time.monotonic()
    with ProcessPoolExecutor(1) as beside:
        checked = beside.submit(_checked)
        rows = _rows(chosen([]), REPORT)
        valid = checked.result()
    return Results(rows, valid, str(ANALYSIS["interval"]), time.monotonic() - began)


def _checked() -> list[Validity]:
    return list(validity(CHECKED, SEED))


def _rows(scenarios: Sequence[Scenario], kind: str) -> list[Row]:
    def batches(one: Scenario) -> int:
        return TRIED if kind == TUNING else BAD if one.bad else HEALTHY

    return [row_of(*one) for one in all_found(scenarios, kind, batches, _tell)]


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def _lines(row: Row) -> list[str]:
    lines = [f"{row.name}, {row.rollouts} rollouts"]
    for name, cell in row.cells.items():
        back, through = cell.rollback_seconds, cell.promotion_seconds
        lines.append(
            f"  {name:18} rolled back {cell.rolled_back.value:6.1%} after {back.value if back else 0:5.0f} s,"
            f" promoted {cell.promoted.value:6.1%} after {through.value if through else 0:5.0f} s,"
            f" harmed {cell.harmed.value:9.1f}"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
