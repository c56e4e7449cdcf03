"""New Relic's Insights query API: https://docs.newrelic.com/docs/apis/insights-apis/query-insights-event-data-api/."""

import re

from canary.engine.errors import Invalid
from canary.engine.observed import Value

from .question import ProviderQuestion, ProviderWire, empty, foreign, number, several


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The one number of an NRQL query over the window; a query may have a SINCE of its own."""
    account = question.key("newrelic_account_id")
    if not account.isascii() or not account.isdigit():
        raise Invalid(f"newrelic_account_id in the Secret {question.provider.secret} is no number")
    end = question.at.timestamp()
    since = f" SINCE {int((end - question.seconds) * 1000)} UNTIL {int(end * 1000)}"
    text = " ".join(question.text.split())
    nrql = text if re.search(r"\bsince\b", text, re.IGNORECASE) else text + since
    headers = {"X-Query-Key": question.key("newrelic_query_key"), "Accept": "application/json"}
    document = wire.json("GET", f"/v1/accounts/{account}/query", params={"nrql": nrql}, headers=headers)
    match document:
        case {"results": []}:
            raise empty()
        case {"results": [dict(found)]}:
            return Value(_only(found))
        case {"results": list(found)}:
            raise several(len(found), "results")
    raise foreign("New Relic")


def _only(found: dict[str, object]) -> float:
    """`{"result": 2}`, `{"average": 2}`, or `{"percentiles": {"95": 2}}`."""
    if "result" in found:
        found = {"result": found["result"]}
    values = list(found.values())
    if len(values) == 1 and isinstance(values[0], dict):
        values = list(values[0].values())
    if len(values) != 1:
        raise several(len(values), "values")
    if values[0] is None:
        raise empty()
    return number(values[0])
