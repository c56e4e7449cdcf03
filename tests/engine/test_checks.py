"""What is wrong with a Canary: each row changes a good one, and names all problems that follow."""

from collections.abc import Mapping
from typing import Any

import pytest

from canary.api.canary import Canary, CanaryPolicy, MetricTemplate
from canary.api.webhooks import HookType
from canary.engine.pairs import STANDALONE
from canary.engine.validation import Capabilities, check, check_policy, check_template
from canary.engine.validation.names import NO_NAME
from tests.addresses import NOT_ASKED

RATE: dict[str, Any] = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
DURATION: dict[str, Any] = {"name": "request-duration", "thresholdRange": {"max": 500}}
ENVOY = {"admin": "http://127.0.0.1:9901", "routes": "routes.yaml"}
STEPS: dict[str, Any] = {"steps": [{"weight": 10, "hold": "5m"}, {"weight": 50, "hold": "5m"}]}
ANALYSIS: dict[str, Any] = {"interval": "1m", "threshold": 5, "metrics": [RATE, DURATION], **STEPS}
SPEC: dict[str, Any] = {
    "targetRef": {"kind": "EnvoyRoute", "name": "web"}, "version": "v2", "envoy": ENVOY, "analysis": ANALYSIS,
}  # fmt: skip
ONE_OF = "write only one of steps, stepWeights, stepWeight or iterations"
STANDARD = {"name": "standard"}


def canary(spec: Mapping[str, Any] | None = None, without: str = "", **analysis: Any) -> Canary:
    """The good Canary, with these fields of spec and analysis instead; None takes a field away."""
    whole = {**SPEC, "analysis": {**ANALYSIS, **analysis}, **(spec or {})}
    if without:
        whole["analysis"] = {name: value for name, value in whole["analysis"].items() if name != without}
    whole = {name: value for name, value in whole.items() if value is not None}
    return Canary.model_validate({"metadata": {"name": "web"}, "spec": whole}, extra="forbid")


def shaped(**analysis: Any) -> Canary:
    """The good Canary with another strategy."""
    return canary(without="steps", **analysis)


NAMED: dict[str, Any] = {"kind": "VirtualService", "name": "web"}
IN_A_MESH: dict[str, Any] = {"targetRef": NAMED, "envoy": None, "revision": None}
SHAPE = {**ANALYSIS, "steps": None, "iterations": 3}
LOAD: dict[str, Any] = {"name": "load", "url": "http://loadtester.shop/", "metadata": {"cmd": "hey http://web.shop/"}}


def asking(*metrics: Mapping[str, Any], server: str | None = "http://prometheus:9090") -> Canary:
    """The good Canary with these metrics, asked of a Prometheus."""
    return canary({"metricsServer": server}, metrics=list(metrics))


def query(text: str, **more: Any) -> dict[str, Any]:
    """A metric with a query of its own."""
    return {"name": "errors", "thresholdRange": {"max": 1}, "query": text} | more


def policy(**analysis: Any) -> CanaryPolicy:
    """A policy called standard."""
    return CanaryPolicy.model_validate({"metadata": STANDARD, "spec": {"analysis": analysis}}, extra="forbid")


def template(text: str, **provider: Any) -> MetricTemplate:
    """A template called errors."""
    spec = {"query": text, "provider": {"type": "prometheus", **provider}}
    return MetricTemplate.model_validate({"metadata": {"name": "errors"}, "spec": spec}, extra="forbid")


def counting(total: str = "a_total", bad: str = "b_total", **more: Any) -> MetricTemplate:
    """A template called errors, with counts."""
    spec = {"counts": {"total": total, "bad": bad}, **more}
    return MetricTemplate.model_validate({"metadata": {"name": "errors"}, "spec": spec}, extra="forbid")


def reported(given: Canary, shared: CanaryPolicy | None = None, *templates: MetricTemplate) -> list[str]:
    """All problems, each as `severity: field: sentence`."""
    by_name = {each.metadata.name: each for each in templates}
    return [f"{each.severity}: {each}" for each in check(given, shared, by_name)]


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(canary(IN_A_MESH, reporter="waypoint"), [], id="in a mesh"),
        pytest.param(
            canary(reporter="source"),
            ["warning: spec.analysis.reporter: isn't used: a standalone Envoy is the only reporter"],
            id="an Envoy by itself",
        ),
        pytest.param(
            canary({"provider": "istio", "metricsServer": "http://prometheus:9090"}, reporter="source"),
            [],
            id="an Envoy that a mesh's metrics tell of",
        ),
    ],
)
def test_reporters(given: Canary, problems: list[str]) -> None:
    """Only where there are several."""
    assert reported(given) == problems


def test_a_good_canary_has_no_problem() -> None:
    """Each row below stands on this."""
    assert reported(canary()) == []


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(
            canary({"targetRef": {"kind": "EnvoyRouet", "name": "web"}}),
            ["error: spec.targetRef.kind: 'EnvoyRouet' is no kind that can be moved; did you mean EnvoyRoute?"],
            id="a misspelt kind is answered with the nearest one",
        ),
        pytest.param(
            canary({"targetRef": {"kind": "Banana", "name": "web"}}),
            ["error: spec.targetRef.kind: 'Banana' is no kind that can be moved; "
             "there are EnvoyRoute, VirtualService, Deployment, DaemonSet and Service"],
            id="a kind that is like none is answered with what there is",
        ),
        pytest.param(
            canary({"targetRef": {"kind": "HTTPRoute", "name": "web"}, "envoy": None}),
            ["error: spec.targetRef.kind: HTTPRoute isn't supported as a target yet; "
             "write EnvoyRoute, VirtualService, Deployment, DaemonSet or Service"],
            id="a kind of Flagger's is known, and said to be out of reach",
        ),
        pytest.param(
            canary({"targetRef": {"kind": "VirtualService", "name": "web"}, "version": None, "revision": "1"}),
            ["error: spec.version: is missing: write the subset or the destination host to roll out",
             "error: spec.envoy: is for an EnvoyRoute; a VirtualService is found in the cluster",
             "warning: spec.revision: isn't used: what runs behind a version is read from its workload"],
            id="a VirtualService needs a version, and nothing of Envoy's",
        ),
        pytest.param(
            canary({"envoy": None, "version": None}),
            ["error: spec.envoy: is missing: an EnvoyRoute needs "
             "`envoy: {admin: http://127.0.0.1:9901, routes: routes.yaml}`",
             "error: spec.version: is missing: write the name of the Envoy cluster to roll out"],
            id="an EnvoyRoute needs an Envoy and a version",
        ),
        pytest.param(
            canary(IN_A_MESH | {"targetRef": NAMED | {"name": "A B"}, "virtualServices": ["a", "a_b"]}),
            ["error: spec.targetRef.name: 'A B' can't be a VirtualService; write its name, or `name.namespace`",
             "error: spec.virtualServices[1]: 'a_b' can't be a VirtualService; write its name, or `name.namespace`"],
            id="names that no object in a cluster can have",
        ),
        pytest.param(
            canary({**IN_A_MESH, "version": "v 2", "stable": "http://web:80/", "host": "web:9080"}),
            ["error: spec.version: 'v 2' can't be a subset or a host: letters, digits, '-' and '.', without a port",
             "error: spec.stable: 'http://web:80/' can't be a subset or a host: letters, digits, '-' and '.', "
             "without a port; did you mean web?",
             "error: spec.host: 'web:9080' can't be a host: letters, digits, '-' and '.', without a port; "
             "did you mean web?"],
            id="hosts that no request can be sent to",
        ),
        pytest.param(
            canary(IN_A_MESH | {"targetRef": NAMED | {"apiVersion": "apps/v1"}}),
            ["error: spec.targetRef.apiVersion: 'apps/v1' has no VirtualService; write networking.istio.io/v1"],
            id="a VirtualService of another group",
        ),
        pytest.param(
            canary(IN_A_MESH | {"targetRef": NAMED | {"apiVersion": "networking.istio.io/v2"}}),
            [
                "error: spec.targetRef.apiVersion: 'networking.istio.io/v2' has no VirtualService; "
                "write networking.istio.io/v1"
            ],
            id="a version that Istio doesn't have",
        ),
        pytest.param(
            canary(IN_A_MESH | {"targetRef": NAMED | {"apiVersion": "networking.istio.io/v1beta1"}}),
            [],
            id="an older version of Istio's API",
        ),
        pytest.param(
            canary({"targetRef": {"apiVersion": "networking.istio.io/v1", "kind": "EnvoyRoute", "name": "shop"}}),
            ["warning: spec.targetRef.apiVersion: isn't used: an EnvoyRoute is no object of an API server"],
            id="an EnvoyRoute of an API",
        ),
        pytest.param(
            canary({"targetRef": {"kind": "EnvoyRoute", "name": "The Shop_1"}, "version": "v 2", "stable": "v:1"}),
            [],
            id="Envoy's names are free text",
        ),
        pytest.param(
            canary({"stable": "v2"}),
            ["warning: spec.version: 'v2' is spec.stable as well: "
             "where several versions carry weight no rollout starts, and one in flight goes back to it"],
            id="a version that is stable already is the way back, which may be meant",
        ),
        pytest.param(
            canary({"envoy": {"admin": "localhost:9901", "routes": " "}}),
            ["error: spec.envoy.routes: is empty: write the file that Envoy reads its routes from",
             "error: spec.envoy.admin: 'localhost:9901' is no URL such as http://127.0.0.1:9090, without a query; "
             "did you mean http://localhost:9901?"],
            id="an address without a scheme is no URL",
        ),
        pytest.param(
            canary({"metricsServer": "ftp://x"}),
            ["error: spec.metricsServer: 'ftp://x' is no URL such as http://127.0.0.1:9090, without a query"],
            id="only http and https are asked",
        ),
        *(
            pytest.param(
                canary({"metricsServer": url}),
                [f"error: spec.metricsServer: {url!r} is no URL such as http://127.0.0.1:9090, without a query"],
                id=f"what can't be asked at {url}",
            )
            for url in NOT_ASKED
        ),
        pytest.param(
            canary({"provider": "isto"}),
            ["error: spec.provider: 'isto' is no router that canary supports; did you mean istio?"],
            id="a misspelt provider is answered with the nearest one",
        ),
        pytest.param(
            canary({"provider": "linkerd"}),
            [
                "error: spec.provider: 'linkerd' is no router that canary supports; write istio if the target's "
                "requests go through Istio"
            ],
            id="another router of Flagger's is refused",
        ),
        pytest.param(
            canary({"policyRef": STANDARD}),
            ["error: spec.policyRef.name: there is no CanaryPolicy 'standard'"],
            id="a policy that isn't there is named",
        ),
        pytest.param(
            canary({"policyRef": STANDARD, "analysis": None}),
            ["error: spec.policyRef.name: there is no CanaryPolicy 'standard'"],
            id="what a missing policy would have supplied isn't missed as well",
        ),
        pytest.param(
            Canary.model_validate({"metadata": {"name": "Web/1"}, "spec": SPEC}),
            ["error: metadata.name: 'Web/1' can't be a name: at most 253 lower-case letters, digits, "
             "'-' and '.', with a letter or digit at both ends"],
            id="a name is one that Kubernetes would take",
        ),
        pytest.param(
            Canary.model_validate({"metadata": {"name": "web..1"}, "spec": SPEC}),
            [f"error: metadata.name: 'web..1' {NO_NAME}"],
            id="dots of a name don't follow each other",
        ),
    ],
)  # fmt: skip
def test_what_moves(given: Canary, problems: list[str]) -> None:
    """targetRef, version, envoy and what they refer to."""
    assert reported(given) == problems


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(shaped(stepWeight=10, maxWeight=50), [], id="stepWeight and maxWeight are one strategy"),
        pytest.param(shaped(stepWeights=[10, 10, 30, 100]), [], id="weights may stay, and may end at 100"),
        pytest.param(
            canary(steps=[{"weight": 50}, {"weight": 100, "hold": "5m"}]), [], id="the last step may be all of it"
        ),
        pytest.param(
            shaped(stepWeight=10, mirror=True), [], id="mirror before the first weight belongs to stepWeight"
        ),
        pytest.param(
            shaped(iterations=10, match=[{"headers": {"x-beta": {"exact": "1"}}}]),
            [],
            id="iterations with match are A/B",
        ),
        pytest.param(
            shaped(),
            ["error: spec.analysis: doesn't say how traffic moves: "
             "write steps, stepWeights, stepWeight or iterations"],
            id="no strategy at all",
        ),
        pytest.param(
            shaped(stepWeight=10, judge="treshold"),
            ["error: spec.analysis.judge: 'treshold' is no judge; did you mean threshold?"],
            id="no such judge",
        ),
        pytest.param(
            canary({"analysis": None}),
            ["error: spec.analysis: is missing: write one with steps, stepWeights, stepWeight or iterations, "
             "or a policyRef",
             "warning: spec.analysis.metrics: there are none, so nothing is judged; "
             "write request-success-rate and request-duration"],
            id="no analysis at all",
        ),
        pytest.param(
            canary({"analysis": None, "skipAnalysis": True}), [], id="skipAnalysis needs neither steps nor metrics"
        ),
        pytest.param(
            canary(stepWeight=10),
            [f"error: spec.analysis.stepWeight: can't be used together with steps; {ONE_OF}"],
            id="two strategies in one block",
        ),
        pytest.param(
            shaped(stepWeight=10, iterations=5, stepWeights=[1]),
            [f"error: spec.analysis.stepWeight: can't be used together with stepWeights; {ONE_OF}",
             f"error: spec.analysis.iterations: can't be used together with stepWeights; {ONE_OF}"],
            id="three strategies in one block are two too many",
        ),
        pytest.param(
            shaped(stepWeights=[10, 30, 20]),
            ["error: spec.analysis.stepWeights[2]: goes down from 30 to 20; weights may only stay or rise"],
            id="stepWeights that go down",
        ),
        pytest.param(
            canary(steps=[{"weight": 30}, {"weight": 20}]),
            ["error: spec.analysis.steps[1].weight: goes down from 30 to 20; weights may only stay or rise"],
            id="steps that go down",
        ),
        pytest.param(
            shaped(stepWeights=[]),
            ["error: spec.analysis.stepWeights: is empty: write weights such as [10, 30, 60]"],
            id="stepWeights without any",
        ),
        pytest.param(
            canary(steps=[]),
            ["error: spec.analysis.steps: is empty: write at least one step such as {weight: 10, hold: 5m}"],
            id="steps without any",
        ),
        pytest.param(
            shaped(stepWeight=60, maxWeight=50),
            ["error: spec.analysis.stepWeight: is 60, more than maxWeight, which is 50"],
            id="a first step above the highest weight",
        ),
        pytest.param(
            shaped(stepWeight=10, mirror=True, match=[{"headers": {"x": {"exact": "1"}}}]),
            ["error: spec.analysis.mirror: would copy all requests, not only those that match; remove it, or write "
             "steps with mirror, match and matchWeight",
             "error: spec.analysis.match: EnvoyRoute can't share out the requests that match by weight; write "
             "iterations for all that match, or steps with match and weight"],
            id="weights, match and mirror",
        ),
        pytest.param(
            canary(mirror=True),
            ["error: spec.analysis.mirror: isn't used with steps; write it in a step"],
            id="plain mirror beside steps",
        ),
        pytest.param(
            canary(maxWeight=50),
            ["warning: spec.analysis.maxWeight: isn't used with steps, only with stepWeight"],
            id="maxWeight beside steps",
        ),
        pytest.param(
            shaped(iterations=5, mirrorWeight=50, stepWeightPromotion=10),
            ["warning: spec.analysis.stepWeightPromotion: isn't used with iterations, "
             "only with stepWeight, stepWeights or steps",
             "warning: spec.analysis.mirrorWeight: isn't used without `mirror: true`",
             "warning: spec.analysis.iterations: without match or mirror no request reaches the canary, "
             "so there is nothing to judge; write one of them, or a webhook of type rollout"],
            id="fields that change nothing are named",
        ),
        pytest.param(
            shaped(stepWeights=[0, 10]),
            ["warning: spec.analysis.stepWeights[0]: is 0: there will be nothing to judge"],
            id="a weight of 0",
        ),
        pytest.param(
            canary(steps=[{"hold": "5m"}, {"weight": 0, "iterations": 0}, {"mirror": 10}]),
            ["warning: spec.analysis.steps[0]: sends nothing to the canary, so there is nothing to judge; "
             "write weight, match or mirror"],
            id="a step that looks at no one; without looks, or with a mirror, it is fine",
        ),
    ],
)  # fmt: skip
def test_how_traffic_moves(given: Canary, problems: list[str]) -> None:
    """Exactly one strategy, and steps that rise."""
    assert reported(given) == problems


@pytest.mark.parametrize(
    ("analysis", "older", "problems"),
    [
        pytest.param(ANALYSIS, ANALYSIS, [], id="both blocks say the same: nothing to say"),
        pytest.param(None, ANALYSIS, [], id="the older name alone is read"),
        pytest.param(
            {**ANALYSIS, "interval": "30s"},
            ANALYSIS,
            ["error: spec.analysis.interval: is 30s, and spec.canaryAnalysis.interval is 1m; "
             "write it once, in analysis"],
            id="one field, two values",
        ),
        pytest.param(
            {"interval": "1m", "metrics": [RATE], "iterations": 10},
            {"stepWeight": 10, "maxWeight": 50},
            ["warning: spec.analysis.iterations: isn't used, "
             "because spec.canaryAnalysis.stepWeight says how traffic moves"],
            id="iterations here and weights there: the weights are meant",
        ),
        pytest.param(
            {"stepWeight": 10, "metrics": [RATE]},
            {"iterations": 10},
            ["warning: spec.canaryAnalysis.iterations: isn't used, "
             "because spec.analysis.stepWeight says how traffic moves"],
            id="weights here and iterations there: the weights are meant",
        ),
        pytest.param(
            {"stepWeight": 10, "metrics": [RATE]},
            {"stepWeights": [10, 20]},
            [f"error: spec.analysis.stepWeight: can't be used together with stepWeights; {ONE_OF}"],
            id="two ways up in two blocks",
        ),
        pytest.param(
            {"metrics": [RATE]},
            {"stepWeight": 10, "steps": [{"weight": 10}]},
            [f"error: spec.canaryAnalysis.stepWeight: can't be used together with steps; {ONE_OF}"],
            id="two ways up in the older block",
        ),
        pytest.param(
            {"metrics": [RATE]},
            {"stepWeights": [20, 10], "threshold": 0},
            ["error: spec.canaryAnalysis.stepWeights[1]: goes down from 20 to 10; weights may only stay or rise",
             "warning: spec.canaryAnalysis.threshold: 0 means 1: the first failed check rolls back"],
            id="a problem stands in the block that the field comes from",
        ),
    ],
)  # fmt: skip
def test_two_blocks(analysis: Any, older: Any, problems: list[str]) -> None:
    """`canaryAnalysis` fills in what `analysis` lacks, and never contradicts it silently."""
    assert reported(canary({"analysis": analysis, "canaryAnalysis": older})) == problems


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(
            canary(steps=[{"weight": 10, "match": [{}]}]),
            ["error: spec.analysis.steps[0].match[0]: has no condition, so it would match every request; "
             "write headers"],
            id="a match without a condition",
        ),
        pytest.param(
            canary(steps=[{"match": [{"headers": {"x": {}}, "queryParams": {"q": {"exact": "1", "regex": "2"}}}]}]),
            ["error: spec.analysis.steps[0].match[0].headers.x: compares with nothing; "
             "write exact, prefix, suffix or regex",
             "error: spec.analysis.steps[0].match[0].queryParams.q: has exact and regex; "
             "write only one of exact, prefix, suffix or regex"],
            id="a condition says exactly one thing",
        ),
        pytest.param(
            canary(steps=[{"match": [{"headers": {"x": {"regex": "(a"}}, "queryParams": {"q": {"regex": "a++"}}}]}]),
            ["error: spec.analysis.steps[0].match[0].headers.x.regex: isn't a regular expression (RE2): "
             "missing ): (a",
             "error: spec.analysis.steps[0].match[0].queryParams.q.regex: isn't a regular expression (RE2): "
             "bad repetition operator: ++"],
            id="a pattern that RE2 can't read",
        ),
        pytest.param(
            shaped(iterations=3, match=[{"headers": {"x": {"regex": "(?=a)b"}}}]),
            ["error: spec.analysis.match[0].headers.x.regex: isn't a regular expression (RE2): "
             "invalid perl operator: (?=; RE2 has no look-ahead or look-behind"],
            id="a pattern of another language",
        ),
        pytest.param(
            shaped(iterations=3, match=[{"headers": {"x": {"regex": r".*\bcanary=(?i:always|'\"+)\b.*"}}}]),
            [],
            id="a pattern that RE2 reads, with any quotes and backslashes",
        ),
        pytest.param(
            shaped(iterations=3, match=[{"sourceLabels": {"app": "x"}}]),
            ["error: spec.analysis.match[0].sourceLabels: EnvoyRoute can't match sourceLabels"],
            id="sourceLabels on an Envoy without a mesh",
        ),
        pytest.param(
            canary({**IN_A_MESH, "analysis": {**SHAPE, "match": [{"sourceLabels": {"app": "x"}}]}}),
            [],
            id="sourceLabels in a mesh",
        ),
        pytest.param(
            canary(sessionAffinity={"cookieName": "x"}),
            ["error: spec.analysis.sessionAffinity: EnvoyRoute can't keep users on the version that they met"],
            id="affinity that the router can't give",
        ),
        pytest.param(
            canary(steps=[{"weight": 10, "gates": [{"name": "boss"}, {"approval": {}}, {"approval": {}}]}]),
            ["error: spec.analysis.steps[0].gates[0]: must have exactly one of approval, webhook and opa, "
             "such as `approval: {count: 1}`",
             "error: spec.analysis.steps[0].gates[2]: two gates of this step are called approval; "
             "give each a name of its own"],
            id="a gate that nothing opens, and two of one name",
        ),
    ],
)  # fmt: skip
def test_what_steps_ask_for(given: Canary, problems: list[str]) -> None:
    """Matches, mirrors and gates, and whether the router can do it."""
    assert reported(given) == problems


def test_a_router_that_can_only_weigh() -> None:
    """What it can do is passed to the checks; they know no router."""
    plain = Capabilities("Plain")
    match = [{"headers": {"x": {"exact": "1"}}, "queryParams": {"q": {"exact": "1"}}}]
    given = canary(steps=[{"weight": 10, "mirror": 10, "match": match}])
    assert [str(each) for each in check(given, capabilities=plain)] == [
        "spec.analysis.steps[0].mirror: Plain can't mirror requests",
        "spec.analysis.steps[0].match[0].headers: Plain can't match headers",
        "spec.analysis.steps[0].match[0].queryParams: Plain can't match queryParams",
    ]
    mirrored = shaped(iterations=3, mirror=True)
    assert [str(each) for each in check(mirrored, capabilities=plain)] == [
        "spec.analysis.mirror: Plain can't mirror requests"
    ]
    assert check(given, capabilities=STANDALONE[0].capabilities) == []


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(canary(interval="1s"), [], id="a second is enough where counters are read each second"),
        pytest.param(
            canary(interval="500ms"),
            ["error: spec.analysis.interval: must be at least 1s, not 500ms"],
            id="an interval below a second",
        ),
        pytest.param(
            shaped(interval="2562047h", iterations=1_000_000, mirror=True, deadline="2562047h"),
            ["error: spec.analysis.interval: must be at most 168h, not 2562047h",
             "warning: spec.analysis.deadline: 2562047h is shorter than the 23999999976h that holds and evaluations "
             "take at least: every rollout would be rolled back"],
            id="an interval above a week, and more evaluations than time can count",
        ),
        pytest.param(
            canary({"metricsServer": "http://prometheus:9090"}, interval="10s", scrapeInterval="15s"),
            ["warning: spec.analysis.interval: is 10s, shorter than the scrape interval of 15s: "
             "some evaluations will see nothing new"],
            id="an interval shorter than the scrape interval",
        ),
        pytest.param(
            canary({"metricsServer": "http://prometheus:9090"}, interval="10s"),
            [],
            id="a short interval where the scrape interval is only guessed",
        ),
        pytest.param(
            canary({"metricsServer": "http://prometheus:9090"}, interval="10s", scrapeInterval="5s"),
            [],
            id="the scrape interval that is written counts",
        ),
        pytest.param(
            canary({"metricsServer": "http://prometheus:9090"}, metrics=[{**RATE, "interval": "20s"}]),
            ["warning: spec.analysis.metrics[0].interval: 20s is shorter than two scrapes (15s each), "
             "so it often has no value; write at least 30s, or scrapeInterval if it is another"],
            id="a window with room for one sample: there is no rate",
        ),
        pytest.param(
            canary(scrapeInterval="5s", metrics=[{**RATE, "interval": "2s"}, {**DURATION, "interval": "0s"}]),
            ["warning: spec.analysis.metrics[0].interval: 2s is shorter than one scrape (5s each), "
             "so it often has no value; write at least 5s",
             "error: spec.analysis.metrics[1].interval: must be longer than 0s"],
            id="a window shorter than Envoy's interval, and one of nothing",
        ),
        pytest.param(
            canary(threshold=-3),
            ["warning: spec.analysis.threshold: -3 means 1: the first failed check rolls back"],
            id="a threshold below one",
        ),
        pytest.param(canary(deadline="10m"), [], id="a deadline that is just met"),
        pytest.param(
            canary(deadline="9m59s"),
            ["warning: spec.analysis.deadline: 9m59s is shorter than the 10m that holds and evaluations "
             "take at least: every rollout would be rolled back"],
            id="a deadline that holds can't meet",
        ),
        pytest.param(
            shaped(iterations=2000, mirror=True),
            ["warning: spec.analysis.deadline: 24h is shorter than the 33h20m that holds and evaluations "
             "take at least: every rollout would be rolled back"],
            id="looks take an interval each, and the deadline that isn't written is 24h",
        ),
        pytest.param(
            canary(deadline="0s", scrapeInterval="0s"),
            ["error: spec.analysis.deadline: must be longer than 0s",
             "error: spec.analysis.scrapeInterval: must be longer than 0s"],
            id="nothing is no deadline",
        ),
    ],
)  # fmt: skip
def test_how_long_it_takes(given: Canary, problems: list[str]) -> None:
    """Intervals, windows, thresholds and the deadline."""
    assert reported(given) == problems


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(
            canary(without="metrics"),
            ["warning: spec.analysis.metrics: there are none, so nothing is judged; "
             "write request-success-rate and request-duration"],
            id="no metrics at all",
        ),
        pytest.param(
            canary(without="metrics", webhooks=[LOAD, {**LOAD, "name": "more", "metadata": {"cmd": "ghz"}}]),
            ["warning: spec.analysis.metrics: there are none, and the load tester doesn't wait for what it starts "
             "(load, more), so nothing is judged; write request-success-rate and request-duration"],
            id="no metrics, and hooks that only start load",
        ),
        pytest.param(
            canary(without="metrics", webhooks=[LOAD, {**LOAD, "metadata": {"cmd": "curl", "type": "bash"}}]), [],
            id="a hook whose command is waited for judges",
        ),
        pytest.param(
            canary(without="metrics", webhooks=[{**LOAD, "url": "http://tests.shop/run"}]), [],
            id="the answer of another server judges",
        ),
        pytest.param(
            asking({"name": "request-succes-rate", "thresholdRange": {"min": 99}}),
            ["error: spec.analysis.metrics[0].name: 'request-succes-rate' is no builtin, "
             "and has neither query nor templateRef; did you mean request-success-rate?"],
            id="a misspelt builtin",
        ),
        pytest.param(
            asking(query("up", templateRef={"name": "errors"})),
            ["error: spec.analysis.metrics[0].templateRef: can't be used with query; write only one of them",
             "error: spec.analysis.metrics[0].templateRef: there is no MetricTemplate 'errors'"],
            id="query and templateRef",
        ),
        pytest.param(
            asking(RATE, RATE),
            ["warning: spec.analysis.metrics[1].name: 'request-success-rate' is the name of two metrics"],
            id="two of one name",
        ),
        pytest.param(
            asking({"name": "request-duration"}, {"name": "request-success-rate", "thresholdRange": {}}),
            ["error: spec.analysis.metrics[0]: has neither min nor max, so it can't fail; write thresholdRange",
             "error: spec.analysis.metrics[1].thresholdRange: has neither min nor max, so it can't fail; "
             "write thresholdRange"],
            id="a metric that can't fail",
        ),
        pytest.param(asking({"name": "request-duration", "threshold": 500}), [], id="Flagger's older threshold"),
        pytest.param(
            asking({**RATE, "threshold": 99}),
            ["warning: spec.analysis.metrics[0].threshold: isn't used with thresholdRange"],
            id="both forms of a threshold",
        ),
        pytest.param(
            asking({**DURATION, "thresholdRange": {"min": 500, "max": 10}}),
            ["error: spec.analysis.metrics[0].thresholdRange: min 500 is above max 10; did you swap them?"],
            id="a range upside down",
        ),
        pytest.param(
            asking({**RATE, "thresholdRange": {"min": float("nan")}}),
            ["error: spec.analysis.metrics[0].thresholdRange: must be a number, not NaN"],
            id="a bound that is no number",
        ),
        pytest.param(
            asking({**RATE, "thresholdRange": {"min": 990}}),
            ["error: spec.analysis.metrics[0].thresholdRange: min 990 can't be reached: "
             "request-success-rate is per cent"],
            id="a success rate above 100 per cent",
        ),
        pytest.param(
            asking({"name": "request-duration", "threshold": 0.5}),
            ["warning: spec.analysis.metrics[0].threshold: max 0.5 is in milliseconds, not in seconds; "
             "did you mean 500?"],
            id="a duration in seconds",
        ),
        pytest.param(
            asking({**RATE, "thresholdRange": {"max": 99}}, {**DURATION, "thresholdRange": {"min": 500}}),
            ["warning: spec.analysis.metrics[0].thresholdRange: max 99 fails a canary that answers more requests "
             "without an error; did you mean min: 99?",
             "warning: spec.analysis.metrics[1].thresholdRange: min 500 fails a canary that answers faster, "
             "and none that is slower; did you mean max: 500?"],
            id="the bound of the other side",
        ),
        pytest.param(
            asking({**RATE, "thresholdRange": {"max": 100}}),
            ["warning: spec.analysis.metrics[0].thresholdRange: max 100 can't fail, "
             "no more than 100 per cent can succeed; did you mean min?"],
            id="a bound that no success rate passes",
        ),
        pytest.param(
            asking({**RATE, "thresholdRange": {"min": 95, "max": 99}}),
            ["warning: spec.analysis.metrics[0].thresholdRange: max 99 fails a canary that answers more requests "
             "without an error; write min alone"],
            id="a success rate that mustn't be too good",
        ),
        pytest.param(
            asking({**RATE, "thresholdRange": {"min": 99, "max": 100}},
                   {**DURATION, "thresholdRange": {"min": 1, "max": 500}},
                   query("up", name="share", thresholdRange={"max": 0.5})),
            [],
            id="both bounds, and those of one's own metrics",
        ),
        pytest.param(
            asking(query("up", name="request-success-rate", thresholdRange={"min": 0.99})),
            ["warning: spec.analysis.metrics[0].thresholdRange: min 0.99 is per cent, not a share; did you mean 99?"],
            id="a query that is called like a builtin is asked beside it, so the unit is the builtin's",
        ),
        pytest.param(
            asking({"name": "request-success-rate", "threshold": 0.99}),
            ["warning: spec.analysis.metrics[0].threshold: min 0.99 is per cent, not a share; did you mean 99?"],
            id="a success rate as a share",
        ),
        pytest.param(
            asking(query("sum(rate(errors[{{ interval }}])")),
            ["error: spec.analysis.metrics[0].query: is no PromQL: '(' is never closed "
             "(line 1 of the query, column 4)"],
            id="a query that doesn't parse",
        ),
        pytest.param(
            asking(query('rate(errors{app="{{ target }}",code=~"{{ variables.code }}"}[{{ interval }}])',
                         templateVariables={"code": "5..", "cdoe": "4.."})),
            ["warning: spec.analysis.metrics[0].templateVariables.cdoe: isn't used by the query"],
            id="a variable that nothing uses",
        ),
        pytest.param(
            asking(query("{{ nmae }} + {{ variables.x }}", templateVariables={"y": "1"})),
            ["error: spec.analysis.metrics[0].query: {{ nmae }} is no template function; did you mean name?",
             "error: spec.analysis.metrics[0].query: {{ variables.x }} isn't given in templateVariables",
             "warning: spec.analysis.metrics[0].templateVariables.y: isn't used by the query"],
            id="words that stand for nothing",
        ),
        pytest.param(
            asking(query("up{{")),
            ["error: spec.analysis.metrics[0].query: the template opens '{{' and never closes it"],
            id="braces left open",
        ),
        pytest.param(
            asking(query("up"), server=None),
            ["error: spec.analysis.metrics[0].query: has no Prometheus to ask; write spec.metricsServer"],
            id="a query without anybody to ask",
        ),
    ],
)  # fmt: skip
def test_what_is_judged(given: Canary, problems: list[str]) -> None:
    """Builtins, ranges and queries."""
    assert reported(given) == problems


def test_a_dry_run_alone_judges_nothing_and_has_no_limits() -> None:
    """Both are allowed: a metric may be tried before it counts."""
    dry = {"name": "request-duration", "thresholdRange": {"max": 500}, "dryRun": True, "failureLimit": 1}
    assert reported(canary(metrics=[dry])) == [
        "warning: spec.analysis.metrics: all have dryRun, so nothing is judged",
        "warning: spec.analysis.metrics[0].failureLimit: isn't used with dryRun",
    ]


REFERS = {"name": "errors", "thresholdRange": {"max": 1}, "templateRef": {"name": "errors"}}


@pytest.mark.parametrize(
    ("metric", "given", "problems"),
    [
        pytest.param(REFERS, template("rate(errors[{{ interval }}])"), [], id="a template that fits"),
        pytest.param(
            {**REFERS, "templateRef": {"name": "erors"}},
            template("up"),
            ["error: spec.analysis.metrics[0].templateRef: there is no MetricTemplate 'erors'; "
             "did you mean errors?"],
            id="a misspelt template",
        ),
        pytest.param(
            REFERS,
            template("up", insecureSkipVerify=True, secretRef={"name": "prometheus"}),
            ["warning: spec.analysis.metrics[0].templateRef: in the MetricTemplate errors, "
             "spec.provider.insecureSkipVerify: the server's certificate isn't verified, so any server could "
             "answer and read the credentials"],
            id="a template whose server wants credentials",
        ),
        pytest.param(
            REFERS,
            template("rate(errors[{{ variables.window }}])"),
            ["error: spec.analysis.metrics[0].templateRef: "
             "{{ variables.window }} isn't given in templateVariables"],
            id="a variable of the template that the Canary doesn't give",
        ),
        pytest.param(
            {**REFERS, "templateVariables": {"window": "1 m"}},
            template("rate(errors[{{ variables.window }}])"),
            ["error: spec.analysis.metrics[0].templateRef: is no PromQL: "
             "unexpected character inside brackets: 'm' (line 1 of the query, column 13)"],
            id="a variable that makes the query unreadable",
        ),
        pytest.param(
            {**REFERS, "thresholdRange": {"min": 99}, "templateVariables": {"app": "web"}},
            counting("a_total", 'a_total{app="{{ variables.app }}"}'), [], id="counts that fit",
        ),
        pytest.param(
            {**REFERS, "thresholdRange": {"min": 101}, "templateVariables": {"a": "b"}},
            counting("a_total", "rate({{ variables.app }}[1m])"),
            ["error: spec.analysis.metrics[0].thresholdRange: min 101 can't be reached: "
             "the share of good events is per cent",
             "error: spec.analysis.metrics[0].templateRef: in the MetricTemplate, counts.bad: "
             "{{ variables.app }} isn't given in templateVariables",
             "warning: spec.analysis.metrics[0].templateVariables.a: isn't used by the query"],
            id="counts with another variable, and a range that isn't per cent",
        ),
    ],
)  # fmt: skip
def test_a_metric_and_its_template(metric: Any, given: MetricTemplate, problems: list[str]) -> None:
    """A template is judged with the variables of the metric that refers to it."""
    assert reported(asking(metric), None, given) == problems


def test_a_template_may_name_its_own_server() -> None:
    """Then there is someone to ask, without metricsServer."""
    assert reported(asking(REFERS, server=None), None, template("up", address="http://prometheus:9090")) == []
    assert reported(asking(REFERS, server=None), None, template("up")) == [
        "error: spec.analysis.metrics[0].templateRef: has no Prometheus to ask; write spec.metricsServer"
    ]


def test_a_provider_that_needs_no_prometheus() -> None:
    """Neither metricsServer nor an address: the API server answers, or the vendor."""
    for provider in ({"type": "keptn"}, {"type": "datadog", "secretRef": {"name": "datadog"}}):
        text = "keptnmetric/x/errors" if provider["type"] == "keptn" else "avg:errors{*}"
        assert reported(asking(REFERS, server=None), None, template(text, **provider)) == []


def test_splunks_queries_are_sent_to_the_streaming_host() -> None:
    """Users write the host of its API, as for Flagger; an address of one's own stays."""
    for given, asked in (
        ("https://api.us1.signalfx.com", "https://stream.us1.signalfx.com"),
        ("http://x", "http://x"),
    ):
        assert template("x", type="splunk", address=given).spec.provider.server == asked


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(template("rate(errors[{{ variables.window }}])"), [], id="variables are the Canary's to give"),
        pytest.param(counting('a_total{app="{{ target }}"} - {{ variables.b }}'), [], id="counts"),
        pytest.param(
            counting("a_total[5m]", "b_total"),
            ["spec.counts.total: must be counters, such as orders_total{…}, or several with + and - between them: "
             "'[5m]' isn't one; canary takes the differences itself, without functions and windows"],
            id="counts with a window",
        ),
        pytest.param(
            counting("sum(a_total)", "queue"),
            ["spec.counts.total: must be counters, such as orders_total{…}, or several with + and - between them: "
             "'sum(a_total)' isn't one; canary takes the differences itself, without functions and windows",
             "spec.counts.bad: queue is hardly a counter of events: its name ends with none of _total, _count, "
             "_bucket"],
            id="counts that aren't counters",
        ),
        pytest.param(
            counting("a_total{", "{{ nmespace }}"),
            ["spec.counts.total: is no PromQL: '{' is never closed (line 1 of the query, column 8)",
             "spec.counts.bad: {{ nmespace }} is no template function; did you mean namespace?"],
            id="counts that can't be read",
        ),
        pytest.param(
            counting(query="up", provider={"type": "keptn"}),
            ["spec.counts: can't be used with query; write only one of them",
             "spec.counts: are counters of a Prometheus; this type of provider takes a query",
             "spec.query: is no query for the provider keptn, which takes `keptnmetric/NAMESPACE/NAME`"],
            id="counts beside a query, of another provider",
        ),
        pytest.param(
            MetricTemplate.model_validate({"metadata": {"name": "errors"}, "spec": {}}),
            ["spec: has neither query nor counts; write one of them"],
            id="neither a query nor counts",
        ),
        pytest.param(
            template("{{ nmespace }}"),
            ["spec.query: {{ nmespace }} is no template function; did you mean namespace?"],
            id="a misspelt function",
        ),
        pytest.param(
            template("rate(errors)"),
            ["spec.query: is no PromQL: expected type matrix in call to function 'rate', got vector "
             "(line 1 of the query, column 6)"],
            id="a query that doesn't parse",
        ),
        pytest.param(
            template("{{"), ["spec.query: the template opens '{{' and never closes it"], id="braces left open"
        ),
        pytest.param(
            template("up", address="prometheus:9090"),
            ["spec.provider.address: 'prometheus:9090' is no URL such as http://127.0.0.1:9090, without a query; "
             "did you mean http://prometheus:9090?"],
            id="an address without a scheme",
        ),
        pytest.param(
            template("up", headers={"X-Scope-OrgID": ["shop"]}, region="eu-west-1"),
            ["spec.provider.region: isn't used by the provider prometheus"],
            id="a tenant, and a region that isn't used",
        ),
        pytest.param(
            template("up", headers={"X Team": ["a"], "X-Team": ["a\nb"], "Authorization": ["Bearer abc"]}),
            ["spec.provider.headers['X Team']: is no name of an HTTP header, such as X-Scope-OrgID",
             "spec.provider.headers.X-Team: a header's value must be printable ASCII on one line",
             "spec.provider.headers.Authorization: is a credential that all readers of MetricTemplates see; "
             "put it into the Secret of secretRef"],
            id="headers that can't be sent, or that tell a password",
        ),
        pytest.param(template("up", headers={}, insecureSkipVerify=False), [], id="what asks for nothing"),
        pytest.param(
            template("target=a.{{ target }}", type="graphite", address="http://graphite"), [], id="Graphite"
        ),
        pytest.param(
            template("SELECT count(*) FROM x", type="newrelic", secretRef={"name": "newrelic"}), [],
            id="a provider with an address of its own",
        ),
        pytest.param(
            template("up", type="splunk"),
            ["spec.provider.address: is missing; this type of provider needs it",
             "spec.provider.secretRef: is missing; this type of provider needs it"],
            id="a provider without an address and credentials",
        ),
        pytest.param(
            template("[]", type="cloudwatch", region="evil.example/"),
            ["spec.provider.region: 'evil.example/' is no region, such as eu-west-1"],
            id="a region that would be another host",
        ),
        pytest.param(
            template("[]", type="cloudwatch"),
            ["spec.provider.region: is missing; this type of provider needs it"],
            id="no region",
        ),
        pytest.param(
            template("sum(rate(a[1m]))", type="graphite", address="http://graphite"),
            ["spec.query: is no query for the provider graphite, which takes `target=…`"],
            id="PromQL for another provider",
        ),
        pytest.param(
            template("keptnmetric/{{ namespace }}/errors", type="keptn", secretRef={"name": "keptn"}),
            ["spec.provider.secretRef: isn't used by the provider keptn"],
            id="credentials that no one wants",
        ),
    ],
)  # fmt: skip
def test_a_template_alone(given: MetricTemplate, problems: list[str]) -> None:
    """What is wrong, no matter who refers to it."""
    assert [str(each) for each in check_template(given)] == problems


HOOK = {"name": "check", "url": "http://x/"}


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(
            canary(steps=[{"weight": 10, "gates": [{"name": "a", "webhook": {"url": "http://x/"}},
                                                   {"name": "b", "opa": {"url": "http://x/v1/data/go"}}]}]), [],
            id="gates that calls open",
        ),
        pytest.param(
            canary(steps=[{"weight": 10, "gates": [{"webhook": {"url": "x"}, "approval": {}},
                                                   {"opa": {"url": "x", "timeout": "2h"}}]}]),
            ["error: spec.analysis.steps[0].gates[0]: must have exactly one of approval, webhook and opa, "
             "such as `approval: {count: 1}`",
             "error: spec.analysis.steps[0].gates[1].name: is missing; a gate that isn't an approval needs a name",
             "error: spec.analysis.steps[0].gates[1].opa.url: 'x' is no URL of a webhook; "
             "write one such as http://loadtester.test/gate/check",
             "error: spec.analysis.steps[0].gates[1].opa.timeout: must be at most 1h, not 2h",
             "error: spec.analysis.steps[0].gates[1]: two gates of this step are called approval; "
             "give each a name of its own"],
            id="gates that nothing can open",
        ),
        pytest.param(
            canary(webhooks=[{**HOOK, "type": one} for one in HookType]), [],
            id="hooks",
        ),
        pytest.param(
            canary(webhooks=[{**HOOK, "url": "loadtester/"}, {**HOOK, "url": "http://x/?a=b", "timeout": "0s"}]),
            ["error: spec.analysis.webhooks[0].url: 'loadtester/' is no URL of a webhook; "
             "write one such as http://loadtester.test/gate/check",
             "error: spec.analysis.webhooks[1].timeout: must be longer than 0s"],
            id="hooks that can't be called",
        ),
        pytest.param(
            canary(webhooks=[{**HOOK, "url": "http://a:secret@x y/", "timeout": "2h"}]),
            ["error: spec.analysis.webhooks[0].url: 'http://***@x y/' is no URL of a webhook; "
             "write one such as http://loadtester.test/gate/check",
             "error: spec.analysis.webhooks[0].timeout: must be at most 1h, not 2h"],
            id="a hook with a password, that may take too long",
        ),
        pytest.param(
            canary(webhooks=[{**HOOK, "url": "http://a:b\u2100@x/"}]),
            ["error: spec.analysis.webhooks[0].url: 'http://***@x/' is no URL of a webhook; "
             "write one such as http://loadtester.test/gate/check"],
            id="a hook whose URL has no certain parts",
        ),
        pytest.param(
            canary(webhooks=[{**HOOK, "metadata": {str(index): "x" * 4000 for index in range(5)}}]),
            ["error: spec.analysis.webhooks: have 20172 bytes, and a rollout can keep 16384; shorten metadata"],
            id="hooks that status has no room for",
        ),
        pytest.param(
            canary(steps=None, iterations=3, webhooks=[HOOK, {**HOOK, "type": "confirm-traffic-increase"}]),
            ["warning: spec.analysis.webhooks[1].type: confirm-traffic-increase is never called, because no step has "
             "a weight; use confirm-promotion"],
            id="a gate of increases where there are none",
        ),
        pytest.param(
            canary(webhooks=[{**HOOK, "type": "confirm-rolout"}]),
            ["error: spec.analysis.webhooks[0].type: 'confirm-rolout' is no type of webhook; "
             "did you mean confirm-rollout?"],
            id="a misspelt type",
        ),
        pytest.param(
            canary(alerts=[{"name": "chat", "providerRef": {"name": "slack"}}], primaryReadyThreshold=50,
                   canaryReplicas=3),
            ["warning: spec.analysis.alerts[0].severity: is missing, so all alerts are sent, as with info; "
             "Flagger sends none then. Write info, warn or error",
             "warning: spec.analysis.primaryReadyThreshold: isn't used with an EnvoyRoute; "
             "capacity says whether replicas are waited for",
             "warning: spec.analysis.canaryReplicas: isn't used with an EnvoyRoute: its replicas are yours"],
            id="alerts and ready thresholds",
        ),
        pytest.param(
            canary({"autoscalerRef": {"kind": "HorizontalPodAutoscaler", "name": "x"}, "service": {"port": 80}}),
            ["warning: spec.autoscalerRef: has no effect with a targetRef of kind EnvoyRoute, "
             "only with Deployment, DaemonSet and Service; remove it",
             "warning: spec.service: has no effect with a targetRef of kind EnvoyRoute, "
             "only with Deployment, DaemonSet and Service; remove it"],
            id="fields for targets that are cloned",
        ),
    ],
)  # fmt: skip
def test_fields_that_are_not_acted_on(given: Canary, problems: list[str]) -> None:
    """An error where silence would let something through, else a warning."""
    assert reported(given) == problems


def test_a_policy_supplies_what_the_canary_lacks() -> None:
    """With it, nothing is missing."""
    assert reported(canary({"policyRef": STANDARD, "analysis": None}), policy(**ANALYSIS)) == []


def test_a_problem_of_the_policy_stands_at_policy_ref() -> None:
    """The sentence says which policy, and where in it."""
    bad = policy(**{**ANALYSIS, "interval": "0s"})
    assert reported(canary({"policyRef": STANDARD, "analysis": None}), bad) == [
        "error: spec.policyRef: in the policy standard, spec.analysis.interval: must be at least 1s, not 0s"
    ]


def test_a_canary_takes_a_strategy_from_one_side_only() -> None:
    """A single field of a strategy replaces the policy's, and that is said."""
    given = canary({"policyRef": STANDARD, "analysis": {"maxWeight": 50}})
    assert reported(given, policy(interval="1m", metrics=[RATE], stepWeight=10)) == [
        "error: spec.analysis: doesn't say how traffic moves: "
        "write steps, stepWeights, stepWeight or iterations; maxWeight takes the policy's place"
    ]


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        pytest.param(policy(interval="1m"), [], id="a policy needn't be a whole analysis"),
        pytest.param(
            policy(metrics=[REFERS, query("up", name="up")]), [], id="templates and servers are the Canary's to know"
        ),
        pytest.param(
            policy(stepWeights=[20, 10], threshold=0),
            ["spec.analysis.stepWeights[1]: goes down from 20 to 10; weights may only stay or rise",
             "spec.analysis.threshold: 0 means 1: the first failed check rolls back"],
            id="what is wrong, no matter who refers to it",
        ),
    ],
)  # fmt: skip
def test_a_policy_alone(given: CanaryPolicy, problems: list[str]) -> None:
    """Only what no Canary could put right."""
    assert [str(each) for each in check_policy(given)] == problems
