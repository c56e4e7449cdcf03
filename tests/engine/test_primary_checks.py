"""What is wrong with a Canary whose target is released through a primary."""

from collections.abc import Mapping
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.engine import pairs
from canary.engine.pairs import Capabilities, Pairing, TargetType
from canary.engine.resolved import resolve_spec
from canary.engine.validation import check

RATE: dict[str, Any] = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}
A_SERVICE = {"apiVersion": "v1", "kind": "Service", "name": "podinfo"}
PAIR = Pairing(
    "Deployment",
    "istio",
    Capabilities("Deployment", mirror=True, headers=True, query_params=True, source_labels=True, affinity=True),
    dialects=("istio",),
    no_version="",
    api_versions=("apps/v1",),
    type=TargetType.PRIMARY,
)
NO_NAME = (
    "can't be the name of a Service: at most 55 lower-case letters, digits and '-', which leaves room for -primary, "
    "with a letter at the beginning and no '-' at the end"
)


def canary(spec: Mapping[str, Any] | None = None, service: Mapping[str, Any] | None = None) -> Canary:
    """A good one, with these fields of the spec and of the Service instead; None takes a field away."""
    whole = {
        "targetRef": TARGET,
        "metricsServer": "http://prometheus:9090",
        "service": {"port": 80, **(service or {})},
        "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50, "metrics": [RATE]},
        **(spec or {}),
    }
    whole = {name: value for name, value in whole.items() if value is not None}
    return Canary.model_validate({"metadata": {"name": "podinfo"}, "spec": whole}, extra="forbid")


def sticky(**given: Any) -> dict[str, Any]:
    """An analysis with session affinity."""
    shape = {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50, "metrics": [RATE]}
    return {"analysis": {**shape, "sessionAffinity": {"cookieName": "seen", **given}}}


def reported(given: Canary, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All problems but that of a kind which no pair has."""
    monkeypatch.setattr(pairs, "PAIRS", (PAIR, *pairs.PAIRS))
    found = check(given, None, {}, PAIR.capabilities)
    return [f"{each.severity}: {each}" for each in found if each.field != ("spec", "targetRef", "kind")]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(canary(), id="a port is enough"),
        pytest.param(
            canary(
                service={
                    "name": "web",
                    "targetPort": "http",
                    "portName": "http-web",
                    "portDiscovery": True,
                    "gateways": ["mesh", "istio-system/public", "public.istio-system.svc.cluster.local"],
                    "hosts": ["web.example.com", "*.Example.org", "172.19.255.200", "fd00::1", "*"],
                    "apex": {"labels": {"team": "shop"}, "annotations": {"example.com/note": "any text"}},
                    "rewrite": {"uri": "/"},
                },
            ),
            id="all that can be made of it",
        ),
        pytest.param(canary(service={"delegation": True}), id="a delegate"),
        pytest.param(canary({"targetRef": TARGET | {"kind": "DaemonSet"}}), id="a DaemonSet"),
        pytest.param(canary({"targetRef": A_SERVICE}, {"name": "podinfo"}), id="a Service, called as it is"),
        pytest.param(canary(sticky(primaryCookieName="old", secure=True, sameSite="None", path="/")), id="cookies"),
        pytest.param(canary(service={"appProtocol": "grpc", "portName": "tcp"}), id="the protocol beats the name"),
        pytest.param(canary(service={"portName": "tcpip"}), id="a name that only begins like a protocol"),
        pytest.param(canary({"targetRef": TARGET | {"name": "pod.info"}}, {"name": "web"}), id="a dot in the target"),
        pytest.param(canary({"targetRef": {"kind": "Deployment", "name": "podinfo"}}), id="no API version"),
        pytest.param(canary({"targetRef": TARGET | {"name": "x" * 55}}), id="the longest name"),
    ],
)
def test_a_good_canary_has_no_problem(given: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a versions target is asked for."""
    assert reported(given, monkeypatch) == []


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(
            canary({"service": None}),
            ["error: spec.service: is missing: a Deployment needs `service: {port: 80}` with the port that its "
             "clients call"],
            id="no Service",
        ),
        pytest.param(
            canary({"version": "v2", "stable": "v1", "host": "a", "routes": ["b"], "virtualServices": ["c"]}),
            ["error: spec.version: isn't for a Deployment: a change of its pod template is what is rolled out; "
             "remove it",
             "error: spec.stable: isn't for a Deployment: the version in its primary is stable; remove it",
             "error: spec.host: isn't for a Deployment: its hosts are called after service.name; remove it",
             "error: spec.routes: isn't for a Deployment: all routes to its Service move; remove it",
             "error: spec.virtualServices: isn't for a Deployment: its routes are made from service.hosts, "
             "service.gateways and service.match; remove it"],
            id="fields of a versions target",
        ),
        pytest.param(
            canary({"targetRef": TARGET | {"apiVersion": "v1", "name": "Podinfo"}}, {"name": "web"}),
            ["warning: spec.targetRef.apiVersion: 'v1' has no Deployment; write apps/v1",
             "error: spec.targetRef.name: 'Podinfo' can't be a Deployment; write its name"],
            id="a target that can't be",
        ),
        pytest.param(
            canary({"autoscalerRef": {"kind": "VerticalPodAutoscaler", "name": "podinfo"}},
                   {"portName": "https-db"}),
            ["error: spec.autoscalerRef.kind: 'VerticalPodAutoscaler' is no scaler of which the primary can get a "
             "copy; there are HorizontalPodAutoscaler and ScaledObject",
             "error: spec.service.portName: 'https-db' can't be shared out: only requests of HTTP, HTTP/2 and gRPC "
             "can, and connections of TCP; where the pods end TLS themselves, write tcp"],
            id="what can't be shared out or scaled",
        ),
        pytest.param(
            canary({"analysis": {"interval": "1m", "iterations": 5, "metrics": [RATE], "match": [
                       {"headers": {"x-a": {"exact": "1"}}}, {"headers": {"x-a": {"exact": "2"}}}]}},
                   {"match": [{"headers": {"x-a": {"exact": "1"}}}]}),
            ["error: spec.analysis.match[0].headers.x-a: is in service.match as well, so it chooses none of the "
             "requests; remove it"],
            id="a condition that all requests meet",
        ),
        pytest.param(
            canary({"autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "podinfo"}},
                   {"primaryLabels": "keep"}),
            ["error: spec.autoscalerRef: isn't possible with service.primaryLabels: keep: two scalers would select "
             "the same pods by their labels, and Kubernetes scales neither then; remove it, or write relabel"],
            id="scalers of pods with the same labels",
        ),
        pytest.param(
            canary({"targetRef": TARGET | {"kind": "DaemonSet"},
                    "autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "podinfo"}},
                   {"primaryLabels": "keep"}),
            ["error: spec.autoscalerRef: isn't for a DaemonSet, which has one pod on each node; remove it",
             "error: spec.service.primaryLabels: keep isn't for a DaemonSet: no label tells the pods of a build "
             "before they run; write relabel, or remove it"],
            id="what a DaemonSet can't have",
        ),
        pytest.param(
            canary({"targetRef": TARGET | {"kind": "DaemonSet"}, "analysis": {
                "interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50, "metrics": [RATE],
                "canaryReplicas": 2}}),
            ["warning: spec.analysis.canaryReplicas: isn't used with a DaemonSet, which has one pod on each node"],
            id="replicas of a DaemonSet",
        ),
        pytest.param(
            canary({"targetRef": A_SERVICE | {"apiVersion": "core/v1"}, "version": "v2",
                    "autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "podinfo"}},
                   {"primaryLabels": "keep", "name": "web", "targetPort": 9898, "headless": True}),
            ["warning: spec.targetRef.apiVersion: 'core/v1' has no Service; write v1",
             "error: spec.version: isn't for a Service: a change of its selector or its ports is what is rolled out; "
             "remove it",
             "error: spec.autoscalerRef: isn't for a Service, whose pods are yours; remove it",
             "error: spec.service.primaryLabels: keep isn't for a Service, whose pods keep their labels anyway; "
             "write relabel, or remove it",
             "error: spec.service.name: isn't for a Service: clients call the target itself; remove it",
             "warning: spec.service.targetPort: has no effect with a Service: the ports and the rest are those of "
             "the target",
             "warning: spec.service.headless: has no effect with a Service: the ports and the rest are those of "
             "the target"],
            id="what a Service can't have",
        ),
        pytest.param(
            canary(service={"appProtocol": "TLS"}),
            ["error: spec.service.appProtocol: 'TLS' can't be shared out: only requests of HTTP, HTTP/2 and gRPC "
             "can, and connections of TCP; where the pods end TLS themselves, write tcp"],
            id="a protocol without requests",
        ),
        pytest.param(
            canary({"targetRef": TARGET | {"name": "pod.info"}}),
            [f"error: spec.targetRef.name: 'pod.info' {NO_NAME}; write service.name"],
            id="a target that no Service can be called after",
        ),
        pytest.param(
            canary(service={"name": "x" * 56}),
            [f"error: spec.service.name: '{'x' * 56}' {NO_NAME}"],
            id="a name that leaves no room for -primary",
        ),
        pytest.param(
            canary(sticky(cookieName="a b", primaryCookieName="c;", domain="a b", path="/;x", partitioned=True)),
            ["error: spec.analysis.sessionAffinity.cookieName: 'a b' can't be the name of a cookie: letters, digits "
             "and !#$%&'*+-.^_`|~",
             "error: spec.analysis.sessionAffinity.primaryCookieName: 'c;' can't be the name of a cookie: letters, "
             "digits and !#$%&'*+-.^_`|~",
             "error: spec.analysis.sessionAffinity.domain: 'a b' can't be an attribute of a cookie: no ';', ',', "
             "quotes, spaces or other signs that aren't printed",
             "error: spec.analysis.sessionAffinity.path: '/;x' can't be an attribute of a cookie: no ';', ',', "
             "quotes, spaces or other signs that aren't printed",
             "warning: spec.analysis.sessionAffinity.partitioned: needs `secure: true`, or browsers refuse the "
             "cookie"],
            id="cookies that browsers refuse",
        ),
        pytest.param(
            canary(sticky(primaryCookieName="seen")),
            ["error: spec.analysis.sessionAffinity.primaryCookieName: 'seen' is cookieName as well; the two versions "
             "need a cookie each"],
            id="one cookie for both",
        ),
        pytest.param(
            canary({"analysis": {"interval": "1m", "threshold": 5, "iterations": 3, "mirror": True, "metrics": [RATE],
                                 "sessionAffinity": {"cookieName": "seen"}}}),
            ["warning: spec.analysis.sessionAffinity: isn't used: no step shares requests out by weight"],
            id="cookies without weights",
        ),
        pytest.param(
            canary(service={"portName": "Web", "targetPort": "9898"}),
            ["error: spec.service.portName: 'Web' can't be the name of a port: at most 63 lower-case letters, digits "
             "and '-'",
             "error: spec.service.targetPort: '9898' can't be the name of a port: at most 15 lower-case letters, "
             "digits and '-'; write it without quotes"],
            id="ports that can't be called so",
        ),
        pytest.param(
            canary(service={"hosts": ["web:80", "http://web", "a.*"], "gateways": ["a/b/c", "*"]}),
            ["error: spec.service.hosts[0]: 'web:80' can't be a host: letters, digits, '-' and '.', without a port; "
             "* stands for all hosts",
             "error: spec.service.hosts[1]: 'http://web' can't be a host: letters, digits, '-' and '.', without a "
             "port; * stands for all hosts",
             "error: spec.service.hosts[2]: 'a.*' can't be a host: letters, digits, '-' and '.', without a port; "
             "* stands for all hosts",
             "error: spec.service.gateways[0]: 'a/b/c' can't be a gateway; write its name, or `namespace/name`",
             "error: spec.service.gateways[1]: '*' can't be a gateway; write its name, or `namespace/name`"],
            id="hosts and gateways that can't be",
        ),
        pytest.param(
            canary(service={"delegation": True, "hosts": ["web"], "gateways": ["mesh"]}),
            ["error: spec.service.hosts: isn't for a delegate: it has those of what delegates to it; "
             "remove it, or delegation",
             "error: spec.service.gateways: isn't for a delegate: it has those of what delegates to it; "
             "remove it, or delegation"],
            id="a delegate with hosts of its own",
        ),
        pytest.param(
            canary(service={"primary": {"labels": {"a b": "c", "d": "e f"}}, "canary": {"annotations": {"/": "x"}}}),
            ["error: spec.service.primary.labels['a b']: 'a b' can't be a key; write one such as team or "
             "example.com/team",
             "error: spec.service.primary.labels.d: 'e f' can't be a label: at most 63 letters, digits, '-', '_' "
             "and '.'",
             "error: spec.service.canary.annotations['/']: '/' can't be a key; write one such as team or "
             "example.com/team"],
            id="labels and annotations that the API server refuses",
        ),
        pytest.param(
            canary({"ingressRef": {"name": "x"}, "routeRef": {"name": "y"}, "upstreamRef": {"name": "z"}},
                   {"gatewayRefs": [{"name": "a"}], "mirror": [{"b": 1}], "backends": ["c"], "meshName": "d",
                    "rewrite": {"type": "ReplaceFullPath"}}),
            ["warning: spec.service.gatewayRefs: has no effect: canary doesn't route with the Gateway API; "
             "write gateways for those of Istio",
             "warning: spec.service.mirror: has no effect: it is for the Gateway API; write analysis.mirror",
             "warning: spec.service.backends: has no effect: it is for App Mesh; remove it",
             "warning: spec.service.meshName: has no effect: it is for App Mesh; remove it",
             "warning: spec.service.rewrite.type: has no effect: it is for the Gateway API; remove it",
             "warning: spec.ingressRef: is read only for {{ ingress }} in queries: canary changes no Ingress",
             "warning: spec.routeRef: is read only for {{ route }} in queries: canary changes no route of APISIX",
             "warning: spec.upstreamRef: has no effect: canary doesn't route with Gloo; remove it"],
            id="fields for other routers",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong(given: Canary, problems: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a sentence that says what to do."""
    assert reported(given, monkeypatch) == problems


LABELLED = {"sourceLabels": {"app": "tester"}}
TESTERS = {"headers": {"x-tester": {"exact": "yes"}}}
NO_CALLER = "has sourceLabels, and no request through gateways has a caller with labels; add mesh to service.gateways"


@pytest.mark.parametrize(
    ("matches", "service", "problems"),
    [
        pytest.param([LABELLED], {}, [], id="sidecars know the labels of callers"),
        pytest.param([LABELLED], {"gateways": ["public", "mesh"]}, [], id="so do those beside a gateway"),
        pytest.param(
            [LABELLED], {"gateways": ["public"], "delegation": True}, [], id="what delegates has other gateways"
        ),
        pytest.param(
            [TESTERS, {**TESTERS, **LABELLED}], {"gateways": ["public"]},
            [f"warning: spec.analysis.match[1]: {NO_CALLER}; it is left out"],
            id="through a gateway alone, others can be met",
        ),
        pytest.param(
            [LABELLED], {"gateways": ["public"]},
            [f"warning: spec.analysis.match[0]: {NO_CALLER}; the first increase is refused, unless "
             "routes of your own have mesh"],
            id="through a gateway alone, no one would be met",
        ),
    ],
)  # fmt: skip
def test_source_labels_and_gateways(
    matches: list[Any], service: dict[str, Any], problems: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Istio would ignore the labels, and let the match catch everybody."""
    shape = {"interval": "1m", "threshold": 5, "iterations": 3, "match": matches, "metrics": [RATE]}
    found = reported(canary({"analysis": shape}, service), monkeypatch)
    assert [one for one in found if "sourceLabels" in one] == problems


@pytest.mark.parametrize("strategy", ["iterations", "steps"])
def test_a_match_that_no_request_meets_is_left_out(strategy: str) -> None:
    """Unless it is the only one: the router refuses it then."""
    both, alone = [TESTERS, {**TESTERS, **LABELLED}], [LABELLED]

    def planned(matches: list[Any], *gateways: str) -> int:
        steps = {"steps": [{"match": matches}]} if strategy == "steps" else {"iterations": 3, "match": matches}
        given = {"analysis": {"interval": "1m", "threshold": 5, "metrics": [RATE], **steps}}
        return len(resolve_spec(canary(given, {"gateways": gateways})).plan.steps[1].traffic.match)

    assert (planned(both, "public"), planned(both, "public", "mesh"), planned(both)) == (1, 2, 2)
    assert planned(alone, "public") == 1
