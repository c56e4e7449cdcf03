"""Checks of a Service whose connections are shared out: Istio sees no requests of TCP."""

from collections.abc import Iterator

from canary.api.service import Service

from ..pairs import tcp_of
from ..policy_merge import BUILTINS
from .problem import Case, Problem, on_the_wire

OF_REQUESTS = ("rewrite", "timeout", "retries", "headers", "cors_policy")
"""Fields of a Service, by Python name, that say something of requests."""
NO_REQUESTS = "isn't for TCP, of which Istio sees connections and no requests; remove it"
NO_DELEGATE = "isn't for TCP, because only routes of HTTP can be delegated; remove it"
NO_COUNTS = (
    "has no data for TCP, of which Istio counts no requests; write a query of metrics such as "
    "istio_tcp_connections_opened_total with another name, or remove it"
)
NO_MINIMUM = "can't be reached with TCP, of which Istio counts no requests; remove it"
MATCHED = ("port", "gateways", "sourceLabels", "sourceNamespace", "destinationSubnets")
"""What a route of TCP matches, in Istio's words."""


def of_service(case: Case) -> Iterator[Problem]:
    """What a route of TCP can't have."""
    service = tcp_of(case.spec)
    if service is None:
        return
    for name in OF_REQUESTS:
        if getattr(service, name) is not None:
            yield Problem(("spec", "service", on_the_wire(Service, name)), NO_REQUESTS)
    if service.delegation:
        yield Problem(("spec", "service", "delegation"), NO_DELEGATE)
    for index, match in enumerate(service.match):
        for field in match:
            if field not in MATCHED:
                yield Problem(("spec", "service", "match", index, field), NO_REQUESTS)


def metrics(case: Case) -> Iterator[Problem]:
    """What has no data would end each rollout."""
    if tcp_of(case.spec) is None:
        return
    for index, metric in enumerate(case.analysis.metrics or ()):
        if metric.name in BUILTINS:
            yield case.problem("metrics", f"{metric.name} {NO_COUNTS}", index, "name")
    if case.analysis.min_requests:
        yield case.problem("min_requests", NO_MINIMUM)


CHECKS = (of_service, metrics)
