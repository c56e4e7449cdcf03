"""Dynatrace's metrics API: https://docs.dynatrace.com/docs/dynatrace-api/environment-api/metric-v2/get-data-points."""

from canary.engine.observed import Value

from .question import ProviderQuestion, ProviderWire, empty, foreign, number, several


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """One number for the whole window; the query is a metric selector."""
    end = question.at.timestamp()
    params = {
        "metricSelector": " ".join(question.text.split()),
        "resolution": "Inf",
        "from": str(int((end - question.seconds) * 1000)),
        "to": str(int(end * 1000)),
    }
    headers = {"Authorization": f"Api-Token {question.key('dynatrace_token')}"}
    document = wire.json("GET", "/api/v2/metrics/query", params=params, headers=headers)
    match document:
        case {"result": [{"data": list(data)}]}:
            return Value(_only(data))
        case {"result": []}:
            raise empty()
        case {"result": list(found)}:
            raise several(len(found), "metrics")
    raise foreign("Dynatrace")


def _only(data: list[object]) -> float:
    found = []
    for one in data:
        match one:
            case {"values": list(values)}:
                found.append([value for value in values if value is not None])
            case _:
                raise foreign("Dynatrace")
    found = [values for values in found if values]
    if not found:
        raise empty()
    if len(found) > 1:
        raise several(len(found))
    if len(found[0]) > 1:
        raise several(len(found[0]), "values")
    return number(found[0][0])
