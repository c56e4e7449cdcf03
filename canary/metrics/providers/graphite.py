"""Graphite's render API: https://graphite.readthedocs.io/en/stable/render_api.html."""

from urllib.parse import parse_qsl

from canary.engine.errors import Invalid
from canary.engine.observed import Value

from .prometheus import authorization
from .question import ProviderQuestion, ProviderWire, empty, foreign, number, several

FORM = "target=…, and from and until if they differ from the window"


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The last point of the one series that has any; the query is the part of a URL behind the question mark."""
    asked = parse_qsl(" ".join(question.text.split()).removeprefix("?"), keep_blank_values=True)
    asked = [(name, value) for name, value in asked if name != "format"]
    names = {name for name, _ in asked}
    if "target" not in names:
        raise Invalid(f"a query of Graphite is {FORM}")
    end = question.at.timestamp()
    window = {"from": str(int(end - question.seconds)), "until": str(int(end)), "format": "json"}
    asked = [pair for pair in asked if pair[0] != "format"] + [
        each for each in window.items() if each[0] not in names
    ]
    document = wire.json("GET", "/render", params=asked, headers=authorization(question))
    if not isinstance(document, list):
        raise foreign("Graphite")
    found = [points for one in document if (points := _points(one))]
    if not found:
        raise empty()
    if len(found) > 1:
        raise several(len(found))
    return Value(number(found[0][-1]))


def _points(series: object) -> list[object]:
    """The values that aren't null."""
    match series:
        case {"datapoints": list(points)}:
            return [one[0] for one in points if isinstance(one, list) and one and one[0] is not None]
    raise foreign("Graphite")
