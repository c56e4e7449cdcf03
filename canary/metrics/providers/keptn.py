"""Keptn: the value of a KeptnMetric, which Keptn itself keeps up to date: `keptnmetric/NAMESPACE/NAME`.

An `analysis/…` isn't supported: it would have to be created in the cluster for each evaluation.
"""

import re

from canary.engine.errors import Invalid
from canary.engine.observed import Value
from canary.kube import requests
from canary.kube.resources import KEPTN_METRICS

from .question import ProviderQuestion, ProviderWire, empty, foreign, number

FORM = "keptnmetric/NAMESPACE/NAME"
_QUERY = re.compile(r"keptnmetrics?/(?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9.-]+)", re.IGNORECASE)


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The value of the object."""
    match = _QUERY.fullmatch(question.text.strip())
    if match is None:
        raise Invalid(f"a query of Keptn is {FORM}; canary creates no analyses")
    namespace, name = match["namespace"].lower(), match["name"].lower()
    question.may_read(namespace)
    document = wire.cluster(requests.get(KEPTN_METRICS, namespace, name))
    match document:
        case {"status": {"value": "" | None}}:
            raise empty("the KeptnMetric has no value yet")
        case {"status": {"value": value}}:
            return Value(number(value))
        case {"metadata": dict()}:
            raise empty("the KeptnMetric has no value yet")
    raise foreign("a KeptnMetric")
