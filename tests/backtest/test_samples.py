"""A file of samples as a source of evidence: which rows a window has, and what is said of durations."""

from datetime import timedelta
from pathlib import Path

import pytest

from canary.engine.observed import Counts, Query, Sample, Shape, Subject, Value
from canary.metrics.samples import read_samples
from tests.backtest.recording import HALF, NOON

ROWS = """\
time,version,total,bad,slower_250,slower_500
2026-03-02T12:00:30Z,web,10,1,4,0
2026-03-02T12:01:00Z,web,30,2,4,0
2026-03-02T12:01:00Z,other,0,0,0,0
"""
BARE = "time,version,total,bad\n1772452830,web,10,1\n"


def answer(path: Path, text: str, query: Query) -> Sample:
    """What a file with this text answers at one minute past noon."""
    path.write_text(text)
    found = read_samples(path).measure([query], NOON + 2 * HALF)[query]
    return Value(round(found.value, 6)) if isinstance(found, Value) else found


WEB, OTHER = Subject("web"), Subject("other")


@pytest.mark.parametrize(
    ("text", "query", "due"),
    [
        pytest.param(ROWS, Query("requests", HALF, WEB, Shape.COUNTS), Counts(30, 2), id="one row"),
        pytest.param(ROWS, Query("requests", 2 * HALF, WEB, Shape.COUNTS), Counts(40, 3), id="two rows"),
        pytest.param(
            ROWS,
            Query("requests", 2 * HALF, WEB, Shape.COUNTS, edges=(300.0,)),
            Counts(40, 3, ((250.0, 8), (500.0, 0)), timed=40),
            id="the neighbours of an edge that isn't there",
        ),
        pytest.param(ROWS, Query("requests", HALF, OTHER, Shape.COUNTS), Counts(0, 0), id="a row without requests"),
        pytest.param(ROWS, Query("request-success-rate", 2 * HALF, WEB), Value(92.5), id="a rate"),
        pytest.param(ROWS, Query("request-duration", 2 * HALF, WEB), Value(487.5), id="a quantile between edges"),
        pytest.param(ROWS, Query("request-success-rate", HALF, OTHER), "no request to other", id="no rate of none"),
        pytest.param(ROWS, Query("requests", HALF, Subject("x"), Shape.COUNTS), "no row of x", id="no such version"),
        pytest.param(BARE, Query("requests", 2 * HALF, WEB, Shape.COUNTS), Counts(10, 1), id="no durations"),
        pytest.param(
            BARE,
            Query("requests", 2 * HALF, WEB, Shape.COUNTS, edges=(300.0,)),
            "don't say what was slower",
            id="asked",
        ),
        pytest.param(BARE, Query("request-duration", 2 * HALF, WEB), "don't say what was slower", id="no quantile"),
        pytest.param(ROWS, Query("errors", timedelta(1), WEB, text="sum(x)"), "answers no query", id="a query"),
    ],
)
def test_what_a_file_answers(text: str, query: Query, due: Sample | str, tmp_path: Path) -> None:
    """A row belongs to the window in which it ends."""
    found = answer(tmp_path / "rows.csv", text, query)
    assert due in str(found) if isinstance(due, str) else found == due
