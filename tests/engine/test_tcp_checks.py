"""Checks of a Service of TCP: what says something of requests is refused, in a sentence."""

from typing import Any

import pytest

from canary.api.canary import Canary, CanaryPolicy
from canary.engine.validation import check

REFUSED = {"name": "refused", "query": "up", "thresholdRange": {"max": 1}}
NOT_OF_TCP = "isn't for TCP, of which Istio sees connections and no requests; remove it"
NO_COUNTS = (
    "has no data for TCP, of which Istio counts no requests; write a query of metrics such as "
    "istio_tcp_connections_opened_total with another name, or remove it"
)


def problems(
    service: dict[str, Any] | None = None,
    analysis: dict[str, Any] | None = None,
    policy: CanaryPolicy | None = None,
) -> list[str]:
    """Of a Canary for a Deployment that speaks TCP."""
    whole: dict[str, Any] = {
        "targetRef": {"kind": "Deployment", "name": "db"},
        "metricsServer": "http://prometheus:9090",
        "service": {"port": 5432, "portName": "tcp-db", **(service or {})},
        "analysis": {**({} if policy else {"stepWeights": [10], "metrics": [REFUSED]}), **(analysis or {})},
        "policyRef": {"name": "usual"} if policy else None,
    }
    whole["analysis"] = {name: value for name, value in whole["analysis"].items() if value is not None}
    made = Canary.model_validate({"metadata": {"name": "db"}, "spec": whole}, extra="forbid")
    return [f"{one.severity}: {one}" for one in check(made, policy)]


@pytest.mark.parametrize(
    ("service", "analysis"),
    [
        pytest.param({}, {}, id="a query"),
        pytest.param({"portName": "db", "appProtocol": "TCP", "targetPort": 5432}, {}, id="the protocol"),
        pytest.param({}, {"stepWeights": None, "iterations": 5, "webhooks": [
                              {"name": "load", "type": "rollout", "url": "http://test"}]}, id="blue/green"),
        pytest.param({"match": [{"port": 5432, "gateways": ["mesh"]}, {"sourceLabels": {"app": "x"}}],
                      "trafficPolicy": {"tls": {"mode": "DISABLE"}}, "portDiscovery": True}, {}, id="what TCP has"),
        pytest.param({"appProtocol": "http", "retries": {"attempts": 1}}, {"mirror": True}, id="the protocol wins"),
    ],
)  # fmt: skip
def test_what_tcp_can_do_has_no_problem(service: dict[str, Any], analysis: dict[str, Any]) -> None:
    assert problems(service, analysis) == []


@pytest.mark.parametrize(
    ("service", "analysis", "expected"),
    [
        pytest.param(
            {"rewrite": {"uri": "/"}, "timeout": "1s", "retries": {"attempts": 2}, "headers": {"request": {}},
             "corsPolicy": {"maxAge": "1h"}},
            {},
            [f"error: spec.service.{one}: {NOT_OF_TCP}"
             for one in ("rewrite", "timeout", "retries", "headers", "corsPolicy")],
            id="fields of requests",
        ),
        pytest.param(
            {"delegation": True},
            {},
            ["error: spec.service.delegation: isn't for TCP, because only routes of HTTP can be delegated; "
             "remove it"],
            id="a delegate",
        ),
        pytest.param(
            {"match": [{"port": 5432}, {"uri": {"prefix": "/"}, "port": 5432}]},
            {},
            [f"error: spec.service.match[1].uri: {NOT_OF_TCP}"],
            id="a path",
        ),
        pytest.param(
            {},
            {"sessionAffinity": {"cookieName": "seen"}, "mirror": True},
            ["error: spec.analysis.mirror: TCP can't mirror requests",
             "error: spec.analysis.sessionAffinity: TCP can't keep users on the version that they met"],
            id="copies and cookies",
        ),
        pytest.param(
            {},
            {"match": [{"headers": {"x-a": {"exact": "1"}}}, {"sourceLabels": {"app": "x"}}]},
            ["error: spec.analysis.match[0].headers: TCP can't match headers",
             "error: spec.analysis.match[1].sourceLabels: TCP can't match sourceLabels"],
            id="users",
        ),
        pytest.param(
            {},
            {"metrics": [REFUSED, {"name": "request-success-rate", "thresholdRange": {"min": 99}}],
             "minRequests": 5},
            [f"error: spec.analysis.metrics[1].name: request-success-rate {NO_COUNTS}",
             "error: spec.analysis.minRequests: can't be reached with TCP, of which Istio counts no requests; "
             "remove it"],
            id="requests that are counted",
        ),
        pytest.param(
            {},
            {"stepWeights": None, "iterations": 5},
            ["warning: spec.analysis.iterations: no connection reaches the canary, so there is nothing to judge; "
             "write a webhook of type rollout"],
            id="blue/green that nothing judges",
        ),
        pytest.param(
            {},
            {"metrics": []},
            ["warning: spec.analysis.metrics: there are none, so nothing is judged; write a query"],
            id="no metrics",
        ),
    ],
)  # fmt: skip
def test_what_connections_do_not_have(service: dict[str, Any], analysis: dict[str, Any], expected: list[str]) -> None:
    assert problems(service, analysis) == expected


def test_a_policy_may_ask_for_requests() -> None:
    """It is refused for this Canary."""
    shared = {"metrics": [{"name": "request-duration", "thresholdRange": {"max": 500}}], "stepWeights": [10]}
    policy = CanaryPolicy.model_validate({"metadata": {"name": "usual"}, "spec": {"analysis": shared}})
    assert problems(policy=policy) == [
        f"error: spec.policyRef: in the policy usual, spec.analysis.metrics[0].name: request-duration {NO_COUNTS}"
    ]
