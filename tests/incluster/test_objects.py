"""Canary objects as others see them: what they refer to, what is wrong with them, kubectl, and what isn't ours."""

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.stores.projection import FINALIZER
from tests.bookinfo.site import GATED, NAME, RATES
from tests.incluster.objects import GROUP, generation, is_gone, make, truth, until_reported
from tests.incluster.site import Replica, Site
from tests.parts.cluster import ControlPlane

Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(site: Site, control_plane: ControlPlane) -> Kubectl:
    """What kubectl says in the site's namespace; it must end well."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(site.folder), "KUBECONFIG": site.environment["KUBECONFIG"]}

    def run(*arguments: str) -> str:
        command = [str(control_plane.tools / "kubectl"), "--namespace", site.mesh.namespace, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_kubectl_shows_a_rollout_and_waits_for_its_end(site: Site, kubectl: Kubectl) -> None:
    """Columns, Events in `describe`, and the conditions of kstatus, at a gate and at the end."""
    site.controller()
    site.apply(steps=GATED)
    site.until("WaitingForApproval")
    header, row = kubectl("get", "canary").splitlines()
    columns = dict(zip(header.split(), row.split(), strict=True))
    assert columns.pop("AGE")
    assert columns == {
        **{"NAME": NAME, "TARGET": NAME, "VERSION": "v2", "READY": "False", "PHASE": "WaitingPromotion"},
        **{"WEIGHT": "30", "STEP": "1/2", "REASON": "WaitingForApproval"},
    }
    assert "an approval" in kubectl("get", "cny", "-o", "wide")
    kubectl("wait", "--for=condition=Reconciling", "canary/reviews", "--timeout=60s")
    assert (truth(site, "Ready")[0], truth(site, "Stalled")[0]) == ("False", "False")
    site.act("approve")
    kubectl("wait", "--for=condition=Promoted", "canary/reviews", "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "canary/reviews", "--timeout=60s")
    assert (truth(site, "Reconciling")[0], truth(site, "Stalled")[0]) == ("False", "False")
    found = site.found()
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    until_reported(site, "Promoted")
    described = kubectl("describe", "canary/reviews")
    for reason in ("Started", "CanaryReady", "ApproveAsked", "Promoted"):
        assert f" {reason} " in described.partition("Events:")[2]


@pytest.mark.long
def test_a_policy_that_is_edited_in_mid_rollout_is_for_the_next_one(site: Site) -> None:
    """The rollout keeps what it began with, an Event says so, and the next one takes what is there."""
    make(site, "canarypolicies", "ours", {"analysis": {"steps": GATED}})
    site.controller()
    site.apply(spec={"policyRef": {"name": "ours"}, "analysis": quick()})
    site.until("WaitingForApproval")
    make(site, "canarypolicies", "ours", {"analysis": {"steps": [{**GATED[0], "weight": 60}]}})
    until_reported(site, "EditedLater", "that is for the next rollout")
    assert site.traffic == Traffic(weight=30)
    site.act("approve")
    site.until_phase("Succeeded")
    assert site.status.history[0].weight == 100
    site.change(version="v3")
    site.until("WaitingForApproval")
    assert site.state("v2", "v3").traffic == Traffic(weight=60)


def quick() -> dict[str, Any]:
    """Without a strategy, which the policy has."""
    return {"interval": "2s", "threshold": 2, "settle": "1s", "drain": "0s", "scrapeInterval": "1s", "metrics": RATES}


@pytest.mark.long
@pytest.mark.parametrize("kind", ["CanaryPolicy", "ClusterCanaryPolicy", "MetricTemplate"])
def test_what_is_missing_is_named_and_heals_when_it_is_there(site: Site, kind: str) -> None:
    """Nothing moves meanwhile; the watch tells, long before the next unasked look."""
    name = f"ours-{site.mesh.namespace}"
    template = {"name": "errors", "templateRef": {"name": name}, "thresholdRange": {"max": 1}}
    refers: dict[str, Any] = {"policyRef": {"kind": kind, "name": name}, "analysis": quick()}
    spec: dict[str, Any] = {"analysis": {"stepWeights": [50]}}
    plural = f"{kind.lower().removesuffix('y')}ies"
    if kind == "MetricTemplate":
        refers = {"analysis": {**quick(), "stepWeights": [50], "metrics": [*RATES, template]}}
        plural, spec = (
            "metrictemplates",
            {"query": 'sum(rate(nothing_at_all{a="{{ target }}"}[{{ interval }}])) or vector(0)'},
        )
    everywhere = ("--namespace", "") if kind == "ClusterCanaryPolicy" else ()  # for one, those of all are unknown
    site.controller("--resync", "1h", *everywhere)
    site.apply(spec=refers)
    site.until("InvalidSpec")
    assert truth(site, "Stalled") == ("True", "InvalidSpec")
    assert name in site.status.message
    assert (site.status.rollout, site.traffic) == (None, Traffic())
    make(site, plural, name, spec)
    site.until_phase("Succeeded")
    if kind == "ClusterCanaryPolicy":
        site.mesh.kube.request("DELETE", f"{GROUP}/{plural}/{name}")


@pytest.mark.long
def test_what_passes_the_schema_and_is_wrong_all_the_same_moves_nothing(site: Site) -> None:
    """Lint's sentence is in `Stalled`; what mends it starts the rollout."""
    written = generation(site)
    site.controller()
    bad = [{"name": "errors", "query": "sum(rate(x[", "thresholdRange": {"max": 1}}]
    site.apply(steps=[{"weight": 50}], metrics=bad)
    site.until("InvalidSpec")
    assert truth(site, "Stalled") == ("True", "InvalidSpec")
    assert "spec.analysis.metrics[0].query" in site.status.message
    assert (generation(site), site.status.rollout) == (written, None)
    site.apply(steps=[{"weight": 50}])
    site.until_phase("Succeeded")


@pytest.mark.long
@pytest.mark.parametrize("allowed", ["", "http://prometheus.monitoring:9090"])
def test_an_address_that_may_not_be_asked_moves_nothing(site: Site, allowed: str) -> None:
    """None may by default. The sentence names the setting; with one that allows it the rollout starts."""
    controller = site.controller(environment={"CANARY_ALLOWED_METRICS_SERVERS": allowed})
    site.apply(steps=[{"weight": 50}])
    site.until("InvalidSpec")
    assert truth(site, "Stalled") == ("True", "InvalidSpec")
    reported = "may not be queried; to allow it, add it to the controller's --allowed-metrics-servers (Helm value"
    assert reported in site.status.message
    assert (site.status.rollout, site.traffic) == (None, Traffic())
    controller.send(signal.SIGTERM)
    controller.ends()
    site.controller(environment={"CANARY_ALLOWED_METRICS_SERVERS": f"http://x:1,{site.mesh.prometheus.url}"})
    site.until_phase("Succeeded")


@pytest.mark.long
def test_without_a_prometheus_to_ask_nothing_starts_and_what_runs_waits_for_one(site: Site) -> None:
    """The sentence names both ways to say who it is; without the setting no rollout of before is stranded."""
    own = ("--metrics-server", site.mesh.prometheus.url)
    written = generation(site)
    site.apply(steps=[*GATED, {"weight": 60}])
    site.change(metricsServer=None)
    forgetful = site.controller()
    site.until("InvalidSpec")
    assert truth(site, "Stalled") == ("True", "InvalidSpec")
    assert "spec.metricsServer: is missing" in site.status.message
    assert "--metrics-server" in site.status.message
    assert (generation(site), site.status.rollout) == (written, None)
    restarted(site, forgetful, *own)
    site.until("WaitingForApproval")
    forgetful = restarted(site, site.replicas[-1])
    site.act("approve")
    site.until("MetricsUnreachable")
    assert (truth(site, "Stalled")[0], site.traffic) == ("False", Traffic(weight=60))
    assert "there is no Prometheus to ask" in site.status.message
    restarted(site, forgetful, *own)
    site.until_phase("Succeeded")
    assert site.status.rollouts == 1


def restarted(site: Site, controller: Replica, *options: str) -> Replica:
    """Another one after it, reported this."""
    controller.send(signal.SIGTERM)
    controller.ends()
    return site.controller(*options)


@pytest.mark.long
def test_a_rollout_whose_spec_becomes_invalid_holds_and_still_goes_back(site: Site) -> None:
    """It keeps the rules that it began with; bad evidence is answered by them."""
    site.controller()
    site.apply(steps=[{"weight": 30, "hold": "3s"}, {"weight": 60}])
    site.until_weight(30)
    site.change(analysis={"metrics": [{"name": "errors", "query": "sum(", "thresholdRange": {"max": 1}}]})
    site.until("InvalidSpec")
    assert (truth(site, "Stalled")[0], site.traffic) == ("True", Traffic(weight=30))
    site.mesh.behave("reviews-v2", errors=1.0)
    site.until_phase("Failed")
    assert (site.traffic, site.status.rollout) == (Traffic(), None)
    assert "request-success-rate" in site.status.history[0].message


@pytest.mark.long
def test_a_status_that_can_not_be_read_says_so_and_goes_on_once_it_is_mended(site: Site) -> None:
    """Someone has edited it in mid-rollout: also for a controller that starts then. What it says mends it."""
    controller = site.controller()
    site.apply(steps=[*GATED, {"weight": 60}])
    site.until("WaitingForApproval")
    path = site.path("Canary", NAME) + "/status"
    site.mesh.kube.merge(path, {"status": {"rollout": {"step": 9}}})
    site.act("promote")
    why = "status.rollout: there is no step 9 in its plan of 4"
    site.when(lambda: site.found()["status"]["reason"] == "StatusUnreadable", "a complaint")
    status = site.found()["status"]
    assert status["message"].startswith(why)
    assert {one["type"]: one["status"] for one in status["conditions"]}["Stalled"] == "True"
    assert (site.traffic, "Traceback" in controller.text, why in controller.text) == (Traffic(weight=30), False, True)
    controller.send(signal.SIGTERM)
    controller.ends()
    again = site.controller()
    site.when(lambda: why in again.text, "a line in the log")
    site.mesh.kube.merge(path, {"status": {"rollout": {"step": status["rollout"]["step"] - 8}}})
    site.until_phase("Succeeded")
    assert ("Traceback" in again.text, truth(site, "Stalled"), site.status.rollouts) == (
        False,
        ("False", "Promoted"),
        1,
    )


@pytest.mark.long
def test_what_is_not_ours_survives_a_rollout(site: Site) -> None:
    """Labels, annotations and finalizers of others, and what a newer canary wrote into status."""
    site.controller()
    site.apply("v1", steps=[{"weight": 50}])
    site.until("AlreadyServing")
    theirs = {"labels": {"team": "shop"}, "annotations": {"note": "mine"}, "finalizers": ["somebody.example/else"]}
    site.mesh.kube.merge(site.path("Canary", NAME), {"metadata": theirs})
    newer = {"forecast": {"sunny": True}, "rollout": None}
    site.mesh.kube.merge(f"{site.path('Canary', NAME)}/status", {"status": newer})
    site.change(version="v2")
    site.until_phase("Succeeded")
    site.when(lambda: FINALIZER not in site.found()["metadata"]["finalizers"], "our finalizer to be taken off")
    found = site.found()
    assert {name: found["metadata"][name] for name in theirs} == theirs
    assert found["status"]["forecast"] == {"sunny": True}
    assert found["spec"]["version"] == "v2"
    site.delete()
    site.when(lambda: site.status.phase == "Terminating", "the deletion to be seen")
    site.mesh.kube.merge(site.path("Canary", NAME), {"metadata": {"finalizers": None}})
    site.when(lambda: is_gone(site), "the Canary to be gone")
