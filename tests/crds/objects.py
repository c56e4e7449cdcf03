"""A Canary that is right, and changes that make it wrong: lint and the API server say the same of them."""

from copy import deepcopy
from typing import Any

from canary.api.canary import API_VERSION
from canary.engine.checks import metrics, strategy, target, timing, traffic, unread
from tests.addresses import ASKED, NOT_ASKED

Fields = dict[str, Any]

CANARY: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "Canary",
    "metadata": {"name": "reviews"},
    "spec": {
        "targetRef": {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "name": "reviews"},
        "version": "v2",
        "metricsServer": "http://prometheus:9090",
        "analysis": {"metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]},
    },
}
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
ENVOY = {"admin": "http://127.0.0.1:9901", "routes": "routes.yaml"}
STEPS: Fields = {"analysis.stepWeights": [10, 50]}
ON_ENVOY: Fields = {"targetRef": {"kind": "EnvoyRoute", "name": "reviews"}, "provider": "envoy"}


def canary(*changes: Fields, kind: str = "Canary", name: str = "reviews") -> dict[str, Any]:
    """The Canary with fields of its spec set; None takes one out. What isn't changed stays what it was."""
    made = deepcopy(CANARY) | {"kind": kind, "metadata": {"name": name}}
    for change in changes:
        for way, value in change.items():
            *blocks, last = way.split(".")
            inside = made["spec"]
            for block in blocks:
                inside = inside.setdefault(block, {})
            inside[last] = value
            if value is None:
                del inside[last]
    return made


def steps(*entries: dict[str, Any]) -> Fields:
    """Steps of 10% and more, each with what is given."""
    return {"analysis.steps": [{"weight": 10} | entry for entry in entries]}


def metric(**fields: Any) -> Fields:
    """Steps, and one metric."""
    return STEPS | {"analysis.metrics": [fields]}


BAD: dict[str, tuple[Fields, str, str]] = {
    "a VirtualService without a version": (STEPS | {"version": None}, "spec.version", target.NO_SUBSET),
    "an empty version": (STEPS | {"version": ""}, "spec.version", target.NO_SUBSET),
    "a VirtualService with an Envoy": (STEPS | {"envoy": ENVOY}, "spec.envoy", target.ENVOY_ELSEWHERE),
    "an EnvoyRoute without an Envoy": (STEPS | ON_ENVOY, "spec.envoy", target.NO_ENVOY),
    "an EnvoyRoute without a version": (
        STEPS | ON_ENVOY | {"envoy": ENVOY, "version": None},
        "spec.version",
        target.NO_CLUSTER,
    ),
    "a VirtualService of another group": (
        STEPS | {"targetRef.apiVersion": "apps/v1"},
        "spec.targetRef.apiVersion",
        target.NOT_ISTIO,
    ),
    "an address without a scheme": (
        STEPS | {"metricsServer": "prometheus:9090"},
        "spec.metricsServer",
        target.NO_ADDRESS,
    ),
    **{
        f"an address that can't be asked: {url}": (
            STEPS | {"metricsServer": url},
            "spec.metricsServer",
            target.NO_ADDRESS,
        )
        for url in NOT_ASKED
    },
    "an admin endpoint without a scheme": (
        STEPS | ON_ENVOY | {"envoy": ENVOY | {"admin": "localhost:9901"}},
        "spec.envoy.admin",
        target.NO_ADDRESS,
    ),
    "two strategies": (
        STEPS | {"analysis.stepWeight": 10},
        "spec.analysis",
        strategy.only_one_of(strategy.CHOICES),
    ),
    "no steps": ({"analysis.steps": []}, "spec.analysis.steps", strategy.NO_STEPS),
    "no weights": ({"analysis.stepWeights": []}, "spec.analysis.stepWeights", strategy.NO_WEIGHTS),
    "steps that go down": (
        steps({"weight": 30}, {"weight": 20}),
        "spec.analysis.steps",
        strategy.MAY_ONLY_RISE,
    ),
    "a step that forgets its weight after others had one": (
        {"analysis.steps": [{"weight": 30}, {"match": [{"headers": {"a": {"exact": "b"}}}]}]},
        "spec.analysis.steps",
        strategy.MAY_ONLY_RISE,
    ),
    "weights that go down": (
        {"analysis.stepWeights": [10, 50, 30]},
        "spec.analysis.stepWeights",
        strategy.MAY_ONLY_RISE,
    ),
    "weights of Flagger's older block that go down": (
        {"canaryAnalysis.stepWeights": [10, 50, 30]},
        "spec.canaryAnalysis.stepWeights",
        strategy.MAY_ONLY_RISE,
    ),
    "a step above the highest weight": (
        {"analysis.stepWeight": 60, "analysis.maxWeight": 50},
        "spec.analysis.stepWeight",
        strategy.ABOVE_HIGHEST,
    ),
    "match beside steps": (
        steps({}) | {"analysis.match": [{"headers": {"a": {"exact": "b"}}}]},
        "spec.analysis.match",
        strategy.MATCH_BESIDE_STEPS,
    ),
    "looks many times a second": (
        STEPS | {"analysis.interval": "100ms"},
        "spec.analysis.interval",
        timing.TOO_SHORT,
    ),
    "a deadline of nothing": (STEPS | {"analysis.deadline": "0s"}, "spec.analysis.deadline", timing.NOT_NOTHING),
    "scrapes without a pause": (
        STEPS | {"analysis.scrapeInterval": "0"},
        "spec.analysis.scrapeInterval",
        timing.NOT_NOTHING,
    ),
    "a window of nothing": (
        metric(**RATE, interval="0s"),
        "spec.analysis.metrics[0].interval",
        timing.NOT_NOTHING,
    ),
    "a metric that is nowhere": (
        metric(name="errors", thresholdRange={"max": 1}),
        "spec.analysis.metrics[0].name",
        metrics.NO_QUERY,
    ),
    "a metric from two places": (
        metric(name="errors", thresholdRange={"max": 1}, query="up", templateRef={"name": "up"}),
        "spec.analysis.metrics[0].templateRef",
        metrics.TWO_QUERIES,
    ),
    "a metric without a range": (
        metric(name="request-duration"),
        "spec.analysis.metrics[0]",
        metrics.NO_RANGE,
    ),
    "an empty range": (
        metric(name="request-duration", thresholdRange={}),
        "spec.analysis.metrics[0].thresholdRange",
        metrics.NO_RANGE,
    ),
    "a range upside down": (
        metric(name="request-duration", thresholdRange={"min": 500, "max": 1.5}),
        "spec.analysis.metrics[0].thresholdRange",
        metrics.SWAPPED,
    ),
    "a gate that nothing opens": (
        steps({"gates": [{"timeout": "1h"}]}),
        "spec.analysis.steps[0].gates[0]",
        traffic.NOTHING_OPENS,
    ),
    "two gates of one name": (
        steps({"gates": [{"approval": {}}, {"name": "approval", "approval": {"count": 2}}]}),
        "spec.analysis.steps[0].gates",
        traffic.ONE_NAME_EACH.partition("{")[0],
    ),
    "a match without a condition": (
        steps({"match": [{"headers": {}}]}),
        "spec.analysis.steps[0].match[0]",
        traffic.NO_CONDITION,
    ),
    "a header that is compared with nothing": (
        steps({"match": [{"headers": {"user": {}}}]}),
        "spec.analysis.steps[0].match[0].headers",
        traffic.NO_COMPARISON,
    ),
    "a parameter that is compared twice": (
        steps({"match": [{"queryParams": {"user": {"exact": "a", "prefix": "b"}}}]}),
        "spec.analysis.steps[0].match[0].queryParams",
        traffic.ONE_COMPARISON,
    ),
    "a hook that is never called": (
        STEPS | {"analysis.webhooks": [{"name": "test", "type": "confirm", "url": "http://x"}]},
        "spec.analysis.webhooks[0].type",
        unread.NO_HOOK,
    ),
}
"""What is changed, the field that is at fault, and what its sentence says."""

MALFORMED: dict[str, tuple[Fields, str]] = {
    "a weight above 100": ({"analysis.stepWeights": [10, 150]}, "spec.analysis.stepWeights[1]"),
    "a weight below 0": ({"analysis.stepWeights": [-1]}, "spec.analysis.stepWeights[0]"),
    "a duration without a unit": (STEPS | {"analysis.interval": "60"}, "spec.analysis.interval"),
    "a duration that is a number": (STEPS | {"analysis.interval": 60}, "spec.analysis.interval"),
    "a duration in days": (STEPS | {"analysis.interval": "1d"}, "spec.analysis.interval"),
    "an unknown word": (STEPS | {"analysis.onDrift": "hodl"}, "spec.analysis.onDrift"),
    "a version that YAML takes for a number": (STEPS | {"version": 1.1}, "spec.version"),
    "a target without a name": (STEPS | {"targetRef": {"kind": "VirtualService"}}, "spec.targetRef.name"),
    "a target with an empty name": (STEPS | {"targetRef.name": ""}, "spec.targetRef.name"),
    "a target of an empty kind": (STEPS | {"targetRef.kind": ""}, "spec.targetRef.kind"),
    "an empty host": (STEPS | {"host": ""}, "spec.host"),
    "an empty stable version": (STEPS | {"stable": ""}, "spec.stable"),
    "a route without a name": (STEPS | {"routes": ["default", ""]}, "spec.routes[1]"),
    "another target without a name": (STEPS | {"virtualServices": [""]}, "spec.virtualServices[0]"),
    "a policy without a name": (STEPS | {"policyRef": {"name": ""}}, "spec.policyRef.name"),
    "no target": (STEPS | {"targetRef": None}, "spec.targetRef"),
    "a list where a block is due": (STEPS | {"policyRef": []}, "spec.policyRef"),
    "an unknown kind of policy": (
        STEPS | {"policyRef": {"name": "x", "kind": "Policy"}},
        "spec.policyRef.kind",
    ),
    "true for a number": (STEPS | {"analysis.threshold": True}, "spec.analysis.threshold"),
    "a number in quotes": (STEPS | {"analysis.threshold": "2"}, "spec.analysis.threshold"),
    "a weight in quotes": ({"analysis.stepWeights": ["10"]}, "spec.analysis.stepWeights[0]"),
    "a bound in quotes": (
        metric(name="request-duration", thresholdRange={"max": "500"}),
        "spec.analysis.metrics[0].thresholdRange.max",
    ),
    "a switch in quotes": (STEPS | {"suspend": "yes"}, "spec.suspend"),
    "1 for true": (STEPS | {"suspend": 1}, "spec.suspend"),
    "more steps than can be": ({"analysis.stepWeights": [1] * 101}, "spec.analysis.stepWeights"),
    "an approval by nobody": (
        steps({"gates": [{"approval": {"count": 0}}]}),
        "spec.analysis.steps[0].gates[0].approval.count",
    ),
}
"""What is changed, and the field that is at fault: types, words and bounds."""

GOOD: dict[str, Fields] = {
    "weights": STEPS,
    **{f"an address: {url}": STEPS | {"metricsServer": url} for url in ASKED},
    "steps of every sort": {
        "analysis.steps": [
            {"match": [{"headers": {"x-user-group": {"exact": "beta"}}}], "hold": "30m"},
            {"mirror": 100, "looks": 0},
            {"weight": 10, "hold": "1.5h"},
            {"weight": 10, "gates": [{"approval": {}}, {"name": "two", "approval": {"count": 2}, "timeout": "4h"}]},
            {"weight": 100},
        ]
    },
    "names of every form": STEPS
    | {
        "targetRef.name": "reviews.v1.shop",
        "virtualServices": ["public", "public.front"],
        "host": "Reviews.shop.svc.cluster.local.",
        "routes": ["the default (80%)"],
    },
    "an older version of the API": STEPS | {"targetRef.apiVersion": "networking.istio.io/v1alpha3"},
    "A/B": {"analysis.iterations": 10, "analysis.match": [{"queryParams": {"preview": {"regex": "1|2"}}}]},
    "a strategy that comes from a policy": {"policyRef": {"name": "standard"}, "analysis": {"threshold": 2}},
    "Flagger's fields": STEPS
    | {
        "analysis.threshold": 0,
        "analysis.metrics": [{"name": "request-success-rate", "threshold": 99, "interval": "1m"}],
        "analysis.webhooks": [{"name": "told", "type": "event", "url": "http://x", "metadata": {"a": "b"}}],
        "analysis.alerts": [{"name": "slack", "severity": "error", "providerRef": {"name": "on-call"}}],
        "analysis.primaryReadyThreshold": 80,
        "progressDeadlineSeconds": 60,
        "autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "reviews"},
        "service": {"port": 9080, "retries": {"attempts": 3}, "gateways": ["mesh"], "headers": {"a": {"b": 1}}},
    },
    "a whole number with a point": STEPS | {"analysis.threshold": 2.0},
    "every form of a duration": STEPS
    | {
        "analysis.interval": "1m0.5s",
        "analysis.settle": ".5s",
        "analysis.drain": "0",
        "analysis.unreadyGrace": "1.s",
    },
    "the version that is stable: that is the way back": STEPS | {"stable": "v2"},
}
