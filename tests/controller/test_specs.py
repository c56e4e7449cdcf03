"""What is wanted of a Canary object: policy, templates and guards resolved, and what is wrong, in lint's words."""

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.pinned import PinnedProvider
from canary.controller.specs import Shared, Specs
from canary.engine.resolved import ResolvedSpec

from .objects import ANALYSIS, TARGET, shown

GUARD = {"name": "freeze", "expression": "step.to <= 50", "message": "frozen"}
ERRORS = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}
ELSEWHERE = {"name": "elsewhere", "templateRef": {"name": "elsewhere"}, "thresholdRange": {"max": 1}}
QUERY = {"query": 'sum(rate(errors_total{app="{{ target }}"}[{{ interval }}]))'}


@dataclass
class Cluster:
    """What reflectors keep of policies and templates, by kind."""

    objects: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    def has(self, kind: str, name: str, spec: dict[str, Any], namespace: str = "shop") -> None:
        body = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
        self.objects[kind, namespace, name] = json.dumps(body).encode()

    def shared(self, metrics_server: str | None = None) -> Shared:
        return Shared(
            policies=lambda namespace, name: self.objects.get(("CanaryPolicy", namespace, name)),
            cluster_policies=lambda namespace, name: self.objects.get(("ClusterCanaryPolicy", namespace, name)),
            templates=lambda namespace, name: self.objects.get(("MetricTemplate", namespace, name)),
            metrics_server=metrics_server,
            names=lambda kind, namespace: tuple(
                name for one, where, name in self.objects if one == kind and where in ("", namespace)
            ),
        )


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def weights(wanted: ResolvedSpec) -> list[int]:
    """Of the plan's steps."""
    return [step.traffic.weight for step in wanted.plan.steps]


def test_a_canary_is_wanted_as_it_stands(cluster: Cluster) -> None:
    """With its metadata, which guards may ask; the rest of what is reported comes from outside."""
    specs = Specs(cluster.shared(), jitter=timedelta(seconds=3))
    found = specs.of(shown(generation=4, labels={"team": "shop"}), "someone else")
    assert (found.problems, found.conflict, found.jitter) == ((), "someone else", timedelta(seconds=3))
    assert (found.manifest.metadata.generation, found.manifest.metadata.labels) == (4, {"team": "shop"})
    assert weights(found) == [0, 10, 50]


def test_who_names_no_prometheus_gets_the_controllers(cluster: Cluster) -> None:
    """Who names one keeps it."""
    server = "http://prometheus:9090"
    specs = Specs(cluster.shared(server))
    assert specs.of(shown()).manifest.spec.metrics_server == server
    assert specs.of(shown({"metricsServer": "http://ours:9090"})).manifest.spec.metrics_server == "http://ours:9090"
    assert Specs(cluster.shared()).of(shown()).manifest.spec.metrics_server is None


LATENCY = {"name": "request-duration", "thresholdRange": {"max": 500}}
WITHOUT_SERVER: dict[str, tuple[dict[str, Any], str]] = {
    "a builtin": ({}, "request-success-rate"),
    "two builtins": ({"analysis": {**ANALYSIS, "metrics": [*ANALYSIS["metrics"], LATENCY]}},
                     "request-success-rate and request-duration"),
    "a query": ({"analysis": {**ANALYSIS, "metrics": [{**LATENCY, "name": "own", "query": "up"}]}}, "own"),
    "a template without an address": ({"analysis": {**ANALYSIS, "metrics": [ERRORS]}}, "errors"),
    "requests to be counted beside a template":
        ({"analysis": {**ANALYSIS, "metrics": [ELSEWHERE], "minRequests": 10}}, "elsewhere"),
    "metrics of a policy": ({"policyRef": {"name": "ours"}, "analysis": {"stepWeights": [10]}}, "request-duration"),
}  # fmt: skip
WITH_SERVER: dict[str, dict[str, Any]] = {
    "no metrics": {"analysis": {"stepWeights": [10]}},
    "metrics that no one looks at": {"skipAnalysis": True},
    "a template with an address": {"analysis": {**ANALYSIS, "metrics": [ELSEWHERE]}},
    "a server": {"metricsServer": "http://ours:9090"},
}


def asking(cluster: Cluster) -> Cluster:
    """With templates and a policy that say what is asked, and one of them of whom."""
    cluster.has("MetricTemplate", "errors", QUERY)
    provider = {"type": "prometheus", "address": "http://elsewhere:9090"}
    cluster.has("MetricTemplate", "elsewhere", {**QUERY, "provider": provider})
    cluster.has("CanaryPolicy", "ours", {"analysis": {"metrics": [LATENCY]}})
    return cluster


@pytest.mark.parametrize(("spec", "names"), WITHOUT_SERVER.values(), ids=WITHOUT_SERVER)
def test_metrics_without_a_source_let_nothing_start(cluster: Cluster, spec: dict[str, Any], names: str) -> None:
    """A rollout that runs is left alone by this; the controller's own server is one to ask."""
    found = Specs(asking(cluster).shared()).of(shown(spec))
    reported = (
        "must be asked of a Prometheus; start the controller with --metrics-server (Helm value metricsServer), "
        "or write an address that its --allowed-metrics-servers allows"
    )
    assert found.obstacles == (f"spec.metricsServer: is missing, and {names} {reported}",)
    assert found.problems == ()
    assert Specs(cluster.shared("http://everybodys:9090")).of(shown(spec)).obstacles == ()


@pytest.mark.parametrize("spec", WITH_SERVER.values(), ids=WITH_SERVER)
def test_where_no_pod_is_missed_a_rollout_starts(cluster: Cluster, spec: dict[str, Any]) -> None:
    found = Specs(asking(cluster).shared()).of(shown(spec))
    assert (found.problems, found.obstacles) == ((), ())


def test_addresses_that_may_not_be_asked_are_named_with_their_place(cluster: Cluster) -> None:
    """Of the Canary and of each template; nothing else is wrong with them."""
    provider = {"type": "prometheus", "address": "http://evil"}
    cluster.has("MetricTemplate", "errors", {"provider": provider, "query": "up"})
    metric = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}
    seen = shown({"metricsServer": "http://worse", "analysis": {"stepWeights": [10], "metrics": [metric]}})
    shared = replace(
        cluster.shared(), refusal=lambda url: f"not {url}" if url in ("http://evil", "http://worse") else ""
    )
    reported = (
        "spec.metricsServer: not http://worse",
        "in the MetricTemplate errors, spec.provider.address: not http://evil",
    )
    assert Specs(shared).of(seen).problems == reported
    assert Specs(cluster.shared()).of(seen).problems == ()


def test_a_templates_credentials_are_pinned_by_name(cluster: Cluster) -> None:
    """The status has no more of them than that."""
    provider = {"type": "prometheus", "address": "http://thanos", "secretRef": {"name": "thanos"}}
    cluster.has("MetricTemplate", "errors", {**QUERY, "provider": provider})
    analysis = {**ANALYSIS, "metrics": [ERRORS]}
    found = Specs(cluster.shared()).of(shown({"analysis": analysis}))
    assert found.problems == ()
    assert found.policy.metrics[0].provider == PinnedProvider(template="errors", secret="thanos")
    cluster.has("MetricTemplate", "errors", {**QUERY, "provider": {"type": "prometheus"}})
    assert Specs(cluster.shared()).of(shown({"analysis": analysis})).policy.metrics[0].provider is None


def test_templates_of_two_namespaces_are_two(cluster: Cluster) -> None:
    """One of the same name elsewhere could let a bad version pass."""
    cluster.has("MetricTemplate", "errors", {"query": "own"})
    cluster.has("MetricTemplate", "errors", {"query": "shared"}, "elsewhere")
    elsewhere = {**ERRORS, "name": "others", "templateRef": {"name": "errors", "namespace": "elsewhere"}}
    spec = {"metricsServer": "http://x", "analysis": {"stepWeights": [10], "metrics": [ERRORS, elsewhere]}}
    found = Specs(cluster.shared()).of(shown(spec))
    assert [(one.name, one.query) for one in found.policy.metrics] == [("errors", "own"), ("others", "shared")]


def test_an_envoy_route_is_no_clusters(cluster: Cluster) -> None:
    """A VirtualService of the same name must not be moved in its place; lint has nothing against it."""
    envoy = {"admin": "http://127.0.0.1:9901", "routes": "routes.yaml"}
    seen = shown({"targetRef": {"kind": "EnvoyRoute", "name": "reviews"}, "envoy": envoy})
    reported = (
        "spec.targetRef.kind: the controller moves VirtualServices, Deployments, DaemonSets and Services; "
        "`canary run` moves an EnvoyRoute"
    )
    assert Specs(cluster.shared()).of(seen).problems == (reported,)


def test_it_is_worked_out_again_only_where_something_changed(cluster: Cluster) -> None:
    """The Canary, or what it refers to; a reconcile of many Canaries reads this every time."""
    cluster.has("CanaryPolicy", "ours", {"analysis": {"threshold": 2}})
    specs, seen = Specs(cluster.shared()), shown({"policyRef": {"name": "ours"}})
    first = specs.of(seen)
    assert specs.of(shown({"policyRef": {"name": "ours"}}, status={"phase": "Failed"})).plan is first.plan
    cluster.has("CanaryPolicy", "others", {})
    assert specs.of(seen).plan is first.plan
    cluster.has("CanaryPolicy", "ours", {"analysis": {"threshold": 7}})
    assert (first.policy.threshold, specs.of(seen).policy.threshold) == (2, 7)
    assert weights(specs.of(shown({"analysis": {**ANALYSIS, "stepWeights": [30]}}))) == [0, 30]


@pytest.mark.parametrize("kind", ["CanaryPolicy", "ClusterCanaryPolicy"])
def test_guards_of_a_policy_add_up(cluster: Cluster, kind: str) -> None:
    """The Canary's own fields win, and none of the policy's guards can be taken away."""
    namespace = "" if kind == "ClusterCanaryPolicy" else "shop"
    cluster.has(kind, "ours", {"analysis": {"threshold": 2, "interval": "5s"}, "guards": [GUARD]}, namespace)
    own = {**GUARD, "name": "own"}
    spec = {"policyRef": {"kind": kind, "name": "ours"}, "guards": [own], "analysis": {**ANALYSIS, "threshold": 9}}
    found = Specs(cluster.shared()).of(shown(spec))
    assert (found.policy.threshold, found.policy.interval) == (9, timedelta(seconds=5))
    assert [one.name for one in found.guards] == ["own", "freeze"]


def test_the_policies_that_come_with_canary_need_no_object(cluster: Cluster) -> None:
    """One of the same name in the namespace stands before it."""
    specs, seen = Specs(cluster.shared()), shown({"policyRef": {"name": "standard"}})
    shipped = specs.of(seen)
    assert shipped.problems == ()
    cluster.has("CanaryPolicy", "standard", {"analysis": {"threshold": shipped.policy.threshold + 1}})
    assert specs.of(seen).policy.threshold == shipped.policy.threshold + 1


def test_a_policy_that_is_missing_is_named_and_heals(cluster: Cluster) -> None:
    """Another namespace's is none; what it would be is known, so that its coming wakes this one."""
    specs, seen = Specs(cluster.shared()), shown({"policyRef": {"name": "ours"}})
    cluster.has("CanaryPolicy", "ours", {}, "elsewhere")
    [problem] = specs.of(seen).problems
    assert "ours" in problem
    assert specs.refers("shop", "ours")
    assert not specs.refers("elsewhere", "ours")
    assert not specs.refers("shop", "others")
    cluster.has("CanaryPolicy", "ours", {})
    assert specs.of(seen).problems == ()


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        pytest.param({"name": "standrad"}, "no CanaryPolicy 'standrad'; did you mean standard?", id="a shipped one"),
        pytest.param({"name": "uors"}, "no CanaryPolicy 'uors'; did you mean ours?", id="one of the namespace"),
        pytest.param({"name": "standard", "kind": "ClusterCanaryPolicy"},
                     "no ClusterCanaryPolicy 'standard', but a CanaryPolicy; write kind: CanaryPolicy in policyRef",
                     id="the wrong kind"),
        pytest.param({"name": "al", "kind": "ClusterCanaryPolicy"},
                     "no ClusterCanaryPolicy 'al'; did you mean all?", id="one of the cluster"),
    ],
)  # fmt: skip
def test_a_policy_that_is_not_there_is_named_with_what_was_meant(ref: dict[str, str], hint: str) -> None:
    cluster = Cluster()
    cluster.has("CanaryPolicy", "ours", {})
    cluster.has("CanaryPolicy", "uors", {}, namespace="elsewhere")
    cluster.has("ClusterCanaryPolicy", "all", {}, namespace="")
    problems = Specs(cluster.shared()).of(shown({"policyRef": ref})).problems
    assert problems == (f"spec.policyRef.name: there is {hint}",)


def test_what_is_not_used_is_warned_of(cluster: Cluster) -> None:
    """In lint's words; it keeps nothing from starting."""
    found = Specs(cluster.shared()).of(shown({"revision": "abc"}))
    [warning] = [one for one in found.warnings if one.startswith("spec.revision")]
    assert "isn't used" in warning
    assert found.problems == ()


def test_a_policy_that_can_not_be_understood_says_so_where_it_is_used(cluster: Cluster) -> None:
    """It may be from before the definition became stricter."""
    cluster.has("CanaryPolicy", "ours", {"analysis": {"threshold": "many"}})
    problems = Specs(cluster.shared()).of(shown({"policyRef": {"name": "ours"}})).problems
    assert problems[0].startswith("in the policy ours, ")
    assert "threshold" in problems[0]


def test_a_template_is_found_and_followed(cluster: Cluster) -> None:
    """Also where the policy names it; a missing one is named, and an edit is taken up."""
    specs = Specs(cluster.shared())
    cluster.has("CanaryPolicy", "ours", {"analysis": {**ANALYSIS, "metrics": [ERRORS]}})
    seen = shown({"policyRef": {"name": "ours"}, "analysis": {}})
    [problem] = specs.of(seen).problems
    assert "errors" in problem
    cluster.has("MetricTemplate", "errors", QUERY)
    found = specs.of(seen)
    assert found.problems == ()
    assert "errors_total" in (found.policy.metrics[0].query or "")
    cluster.has("MetricTemplate", "errors", {"query": "sum(rate(failures_total[{{ interval }}]))"})
    assert "failures_total" in (specs.of(seen).policy.metrics[0].query or "")
    assert specs.refers("shop", "errors")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"analysis": {**ANALYSIS, "stepWeights": [50, 10]}}, "spec.analysis.stepWeights[1]"),
        ({"analysis": {**ANALYSIS, "stepWeights": "many"}}, "spec.analysis.stepWeights"),
        ({"version": None}, "spec.version"),
        ({"targetRef": None}, "spec.targetRef"),
        ({"targetRef": {**TARGET, "kind": "Deploymint"}}, "targetRef"),
        ({"guards": [{"name": "x", "expression": "step.too > 1", "message": "m"}]}, "step.too"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_slipped_through_the_schema_is_reported_and_raises_nothing(
    cluster: Cluster, spec: dict[str, Any], words: str
) -> None:
    """In lint's sentence; what it would move is still known as far as it can be."""
    found = Specs(cluster.shared()).of(shown(spec))
    assert any(words in problem for problem in found.problems), found.problems
    assert found.manifest.metadata.name == "reviews"


def test_what_is_wrong_elsewhere_reaches_no_further(cluster: Cluster) -> None:
    """A rollout that is running still moves the routes that it moved, and asks whom it asked."""
    moved = {"host": "reviews", "routes": ["default"], "virtualServices": ["gateway.front"]}
    wrong = {"analysis": {**ANALYSIS, "stepWeights": "many"}, "metricsServer": "http://its-own:9090"}
    found = Specs(cluster.shared("http://everybodys:9090")).of(shown({**moved, **wrong}))
    assert found.problems
    spec = found.manifest.spec
    assert (spec.host, spec.routes, spec.virtual_services) == ("reviews", ("default",), ("gateway.front",))
    assert spec.metrics_server == "http://its-own:9090"
    worse = Specs(cluster.shared()).of(shown({**moved, "routes": 7})).manifest.spec
    assert (worse.target_ref.name, worse.host, worse.routes) == ("reviews", "reviews", ())


def test_what_is_wrong_elsewhere_moves_no_other_service(cluster: Cluster) -> None:
    """The objects of a target that has a primary are called after its Service, which may have another name."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews"}
    given = {"service": {"name": "web", "port": 80}, "autoscalerRef": {"kind": "ScaledObject", "name": "web"}}
    wrong = {"targetRef": target, "provider": "istio", **given, "analysis": {**ANALYSIS, "stepWeights": "many"}}
    found = Specs(cluster.shared()).of(shown(wrong))
    assert found.problems
    spec = found.manifest.spec
    assert (spec.apex, spec.provider, spec.service and spec.service.port) == ("web", "istio", 80)
    assert spec.autoscaler_ref is not None


def test_fields_of_a_newer_canary_are_ignored(cluster: Cluster) -> None:
    """They are kept in the object, and no reason to stand still."""
    assert Specs(cluster.shared()).of(shown({"forecast": {"sunny": True}})).problems == ()
