"""`canary import argo`: a Rollout and what belongs to it become a Deployment and a Canary."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.cli.app import run
from canary.engine.errors import Invalid
from canary.importing import Imported, argo

LABELS = {"app": "shop"}
CONTAINER = {"name": "shop", "image": "shop:1", "ports": [{"containerPort": 8080}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
ISTIO = {"istio": {"virtualService": {"name": "shop-routes"}}}
ROUTED = {"canaryService": "shop-canary", "stableService": "shop", "trafficRouting": ISTIO}
STEPS = [{"setWeight": 10}, {"pause": {"duration": "5m"}}, {"setWeight": 50}, {"pause": {}}]
Objects = dict[str, dict[str, Any]]


def rollout(strategy: dict[str, Any], kind: str = "canary", **spec: Any) -> dict[str, Any]:
    """A Rollout of Argo's."""
    fields = {"replicas": 3, "selector": {"matchLabels": LABELS}, "template": TEMPLATE, "strategy": {kind: strategy}}
    metadata = {"name": "shop", "namespace": "test", "labels": {"team": "a"}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": fields | spec}


def service(name: str) -> dict[str, Any]:
    """One that selects the Rollout's pods."""
    ports = [{"port": 80, "targetPort": 8080, "name": "http-web"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "test"},
            "spec": {"selector": LABELS, "ports": ports}}  # fmt: skip


def routes(*hosts: str, to: tuple[str, str] = ("shop", "shop-canary")) -> dict[str, Any]:
    """Of Istio."""
    split = [{"destination": {"host": host}, "weight": weight} for host, weight in zip(to, (100, 0), strict=True)]
    http = [{"match": [{"uri": {"prefix": "/static"}}], "route": [{"destination": {"host": "files"}}]},
            {"name": "primary", "timeout": "9s", "route": split}]  # fmt: skip
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "shop-routes", "namespace": "test"},
            "spec": {"hosts": list(hosts), "gateways": ["public"], "http": http}}  # fmt: skip


def analysis(name: str, *metrics: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """An AnalysisTemplate."""
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": name, "namespace": "test"}, "spec": {"metrics": list(metrics), **spec}}  # fmt: skip


def metric(name: str = "ok", query: str = "vector(1)", **fields: Any) -> dict[str, Any]:
    """One that asks Prometheus."""
    return {"name": name, "provider": {"prometheus": {"address": "http://prometheus:9090", "query": query}}, **fields}


def imported(*objects: dict[str, Any]) -> Imported:
    """Of one file."""
    return argo([("shop.yaml", "\n---\n".join(map(json.dumps, objects)))])


def made(*objects: dict[str, Any]) -> Objects:
    """The objects of the output by kind."""
    found = YAML(typ="safe", pure=True).load_all(imported(*objects).text)
    return {one["kind"]: one for one in found}


def steps(*given: dict[str, Any], **strategy: Any) -> list[dict[str, Any]]:
    """The steps that these become."""
    found: list[dict[str, Any]] = made(rollout({"steps": list(given), **strategy}))["Canary"]["spec"]["analysis"][
        "steps"
    ]
    return found


def test_a_rollout_becomes_a_deployment_and_a_canary() -> None:
    found = made(rollout(ROUTED | {"steps": STEPS}, progressDeadlineSeconds=60, paused=True), service("shop"))
    assert found["Deployment"]["spec"]["template"] == TEMPLATE
    assert found["Deployment"]["spec"]["replicas"] == 3
    assert found["Deployment"]["metadata"] == {"name": "shop", "namespace": "test", "labels": {"team": "a"}}
    spec = found["Canary"]["spec"]
    assert spec["targetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    assert spec["service"] == {"port": 80, "targetPort": 8080, "portName": "http-web"}
    assert spec["progressDeadlineSeconds"] == 60
    assert spec["suspend"] is True
    assert "Rollout" not in found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([{"setWeight": 10}, {"setWeight": 30}], [{"weight": 10}, {"weight": 30}]),
        ([{"pause": {"duration": 60}}, {"setWeight": 5}], [{"weight": 0, "hold": "1m"}, {"weight": 5}]),
        (
            [{"setWeight": 5}, {"pause": {"duration": "90"}}, {"pause": {"duration": "30s"}}],
            [{"weight": 5, "hold": "2m"}],
        ),
        (
            [{"setWeight": 5}, {"pause": {}}, {"pause": {"duration": "1h"}}],
            [{"weight": 5, "gates": [{"approval": {"count": 1}, "onTimeout": "hold"}]}, {"weight": 5, "hold": "1h"}],
        ),
        (
            [{"setWeight": 5}, {"setMirrorRoute": {"name": "m", "percentage": 20}}, {"setWeight": 9},
             {"setMirrorRoute": {"name": "m"}}, {"setWeight": 100}],
            [{"weight": 5}, {"weight": 5, "mirror": 20}, {"weight": 9, "mirror": 20}, {"weight": 9}, {"weight": 100}],
        ),
        (
            [{"setHeaderRoute": {"name": "h", "match": [{"headerName": "X-A", "headerValue": {"prefix": "on"}}]}},
             {"setWeight": 5}, {"setHeaderRoute": {"name": "h"}}, {"setWeight": 9}],
            [{"weight": 0, "match": [{"headers": {"x-a": {"prefix": "on"}}}]},
             {"weight": 5, "match": [{"headers": {"x-a": {"prefix": "on"}}}]}, {"weight": 5}, {"weight": 9}],
        ),
        ([{"setCanaryScale": {"weight": 25}}, {"setWeight": 25}, {"setCanaryScale": {}}], [{"weight": 25}]),
    ],
    ids=["weights", "a pause at the start", "pauses add up", "a pause after a gate", "copies", "headers", "scale"],
)  # fmt: skip
def test_each_change_becomes_a_whole_state(given: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Without metrics, no step has evaluations."""
    assert steps(*given) == [{**one, "iterations": 0} for one in expected]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"setWeight": 5}, "step 2: setWeight goes down from 10 to 5; weights may only rise"),
        ({"setWeight": "a"}, "step 2: setWeight 'a' is no whole number"),
        ({"pause": {"duration": "soon"}}, "step 2: pause of 'soon'"),
        ({"experiment": {}}, "step 2: experiment"),
        ({"setCanaryScale": {"replicas": 1}}, "step 2: setCanaryScale"),
        ({"setMirrorRoute": {"match": [{}]}}, "step 2: setMirrorRoute with match"),
        ({"analysis": {"templates": [{"templateName": "no"}]}}, "these files have no AnalysisTemplate no"),
    ],
)
def test_what_has_no_counterpart_is_listed_and_a_comment(given: dict[str, Any], sentence: str) -> None:
    found = imported(rollout({"steps": [{"setWeight": 10}, given]}))
    assert any(sentence in one for one in found.lost)
    assert f"# No counterpart: {sentence[:20]}" in found.text or sentence.startswith("these files")


def test_the_routes_are_those_that_canary_adopts() -> None:
    """Called as the Service, and to it; what else is in them stays."""
    found = made(
        rollout(ROUTED | {"steps": STEPS}), service("shop"), service("shop-canary"), routes("shop.example.com")
    )
    assert found["VirtualService"]["metadata"]["name"] == "shop"
    spec = found["VirtualService"]["spec"]
    assert (spec["hosts"], spec["gateways"]) == (["shop.example.com"], ["public"])
    assert spec["http"][0]["route"] == [{"destination": {"host": "files"}}]
    assert spec["http"][1] == {"name": "primary", "timeout": "9s", "route": [{"destination": {"host": "shop"}}]}
    assert found["Service"]["metadata"]["name"] == "shop"


def test_the_service_that_clients_call_goes_before_the_stable_one() -> None:
    """A host of the routes is what clients call."""
    strategy = ROUTED | {"stableService": "shop-stable", "steps": STEPS}
    given = routes("shop.test.svc.cluster.local", to=("shop-stable", "shop-canary"))
    found = made(rollout(strategy), service("shop-stable"), service("shop"), given)
    assert "name" not in found["Canary"]["spec"]["service"]
    assert found["VirtualService"]["spec"]["http"][1]["route"] == [{"destination": {"host": "shop"}}]


def test_subsets_of_one_host_end() -> None:
    """Both versions become Services."""
    rule = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "shop", "namespace": "test"},
            "spec": {"host": "shop", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
                     "subsets": [{"name": "stable"}, {"name": "next"}]}}  # fmt: skip
    subsets = {"name": "shop", "stableSubsetName": "stable", "canarySubsetName": "next"}
    strategy = {"trafficRouting": {"istio": {**ISTIO["istio"], "destinationRule": subsets}}, "steps": STEPS}
    given = routes("shop", to=("shop", "shop"))
    for entry, subset in zip(given["spec"]["http"][1]["route"], ("stable", "next"), strict=True):
        entry["destination"]["subset"] = subset
    found = made(rollout(strategy), service("shop"), given, rule)
    assert found["VirtualService"]["spec"]["http"][1]["route"] == [{"destination": {"host": "shop"}}]
    assert found["Canary"]["spec"]["service"]["trafficPolicy"] == {"tls": {"mode": "ISTIO_MUTUAL"}}
    assert "DestinationRule" not in found


def test_a_scaler_of_the_rollout_scales_the_deployment() -> None:
    ref = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop"}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop-hpa"},
              "spec": {"scaleTargetRef": ref, "maxReplicas": 5}}  # fmt: skip
    found = made(rollout({"steps": STEPS}), scaler)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"] == target
    assert found["Canary"]["spec"]["autoscalerRef"]["name"] == "shop-hpa"


def test_a_workload_of_its_own_is_the_target() -> None:
    """The Deployment is copied as it is."""
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "test"},
           "spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}}  # fmt: skip
    given = rollout({"steps": STEPS}, workloadRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"})
    for field in ("template", "selector"):
        del given["spec"][field]
    found = made(given, web)
    assert found["Deployment"] == web
    assert found["Canary"]["spec"]["targetRef"]["name"] == "web"
    assert found["Canary"]["spec"]["service"]["port"] == 8080


def test_an_analysis_becomes_metrics_and_templates() -> None:
    """Arguments are variables, and each metric keeps its limits."""
    background = {"templates": [{"templateName": "rate"}], "dryRun": [{"metricName": "ra.*"}], "args": [
        {"name": "service-name", "value": "shop"},
        {"name": "team", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
        {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
    ]}  # fmt: skip
    inline = {"templates": [{"templateName": "p99"}]}
    query = 'sum(a{svc="{{args.service-name}}",team="{{ args.team }}",hash="{{args.hash}}"})'
    given = imported(
        rollout({"analysis": background, "steps": [{"setWeight": 5}, {"analysis": inline}]}),
        analysis("rate", metric("rate", query, successCondition="result[0] >= 0.95", interval="30s", failureLimit=3)),
        analysis("p99", metric("p99", failureCondition="result[0] > 500", count=4, failureLimit="2",
                               consecutiveErrorLimit=1)),
    )  # fmt: skip
    rate, p99, canary = list(YAML(typ="safe", pure=True).load_all(given.text))[1:]
    found = canary["spec"]["analysis"]
    assert rate["spec"]["query"] == (
        'sum(a{svc="{{ variables.service_name }}",team="{{ variables.team }}",hash="{{ variables.hash }}"})'
    )
    assert p99["metadata"] == {"name": "p99-p99", "namespace": "test"}
    assert found["metrics"] == [
        {"name": "rate", "templateRef": {"name": "rate-rate"}, "thresholdRange": {"min": 0.95},
         "templateVariables": {"service_name": "shop", "team": "a"}, "failureLimit": 3, "dryRun": True},
        {"name": "p99", "templateRef": {"name": "p99-p99"}, "thresholdRange": {"max": 500}, "failureLimit": 2,
         "consecutiveErrorLimit": 1},
    ]  # fmt: skip
    assert (found["interval"], found["threshold"]) == ("30s", 1)
    assert found["steps"] == [{"weight": 5, "iterations": 4}]
    assert "Rollout shop: rate, metric rate: the argument hash has no value in these files" in given.lost[0]


@pytest.mark.parametrize(
    ("success", "failure", "expected"),
    [
        ("result[0] >= 0.95", None, {"min": 0.95}),
        ("result <= 5", None, {"max": 5}),
        ("result[0] == 1", None, {"min": 1, "max": 1}),
        ("0.9 <= result[0] && result[0] <= 1", None, {"min": 0.9, "max": 1}),
        ("len(result) == 0 || result[0] >= 3", None, {"min": 3}),
        ("isNaN(result[0]) || (asFloat(result[0]) < 4)", None, {"max": 4}),
        (None, "result[0] > 500", {"max": 500}),
        (None, "result[0] < 1 || result[0] > 9", {"min": 1, "max": 9}),
        (None, "len(result) > 0 && result[0] >= 7", {"max": 7}),
        ("result[0] >= 5 || result[0] <= 1", None, None),
        ("all(result, # > 3)", None, None),
        (None, "result[0] == 4", None),
        (None, None, None),
    ],
)
def test_a_condition_becomes_a_range(
    success: str | None, failure: str | None, expected: dict[str, float] | None
) -> None:
    """One that can't is listed, and lint asks for a range."""
    conditions = {"successCondition": success, "failureCondition": failure}
    given = imported(
        rollout({"analysis": {"templates": [{"templateName": "a"}]}, "steps": STEPS}),
        analysis("a", metric(**{field: text for field, text in conditions.items() if text})),
    )
    canary = list(YAML(typ="safe", pure=True).load_all(given.text))[-1]
    assert canary["spec"]["analysis"]["metrics"][0].get("thresholdRange") == expected
    assert (expected is not None) or any("thresholdRange" in one or "condition" in one for one in given.lost)


@pytest.mark.parametrize(
    ("provider", "made_of_it", "lost"),
    [
        ({"graphite": {"address": "http://g", "query": "target=a"}}, {"type": "graphite", "address": "http://g"}, ""),
        ({"datadog": {"query": "avg:a{*}", "interval": "5m"}}, {"type": "datadog"}, "credentials for"),
        ({"newRelic": {"query": "SELECT 1", "profile": "p"}}, {"type": "newrelic"}, "newRelic.profile"),
        ({"prometheus": {"query": "a", "timeout": 5}}, {"type": "prometheus"}, "prometheus.timeout"),
    ],
)  # fmt: skip
def test_each_provider_has_a_type(provider: dict[str, Any], made_of_it: dict[str, str], lost: str) -> None:
    """What it needs beside its query is listed."""
    one = {"name": "ok", "provider": provider, "successCondition": "default(result, 0) < 0.05"}
    given = imported(
        rollout({"analysis": {"templates": [{"templateName": "a"}]}, "steps": STEPS}), analysis("a", one)
    )
    _, template, canary = YAML(typ="safe", pure=True).load_all(given.text)
    assert template["spec"]["provider"] == made_of_it
    found = canary["spec"]["analysis"]["metrics"][0]
    assert found["thresholdRange"] == {"max": 0.05}
    assert found.get("interval") == provider.get("datadog", {}).get("interval")
    assert any(lost in sentence for sentence in given.lost)


def test_a_check_of_another_provider_is_listed() -> None:
    """Silence would let everything through."""
    job = {"name": "smoke", "provider": {"job": {"spec": {}}}}
    given = imported(
        rollout({"analysis": {"templates": [{"templateName": "a"}]}, "steps": STEPS}), analysis("a", job)
    )
    hint = "let a webhook start the Job and answer when it has ended, such as one of the load tester"
    assert f"Rollout shop: a, metric smoke: the provider job; this check is missing; {hint}" in given.lost


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({}, {"weight": 0, "iterations": 0}),
        ({"autoPromotionSeconds": 90}, {"weight": 0, "iterations": 0, "hold": "90s"}),
        (
            {"autoPromotionEnabled": False},
            {"weight": 0, "iterations": 0, "gates": [{"approval": {"count": 1}, "onTimeout": "hold"}]},
        ),
        ({"prePromotionAnalysis": {"templates": [{"templateName": "a"}]}}, {"weight": 0, "iterations": 6}),
    ],
)
def test_blue_green(strategy: dict[str, Any], expected: dict[str, Any]) -> None:
    """One step without traffic; canary then judges once more at 100%."""
    given = rollout({"activeService": "shop", "previewService": "preview", **strategy}, "blueGreen")
    found = made(given, service("shop"), analysis("a", metric(successCondition="result[0] > 0", count=6)))
    assert found["Canary"]["spec"]["analysis"]["steps"] == [expected]


def test_no_steps_are_no_analysis() -> None:
    assert made(rollout({}))["Canary"]["spec"]["skipAnalysis"] is True


def test_files_without_a_rollout_are_refused() -> None:
    with pytest.raises(Invalid, match="hold no Rollout"):
        imported(service("shop"))


@pytest.mark.parametrize("strategy", [
    rollout(ROUTED | {"steps": STEPS, "analysis": {"templates": [{"templateName": "a"}]}}),
    rollout({"steps": STEPS}),
    rollout({}),
    rollout({"activeService": "shop", "autoPromotionEnabled": False}, "blueGreen"),
], ids=["with Istio", "without a router", "without steps", "blue/green"])  # fmt: skip
def test_what_is_imported_is_right_and_is_promoted(
    strategy: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Import, lint, simulate."""
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    objects = (strategy, service("shop"), routes("shop"), analysis("a", metric(successCondition="result[0] >= 1")))
    before.write_text("\n---\n".join(map(json.dumps, objects)))
    assert run(["import", "argo", "-f", str(before)]) == 0
    after.write_text(capsys.readouterr().out)
    assert run(["lint", "-f", str(after)]) == 0
    assert run(["simulate", "-f", str(after)]) == 0
