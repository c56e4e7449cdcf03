"""External metrics of Kubernetes, as a HorizontalPodAutoscaler reads them: `NAMESPACE/METRIC?labelSelector=…`.

The API server is asked, or the address of the template.
"""

import re
from dataclasses import replace
from urllib.parse import parse_qs, quote

from canary.engine.errors import Invalid
from canary.engine.observed import Value
from canary.kube import requests
from canary.kube.resources import EXTERNAL_METRICS

from .question import ProviderQuestion, ProviderWire, empty, foreign, several

FORM = "NAMESPACE/METRIC?labelSelector=app%3Dweb"
_QUERY = re.compile(r"(?:(?P<namespace>[a-z0-9-]*)/)?(?P<metric>[\w.:-]+)(?:\?(?P<rest>.*))?")
_QUANTITY = re.compile(r"(?P<number>[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)(?P<unit>[numkMGTPE]|[KMGTPE]i)?")
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)}


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The one value that the selector finds."""
    namespace, metric, selector = _parsed(question)
    if question.server:
        token = question.secret.get("token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        path = f"{EXTERNAL_METRICS.root}/namespaces/{quote(namespace)}/{quote(metric)}"
        params = {"labelSelector": selector} if selector else {}
        document = wire.json("GET", path, params=params, headers=headers)
    else:
        question.may_read(namespace)
        document = wire.cluster(requests.listing(replace(EXTERNAL_METRICS, plural=metric), namespace, selector))
    match document:
        case {"items": []}:
            raise empty("there is no such external metric")
        case {"items": [{"value": str(value)}]}:
            return Value(quantity(value))
        case {"items": list(found)}:
            raise several(len(found), "values")
    raise foreign("the external metrics API")


def _parsed(question: ProviderQuestion) -> tuple[str, str, str]:
    match = _QUERY.fullmatch(question.text.strip())
    if match is None:
        raise Invalid(f"a query of external metrics is {FORM}")
    selectors = parse_qs(match["rest"] or "").get("labelSelector", [""])
    return match["namespace"] or question.namespace, match["metric"], selectors[0]


def quantity(text: str) -> float:
    """A number as Kubernetes writes them: `1500m`, `2k`, `1Gi`. Raises NoAnswer."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise foreign("the external metrics API")
    return float(match["number"]) * (_UNITS | _BINARY).get(match["unit"] or "", 1.0)
