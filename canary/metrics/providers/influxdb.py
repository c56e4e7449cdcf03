"""InfluxDB 2 and 1.8, in Flux: https://docs.influxdata.com/influxdb/v2/api/#operation/PostQuery.

The answer is annotated CSV: a table for each series, each with its own heading if their columns differ.
"""

import csv
import io
from collections.abc import Iterator

from canary.engine.observed import Cause, Value

from .question import NoAnswer, ProviderQuestion, ProviderWire, empty, foreign, number, several


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The one row of the one table."""
    headers = {"Accept": "application/csv"}
    if question.provider.secret:
        headers["Authorization"] = f"Token {question.key('token')}"
    org = {"org": question.key("org")} if question.provider.secret else {}
    body = {"query": question.text, "type": "flux", "now": f"{question.at:%Y-%m-%dT%H:%M:%S}Z"}
    text = wire.body("POST", "/api/v2/query", json=body, params=org, headers=headers).decode(errors="replace")
    rows = list(_rows(text))
    if not rows:
        raise empty()
    if len(rows) > 1:
        more = several(len(rows), "rows").missing
        raise NoAnswer(more.cause, f"{more.detail}; group() makes one table of several, last() one row of it")
    return Value(number(rows[0]))


def _rows(text: str) -> Iterator[str]:
    """The values of all tables. Raises NoAnswer for an error that is a table, and for what is no answer."""
    heading: list[str] = []
    try:
        for row in csv.reader(io.StringIO(text)):
            if not row or not any(row) or row[0].startswith("#"):
                heading = []
            elif not heading:
                heading = _heading(row)
            elif "error" in heading:
                raise NoAnswer(Cause.INVALID, "the query failed on the server")
            elif len(row) == len(heading):
                yield row[heading.index("_value")]
            else:
                raise foreign("InfluxDB")
    except csv.Error:
        raise foreign("InfluxDB") from None


def _heading(row: list[str]) -> list[str]:
    if "error" not in row and "_value" not in row:
        raise foreign("InfluxDB")
    return row
