"""A Canary that is right, and changes that make it wrong: lint and the API server say the same of them."""

from copy import deepcopy
from typing import Any

from canary.api.canary import API_VERSION
from canary.engine.pairs import IN_CLUSTER, PAIRS, STANDALONE, Pairing, TargetType
from canary.engine.validation import (
    guards,
    metrics,
    primary,
    providers,
    strategy,
    target,
    tcp,
    timing,
    traffic,
    webhooks,
)  # fmt: skip
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


ERRORS: dict[str, Any] = {"name": "errors", "thresholdRange": {"max": 1}}


def guarded(expression: str) -> Fields:
    """Steps, and one guard."""
    return STEPS | {"guards": [{"name": "day", "expression": expression}]}


def other(kind: str, spec: dict[str, Any], name: str = "reviews", **metadata: Any) -> dict[str, Any]:
    """An object of another kind."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


MESH, PROXY = IN_CLUSTER[0], STANDALONE[0]
ASKS: Fields = {"match": [{"sourceLabels": {"app": "web"}}]}
ASKS_HEADER = [{"headers": {"x-a": {"exact": "b"}}}]
LABELLED: dict[str, Fields] = {
    "steps": steps(ASKS),
    "match": {"analysis.iterations": 3, "analysis.match": ASKS["match"]},
    "Flagger's older block": {"canaryAnalysis.iterations": 3, "canaryAnalysis.match": ASKS["match"]},
}
TOO_LONG = "9999999h"
WHOLE_SERVICE: dict[str, Any] = {
    "name": "reviews",
    "port": 80,
    "portName": "http-reviews",
    "targetPort": 9080,
    "appProtocol": "http",
    "portDiscovery": True,
    "headless": False,
    "trafficDistribution": "PreferSameZone",
    "gateways": ["istio-system/public", "mesh"],
    "hosts": ["reviews.example.com"],
    "delegation": False,
    "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}, "connectionPool": {"http": {"http2MaxRequests": 10}}},
    "match": [{"uri": {"prefix": "/"}}, {"port": 80, "withoutHeaders": {"x": {}}}],
    "rewrite": {"uri": "/v1", "authority": "reviews", "type": "ReplacePrefixMatch"},
    "timeout": "15s",
    "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx", "retryRemoteLocalities": True},
    "headers": {"request": {"add": {"x-envoy-max-retries": "3"}}},
    "corsPolicy": {"allowOrigins": [{"exact": "example.com"}], "maxAge": "24h"},
    "apex": {"labels": {"team": "shop"}, "annotations": {"note": "for clients"}},
    "primary": {"labels": {}, "annotations": {"note": "promoted"}},
    "canary": {"labels": {"preview": "yes"}, "annotations": {}},
    "unmanagedMetadata": {"labels": ["cost-centre"], "annotations": ["cloud.google.com/neg-status"]},
    "primaryLabels": "relabel",
    "gatewayRefs": [{"name": "public", "namespace": "istio-system"}],
    "mirror": [{"backendRef": {"name": "copy", "port": 80}}],
    "backends": ["ratings"],
    "meshName": "global",
}
"""Each field of a Service."""

WITH_PRIMARY = tuple(one for one in IN_CLUSTER if one.type is TargetType.PRIMARY)


def through_primary(pair: Pairing, **service: Any) -> Fields:
    """Steps for a target that is released through a primary."""
    named = {"apiVersion": pair.api_versions[0], "kind": pair.kind, "name": "reviews"}
    return STEPS | {"targetRef": named, "version": None, "service": {"port": 80, **service}}


COOKIES: tuple[tuple[str, Fields, str, str], ...] = (
    ("another's name", {"primaryCookieName": "seen"}, "primaryCookieName", traffic.ONE_COOKIE_EACH),
    ("a name of two words", {"cookieName": "seen it"}, "cookieName", traffic.NO_COOKIE),
    ("two paths", {"path": "/a;/b"}, "path", traffic.NO_ATTRIBUTE),
)


EXACT = {"exact": "b"}


def through_tcp(pair: Pairing, **service: Any) -> Fields:
    """The same for connections, with a metric that isn't of requests."""
    asked = {"name": "refused", "query": "up", "thresholdRange": {"max": 1}}
    return through_primary(pair, portName="tcp-db", **service) | {"analysis.metrics": [asked]}


def beyond(pair: Pairing) -> dict[str, tuple[Fields, str, str]]:
    """What the pair's router can't do, asked of it."""
    can, where = pair.capabilities, {} if pair.in_cluster else ON_ENVOY | {"envoy": ENVOY}
    where = through_primary(pair) if pair.type is TargetType.PRIMARY else where
    users: Fields = {"analysis.stepWeights": None, "analysis.iterations": 3}
    asked: dict[str, tuple[bool, Fields, str]] = {
        "a mirror": (can.mirror, {"analysis.mirror": True}, traffic.CANT_MIRROR),
        "users that stay": (can.affinity, {"analysis.sessionAffinity": {"cookieName": "seen"}}, traffic.NO_AFFINITY),
        "a share of requests": (can.match_weight, {"analysis.match": ASKS_HEADER}, traffic.CANT_SHARE),
        **{
            field: (able, users | {"analysis.match": [{field: {"a": how}}]}, traffic.CANT_MATCH.format(field))
            for field, able, how in (
                ("headers", can.headers, EXACT),
                ("queryParams", can.query_params, EXACT),
                ("sourceLabels", can.source_labels, "b"),
            )
        },
    }
    return {
        f"{pair} by {pair.router} with {name}": (STEPS | where | {"provider": pair.router} | given, "spec", sentence)
        for name, (able, given, sentence) in asked.items()
        if not able
    }


def bad_primaries(pair: Pairing) -> dict[str, tuple[Fields, str, str]]:
    """What is wrong with such a target only."""
    scaler = {"kind": "VerticalPodAutoscaler", "name": "reviews"}
    right = through_primary(pair)
    others = {"version": "v2", "stable": "v1", "host": "reviews", "routes": ["a"], "virtualServices": ["public"]}
    hosts = {"hosts": ["reviews"], "gateways": ["public"]}
    sentences = dict(zip(others, primary.NOT_HERE.values(), strict=True))
    wrong: dict[str, tuple[Fields, str, str]] = {
        **{
            f"a cookie with {name}": (
                right | {"analysis.sessionAffinity": {"cookieName": "seen", **given}},
                f"spec.analysis.sessionAffinity.{field}",
                sentence,
            )
            for name, given, field, sentence in COOKIES
        },
        "no service": (right | {"service": None}, "spec.service", primary.NO_SERVICE.format(pair)),
        "an Envoy": (right | {"envoy": ENVOY}, "spec.envoy", target.ENVOY_ELSEWHERE.format(pair)),
        "a scaler of another kind": (
            right | {"autoscalerRef": scaler},
            "spec.autoscalerRef.kind" if pair.scalable else "spec.autoscalerRef",
            primary.NO_SCALER if pair.scalable else primary.not_scalable(pair),
        ),
        "kept labels and a scaler": (
            through_primary(pair, primaryLabels="keep")
            | ({"autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "reviews"}} if pair.scalable else {}),
            "spec.autoscalerRef" if pair.scalable else "spec.service.primaryLabels",
            primary.NOT_SCALED if pair.scalable else primary.not_kept(pair),
        ),
        **(
            {
                "a name that can't be": (
                    through_primary(pair, name="reviews") | {"targetRef.name": "My Reviews!"},
                    "spec.targetRef.name",
                    target.no_object(pair),
                ),
                "a long name": (through_primary(pair, name="x" * 56), "spec.service", primary.NO_NAME),
                "a name in capitals": (through_primary(pair, name="Web"), "spec.service", primary.NO_NAME),
            }
            if pair.given_pods
            else {
                "a long name": (
                    through_primary(pair) | {"targetRef.name": "x" * 56},
                    "spec.targetRef.name",
                    primary.NO_NAME,
                ),
                "another name": (
                    through_primary(pair, name="web"),
                    "spec.service.name",
                    primary.ONE_NAME.format(pair),
                ),
            }
        ),
        "TLS": (through_primary(pair, appProtocol="TLS"), "spec.service", primary.NOT_SHARED),
        "TLS by name": (through_primary(pair, portName="https-web"), "spec.service", primary.NOT_SHARED),
        **{
            f"TCP and {field}": (
                through_tcp(pair, **{field: WHOLE_SERVICE[field]}),
                f"spec.service.{field}",
                tcp.NO_REQUESTS,
            )
            for field in ("rewrite", "timeout", "retries", "headers", "corsPolicy")
        },
        "delegated TCP": (through_tcp(pair, delegation=True), "spec.service", tcp.NO_DELEGATE),
        **{
            f"TCP and {name}": (through_tcp(pair) | given, "spec", sentence)
            for name, given, sentence in tuple[tuple[str, Fields, str], ...](
                (
                    ("a mirror", {"analysis.mirror": True}, traffic.CANT_MIRROR),
                    ("users", {"analysis.sessionAffinity": {"cookieName": "seen"}}, traffic.NO_AFFINITY),
                    *(
                        (field, {"analysis.match": [{field: {"a": how}}]}, traffic.CANT_MATCH.format(field))
                        for field, how in {"headers": EXACT, "queryParams": EXACT, "sourceLabels": "b"}.items()
                    ),
                    ("a builtin", metric(name="request-success-rate", thresholdRange={"min": 99}), tcp.NO_COUNTS),
                    ("a minimum", {"analysis.minRequests": 10}, tcp.NO_MINIMUM),
                )
            )
        },
        **{
            f"a {field}": (right | {field: value}, f"spec.{field}", sentences[field].format(pair, pair.released))
            for field, value in others.items()
        },
        **{
            f"a delegate's {field}": (
                through_primary(pair, delegation=True, **{field: value}),
                f"spec.service.{field}",
                primary.DELEGATED,
            )
            for field, value in hosts.items()
        },
    }
    return {f"{pair} with {name}": row for name, row in wrong.items()}


BAD: dict[str, tuple[Fields, str, str]] = {
    "a VirtualService without a version": (STEPS | {"version": None}, "spec.version", MESH.no_version),
    "an empty version": (STEPS | {"version": ""}, "spec.version", MESH.no_version),
    "a VirtualService with an Envoy": (STEPS | {"envoy": ENVOY}, "spec.envoy", target.ENVOY_ELSEWHERE.format(MESH)),
    "an EnvoyRoute without an Envoy": (STEPS | ON_ENVOY, "spec.envoy", target.NO_ENVOY.format(PROXY)),
    "an EnvoyRoute without a version": (
        STEPS | ON_ENVOY | {"envoy": ENVOY, "version": None},
        "spec.version",
        PROXY.no_version,
    ),
    "a VirtualService of another group": (
        STEPS | {"targetRef.apiVersion": "networking.istio.io/v2"},
        "spec.targetRef.apiVersion",
        target.not_served(MESH),
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
    "an unknown kind of target": (
        STEPS | {"targetRef.kind": "VirtualServise"},
        "spec.targetRef.kind",
        target.NO_KIND,
    ),
    "a VirtualService that can't be": (
        STEPS | {"targetRef.name": "My Reviews!"},
        "spec.targetRef.name",
        target.no_object(MESH),
    ),
    "another VirtualService that can't be": (
        STEPS | {"virtualServices": ["public", "Public"]},
        "spec.virtualServices",
        target.no_object(MESH),
    ),
    **{
        f"a host with a port as {field}": (STEPS | {field: "reviews:9080"}, f"spec.{field}", target.NO_HOST)
        for field in ("version", "stable", "host")
    },
    **{name: row for pair in WITH_PRIMARY for name, row in bad_primaries(pair).items()},
    "an unknown provider": (STEPS | {"provider": "linkerd"}, "spec.provider", target.NO_PROVIDER),
    "no analysis": ({"analysis": None}, "spec.analysis", strategy.no_analysis()),
    "an analysis without a strategy": ({}, "spec.analysis", strategy.no_strategy()),
    "two strategies in two blocks": (
        STEPS | {"canaryAnalysis.stepWeight": 10},
        "spec",
        strategy.only_one_of(strategy.CHOICES),
    ),
    "match and mirror beside weights": (
        STEPS | {"analysis.match": [{"headers": {"a": {"exact": "b"}}}], "analysis.mirror": True},
        "spec.analysis.mirror",
        strategy.MIRROR_OF_MATCHING,
    ),
    "mirror beside steps": (
        steps({}) | {"analysis.mirror": True},
        "spec.analysis.mirror",
        strategy.MATCH_BESIDE_STEPS,
    ),
    **{
        f"labels of the caller for an Envoy in {block}": (
            ON_ENVOY | {"envoy": ENVOY} | labelled,
            "spec",
            traffic.CANT_MATCH.format("sourceLabels"),
        )
        for block, labelled in LABELLED.items()
    },
    **{
        f"a share of requests that match for an Envoy: {name}": (
            ON_ENVOY | {"envoy": ENVOY} | shared,
            "spec",
            f"EnvoyRoute {traffic.CANT_SHARE}",
        )
        for name, shared in {
            "weights": {"analysis.stepWeight": 10, "analysis.match": ASKS_HEADER},
            "steps": steps({"match": ASKS_HEADER, "matchWeight": 5}),
        }.items()
    },
    **{name: row for pair in PAIRS for name, row in beyond(pair).items()},
    "looks less than once a week": (
        STEPS | {"analysis.interval": "169h"},
        "spec.analysis.interval",
        timing.TOO_LONG,
    ),
    "more than all succeed": (
        metric(name="request-success-rate", thresholdRange={"min": 100.5}),
        "spec.analysis.metrics[0]",
        metrics.NOT_REACHED,
    ),
    "more than all succeed, in Flagger's older form": (
        metric(name="request-success-rate", threshold=101),
        "spec.analysis.metrics[0]",
        metrics.NOT_REACHED,
    ),
    "two guards of one name": (
        STEPS | {"guards": [{"name": "day", "expression": "true"}] * 2},
        "spec.guards",
        guards.ONE_NAME_EACH,
    ),
    "a hook that is never called": (
        STEPS | {"analysis.webhooks": [{"name": "test", "type": "confirm", "url": "http://x"}]},
        "spec.analysis.webhooks[0].type",
        webhooks.NO_HOOK,
    ),
}
"""What is changed, the field that is at fault, and what its sentence says."""

MALFORMED: dict[str, tuple[Fields, str]] = {
    "a weight above 100": ({"analysis.stepWeights": [10, 150]}, "spec.analysis.stepWeights[1]"),
    "a weight below 0": ({"analysis.stepWeights": [-1]}, "spec.analysis.stepWeights[0]"),
    "a duration without a unit": (STEPS | {"analysis.interval": "60"}, "spec.analysis.interval"),
    "a duration that is a number": (STEPS | {"analysis.interval": 60}, "spec.analysis.interval"),
    "a duration in days": (STEPS | {"analysis.interval": "1d"}, "spec.analysis.interval"),
    "a Service without a port": (STEPS | {"service": {"name": "reviews"}}, "spec.service.port"),
    "a port above the highest": (STEPS | {"service": {"port": 65536}}, "spec.service.port"),
    "replicas that are 0": (STEPS | {"analysis.canaryReplicas": 0}, "spec.analysis.canaryReplicas"),
    "replicas in a word": (STEPS | {"analysis.canaryReplicas": "half"}, "spec.analysis.canaryReplicas"),
    "a target port that is 0": (STEPS | {"service": {"port": 80, "targetPort": 0}}, "spec.service.targetPort"),
    "a target port that is a switch": (
        STEPS | {"service": {"port": 80, "targetPort": True}},
        "spec.service.targetPort",
    ),
    "a way to tell the primary's pods that isn't known": (
        STEPS | {"service": {"port": 80, "primaryLabels": "drop"}},
        "spec.service.primaryLabels",
    ),
    "a scaler without a kind": (STEPS | {"autoscalerRef": {"name": "reviews"}}, "spec.autoscalerRef.kind"),
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
    "a template of no namespace that can be": (
        metric(name="errors", thresholdRange={"max": 1}, templateRef={"name": "errors", "namespace": "My Shop"}),
        "spec.analysis.metrics[0].templateRef.namespace",
    ),
    "a template that can't be": (
        metric(name="errors", thresholdRange={"max": 1}, templateRef={"name": "Errors!"}),
        "spec.analysis.metrics[0].templateRef.name",
    ),
    "a policy that can't be": (STEPS | {"policyRef": {"name": "My Policy!"}}, "spec.policyRef.name"),
    "an Envoy without a file of routes": (
        STEPS | ON_ENVOY | {"envoy": ENVOY | {"routes": " "}},
        "spec.envoy.routes",
    ),
    "a weight that is no whole number": (steps({"weight": 10.5}), "spec.analysis.steps[0].weight"),
    "weights that are no whole numbers": ({"analysis.stepWeights": [0.5]}, "spec.analysis.stepWeights[0]"),
    "an unknown field without a value": (steps({"hold2m": None}), "spec.analysis.steps[0].hold2m"),
    "true for a number": (STEPS | {"analysis.threshold": True}, "spec.analysis.threshold"),
    "a number in quotes": (STEPS | {"analysis.threshold": "2"}, "spec.analysis.threshold"),
    "a weight in quotes": ({"analysis.stepWeights": ["10"]}, "spec.analysis.stepWeights[0]"),
    "a bound in quotes": (
        metric(name="request-duration", thresholdRange={"max": "500"}),
        "spec.analysis.metrics[0].thresholdRange.max",
    ),
    "a switch in quotes": (STEPS | {"suspend": "yes"}, "spec.suspend"),
    "1 for true": (STEPS | {"suspend": 1}, "spec.suspend"),
    "a judge that isn't there": (STEPS | {"analysis.judge": "sequentially"}, "spec.analysis.judge"),
    **{
        f"a judge with {name}": (
            STEPS | {"analysis.judge": {"type": "sequential", "warmup": "1m"} | settings},
            f"spec.analysis.judge.{field}",
        )
        for name, settings, field in tuple[tuple[str, Fields, str], ...](
            (
                ("settings that isn't there", {"type": "sequentially"}, "type"),
                ("a rate above the highest", {"falseRollbackRate": 90}, "falseRollbackRate"),
                ("a rate in words", {"falseRollbackRate": "low"}, "falseRollbackRate"),
                ("a rate in quotes", {"falseRollbackRate": "1"}, "falseRollbackRate"),
                ("an effect that is none", {"minEffect": 0.5}, "minEffect"),
                ("more than all", {"objective": {"successRate": 101}}, "objective.successRate"),
                ("milliseconds by number", {"objective": {"latency": {"max": 500}}}, "objective.latency.max"),
                ("a share for an objective", {"objective": 99}, "objective"),
                ("an answer that isn't there", {"onInconclusive": {"then": "wait"}}, "onInconclusive.then"),
            )
        )
    },
    "settings of no judge": (STEPS | {"analysis.judge": {"warmup": "1m"}}, "spec.analysis.judge.type"),
    "more steps than can be": ({"analysis.stepWeights": [1] * 101}, "spec.analysis.stepWeights"),
    "an approval by no one": (
        steps({"gates": [{"approval": {"count": 0}}]}),
        "spec.analysis.steps[0].gates[0].approval.count",
    ),
}
"""What is changed, and the field that is at fault: types, words and bounds."""

UNCOUNTABLE: dict[str, tuple[Fields, str]] = {
    **{
        f"{field} beyond what Go counts": (STEPS | {f"analysis.{field}": TOO_LONG}, f"spec.analysis.{field}")
        for field in ("interval", "deadline", "scrapeInterval", "settle", "drain", "unreadyGrace")
    },
    "a hold beyond what Go counts": (steps({"hold": TOO_LONG}), "spec.analysis.steps[0].hold"),
    "a gate beyond what Go counts": (
        steps({"gates": [{"approval": {}, "timeout": TOO_LONG}]}),
        "spec.analysis.steps[0].gates[0].timeout",
    ),
    "patience beyond what Go counts": (
        STEPS | {"analysis.onNoData": {"after": TOO_LONG}},
        "spec.analysis.onNoData.after",
    ),
}
"""Durations that Go can't count. A rule that fails on one is reported by the API server at the block around it."""

SEQUENTIAL: Fields = {
    "type": "sequential",
    "falseRollbackRate": "0.5 %",
    "minEffect": 2,
    "objective": {"successRate": 99, "latency": {"quantile": "99.9%", "max": "500ms"}},
    "warmup": "90s",
    "onInconclusive": {"after": "2h", "then": "rollback"},
}
"""A judge with each of its settings."""

GOOD: dict[str, Fields] = {
    "a judge by its name": STEPS | {"analysis.judge": "sequential"},
    "a judge by its type": STEPS | {"analysis.judge": {"type": "threshold"}},
    "a judge with settings": STEPS | {"analysis.judge": SEQUENTIAL},
    "weights": STEPS,
    **{f"an address: {url}": STEPS | {"metricsServer": url} for url in ASKED},
    "steps of every sort": {
        "analysis.steps": [
            {"match": [{"headers": {"x-user-group": {"exact": "beta"}}}], "hold": "30m"},
            {"mirror": 100, "iterations": 0},
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
        "analysis.webhooks": [{"name": "reported", "type": "event", "url": "http://x", "metadata": {"a": "b"}}],
        "analysis.alerts": [{"name": "slack", "severity": "error", "providerRef": {"name": "on-call"}}],
        "analysis.primaryReadyThreshold": 80,
        "progressDeadlineSeconds": 60,
        "autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "reviews"},
        "service": {"port": 9080, "retries": {"attempts": 3}, "gateways": ["mesh"], "headers": {"a": {"b": 1}}},
    },
    **{f"{pair} and its port": through_primary(pair) for pair in WITH_PRIMARY},
    **{f"{pair} and TCP": through_tcp(pair, appProtocol="TCP", match=[{"port": 80}]) for pair in WITH_PRIMARY},
    **{
        f"{pair} with {one} replicas": through_primary(pair) | {"analysis.canaryReplicas": one}
        for pair in WITH_PRIMARY
        for one in ("matchWeight", 3)
    },
    **{f"{pair} and all of its Service": through_primary(pair, **WHOLE_SERVICE) for pair in WITH_PRIMARY},
    **{
        f"{pair} that is a delegate": through_primary(pair, delegation=True, appProtocol="grpc", portName="tcp")
        for pair in WITH_PRIMARY
    },
    "a port of the pods by name": STEPS | {"service": {"port": 80, "targetPort": "http"}},
    "all of a Service": STEPS
    | {
        "autoscalerRef": {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "name": "reviews",
            "primaryScalerQueries": {"requests": "sum(rate(requests_total[1m]))"},
            "primaryScalerReplicas": {"minReplicas": 2, "maxReplicas": 5},
        },
        "service": WHOLE_SERVICE,
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

TEMPLATE: dict[str, Any] = {"provider": {"address": "http://prometheus:9090"}, "query": "up"}
OTHERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a provider that isn't known": (
        other("MetricTemplate", TEMPLATE | {"provider": {"type": "prometeus"}}),
        "spec.provider.type",
        "",
    ),
    "a provider without the address that it needs": (
        other("MetricTemplate", TEMPLATE | {"provider": {"type": "graphite"}}),
        "spec.provider.address",
        providers.MISSING,
    ),
    "a provider without the region that it needs": (
        other("MetricTemplate", TEMPLATE | {"provider": {"type": "cloudwatch"}}),
        "spec.provider.region",
        providers.MISSING,
    ),
    "a region that would be another host": (
        other("MetricTemplate", TEMPLATE | {"provider": {"type": "cloudwatch", "region": "evil.example/"}}),
        "spec.provider.region",
        "",
    ),
    "a provider without the credentials that it needs": (
        other("MetricTemplate", TEMPLATE | {"provider": {"type": "datadog"}}),
        "spec.provider.secretRef",
        providers.MISSING,
    ),
    "a Secret that can't be called so": (
        other("MetricTemplate", TEMPLATE | {"provider": {"secretRef": {"name": "My Secret!"}}}),
        "spec.provider.secretRef.name",
        "",
    ),
    "a template's address": (
        other("MetricTemplate", TEMPLATE | {"provider": {"address": "prometheus:9090"}}),
        "spec.provider.address",
        target.NO_ADDRESS,
    ),
    "a template that can't be called so": (
        other("MetricTemplate", TEMPLATE, name="My Template!"),
        "metadata.name",
        "",
    ),
    "a template without a query": (other("MetricTemplate", {}), "spec", metrics.QUERY_OR_COUNTS),
    "a template with a query and counts": (
        other("MetricTemplate", TEMPLATE | {"counts": {"total": "a_total", "bad": "b_total"}}),
        "spec.counts",
        metrics.QUERY_AND_COUNTS,
    ),
    "two guards of one name in a policy": (
        other("CanaryPolicy", {"guards": [{"name": "day", "expression": "true"}] * 2}),
        "spec.guards",
        guards.ONE_NAME_EACH,
    ),
    "weights that go down in a policy": (
        other("CanaryPolicy", {"analysis": {"stepWeights": [50, 10]}}),
        "spec.analysis.stepWeights",
        strategy.MAY_ONLY_RISE,
    ),
    "a label that can't be": (
        other("CanaryPolicy", {}, labels={"team": "a b"}),
        "metadata.labels",
        "",
    ),
    "an annotation that can't be": (
        other("CanaryPolicy", {}, annotations={"a b": "c"}),
        "metadata.annotations",
        "",
    ),
    "an action for what can't be": (
        other("CanaryAction", {"canary": "My Canary!", "verb": "approve"}),
        "spec.canary",
        "",
    ),
    "an action that is none": (other("CanaryAction", {"canary": "reviews", "verb": "aprove"}), "spec.verb", ""),
}
"""Objects of other kinds: each with the field at fault, and what both say of it, where they use one sentence."""

ONLY_LINT: dict[str, tuple[Fields, str]] = {
    "a query that is no PromQL": (metric(**ERRORS, query="sum("), "only a parser of PromQL can tell"),
    "a query that gives many values": (metric(**ERRORS, query="up[5m]"), "only a parser of PromQL can tell"),
    "a word that stands for nothing": (
        metric(**ERRORS, query="{{ nam }}"),
        "words are replaced by the query's template",
    ),
    "a guard that doesn't compile": (guarded("nonsense +"), "CEL has no way to compile CEL"),
    "a guard of a zone that isn't there": (
        guarded("now.getHours('Europe/Atlantis') > 8"),
        "zones are the guard's own",
    ),
    "a header that is no expression": (
        steps({"match": [{"headers": {"user": {"regex": "a("}}}]}),
        "trying each of 40,000 possible expressions is beyond the cost that the API server allows",
    ),
    "an older block that disagrees": (
        STEPS | {"analysis.interval": "1m", "canaryAnalysis.interval": "2m"},
        "values are compared by their meaning: 60s is 1m",
    ),
    "a judge that is a number": (
        STEPS | {"analysis.judge": 5},
        "what may be a name or an object has no type in a schema",
    ),
    "a setting that no judge has": (
        STEPS | {"analysis.judge": {"type": "sequential", "minEfect": 2}},
        "without a type, unknown fields are kept",
    ),
    "a rate of none": (
        STEPS | {"analysis.judge": {"type": "sequential", "falseRollbackRate": 0}},
        "the API server compares whole numbers with whole bounds",
    ),
    "a warm-up beyond what Go counts": (
        STEPS | {"analysis.judge": {"type": "sequential", "warmup": TOO_LONG}},
        "rules can't read a field without a type",
    ),
    "a judge's patience beyond what Go counts": (
        STEPS | {"analysis.judge": {"type": "sequential", "onInconclusive": {"after": TOO_LONG}}},
        "rules can't read a field without a type",
    ),
    "a value for a judge that counts": (
        metric(**ERRORS, query="up") | {"analysis.judge": "sequential"},
        "rules can't read a field without a type",
    ),
    "a query that no server is named for": (
        metric(**ERRORS, query="up") | ON_ENVOY | {"envoy": ENVOY, "metricsServer": None},
        "the template that a metric refers to may name one",
    ),
}
"""What lint alone refuses, and why the API server can't. The controller says it in a condition, and moves nothing."""
