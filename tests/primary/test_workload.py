"""The primary: what it has of the target, and what is its own."""

from collections.abc import Mapping
from typing import Any

import pytest

from canary.engine.errors import Invalid
from canary.primary.workload import primary, selector_label

from .podinfo import DEPLOYMENT, POD, REVISION, Object, canary, deployment, template


def made(target: Object = DEPLOYMENT, replicas: int | None = 2) -> Object:
    """The primary of podinfo."""
    return primary(canary(name="release"), target, template(target), REVISION, replicas)


def test_the_whole_primary() -> None:
    """All that is sent to the API server: nothing that the server wrote is in it."""
    assert made() == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "podinfo-primary",
            "namespace": "test",
            "labels": {"app": "podinfo-primary", "team": "shop"},
            "annotations": {
                "team/chat": "#shop",
                "canary-controller.dev/revision": REVISION,
                "canary-controller.dev/canary": "release",
            },
        },
        "spec": {
            "replicas": 2,
            "minReadySeconds": 5,
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 60,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": "25%"}},
            "selector": {"matchLabels": {"app": "podinfo-primary"}},
            "template": {
                "metadata": {
                    "labels": {"app": "podinfo-primary", "tier": "web"},
                    "annotations": {"prometheus.io/scrape": "true"},
                },
                "spec": POD,
            },
        },
    }


def test_replicas_of_another_client_are_left_out() -> None:
    """Server-side apply would own them otherwise; none at all is a number as well."""
    assert "replicas" not in made(replicas=None)["spec"]
    assert made(replicas=0)["spec"]["replicas"] == 0


def test_the_template_is_that_of_the_revision() -> None:
    """Also if the target has changed meanwhile."""
    pinned = template(DEPLOYMENT)
    pushed = deployment(pod={"containers": [{"name": "podinfod", "image": "stefanprodan/podinfo:6.0.1"}]})
    assert primary(canary(), pushed, pinned, REVISION, None)["spec"]["template"]["spec"] == POD


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({"app": "podinfo"}, ("app", "podinfo")),
        ({"app.kubernetes.io/name": "web", "name": "podinfo"}, ("name", "podinfo")),
        ({"app.kubernetes.io/name": "web", "tier": "web"}, ("app.kubernetes.io/name", "web")),
        ({"app": "", "name": "podinfo"}, ("name", "podinfo")),
        ({"app": "x" * 55}, ("app", "x" * 55)),
    ],
)
def test_the_label_that_tells_them_apart(labels: dict[str, str], found: tuple[str, str]) -> None:
    """The first of Flagger's that has a value."""
    assert selector_label(deployment(labels)) == found


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (
            {"tier": "web"},
            "podinfo is selected by none of the labels app, name and app.kubernetes.io/name, so its pods can't be "
            "distinguished from those of a primary; create it again with one of them in spec.selector.matchLabels",
        ),
        (
            {"app": "x" * 56},
            f"podinfo is selected by app={'x' * 56}, and with -primary the value is longer than the 63 characters of "
            "a label; create it again with a shorter one",
        ),
    ],
)
def test_pods_that_could_not_be_distinguished(labels: dict[str, str], sentence: str) -> None:
    """A sentence for the owner of the Deployment."""
    with pytest.raises(Invalid) as caught:
        made(deployment(labels))
    assert str(caught.value) == sentence


def test_a_selector_of_expressions_alone_has_no_label() -> None:
    """An API server accepts it."""
    target = deployment()
    target["spec"]["selector"] = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    with pytest.raises(Invalid, match="selected by none of the labels"):
        made(target)


@pytest.mark.parametrize(
    ("block", "key"),
    [
        ("labels", "kustomize.toolkit.fluxcd.io/name"),
        ("labels", "app.kubernetes.io/instance"),
        ("labels", "app.kubernetes.io/managed-by"),
        ("annotations", "helm.toolkit.fluxcd.io/driftDetection"),
        ("annotations", "kubectl.kubernetes.io/last-applied-configuration"),
        ("annotations", "deployment.kubernetes.io/revision"),
        ("annotations", "argocd.argoproj.io/tracking-id"),
        ("annotations", "meta.helm.sh/release-name"),
        ("annotations", "canary-controller.dev/canary"),
    ],
)
def test_marks_of_managers_are_not_copied(block: str, key: str) -> None:
    """Else the primary would be taken for theirs, and pruned."""
    target = deployment(**{block: {key: "x", "kept": "y"}})
    found = made(target)["metadata"][block]
    assert (found.get(key), found["kept"]) == ("release" if key == "canary-controller.dev/canary" else None, "y")


def test_flux_marks_are_not_copied_to_pods() -> None:
    """All else of the template's metadata is the application's."""
    target = deployment()
    metadata = target["spec"]["template"]["metadata"]
    metadata["labels"]["app.kubernetes.io/instance"] = "shop"
    metadata["labels"]["kustomize.toolkit.fluxcd.io/name"] = "apps"
    metadata["annotations"] = {"kustomize.toolkit.fluxcd.io/checksum": "1"}
    assert made(target)["spec"]["template"]["metadata"] == {
        "labels": {"app": "podinfo-primary", "tier": "web", "app.kubernetes.io/instance": "shop"}
    }


OWN = {"matchLabels": {"app": "podinfo", "tier": "web"}}
THEIRS = {"matchLabels": {"app": "podinfo-primary", "tier": "web"}}


def one_of(*values: str, key: str = "app") -> Object:
    """A selector by expression."""
    return {"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(OWN, THEIRS, id="by label"),
        pytest.param(one_of("podinfo", "web"), one_of("podinfo-primary", "web"), id="by expression"),
        pytest.param({"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "web"}}, id="pods of another workload"),
        pytest.param({"matchLabels": {"name": "podinfo"}}, {"matchLabels": {"name": "podinfo"}}, id="a kept label"),
        pytest.param(one_of("podinfo", key="tier"), one_of("podinfo", key="tier"), id="a kept label by expression"),
        pytest.param(
            {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
            {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
            id="any value",
        ),
        pytest.param({}, {}, id="all pods"),
    ],
)
def test_pods_spread_among_themselves(given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Wherever the target speaks of its own pods, the primary speaks of the primary's."""

    def pod(selector: Mapping[str, Any]) -> Object:
        term = {"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}
        terms = {
            "requiredDuringSchedulingIgnoredDuringExecution": [term],
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
        }
        spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
        return {
            "topologySpreadConstraints": [{**spread, "labelSelector": selector}, spread],
            "affinity": {"podAntiAffinity": terms, "podAffinity": terms, "nodeAffinity": {"x": selector}},
        }

    found = made(deployment(pod=pod(given)))["spec"]["template"]["spec"]
    wanted = pod(expected)
    wanted["affinity"]["nodeAffinity"] = {"x": given}
    assert {name: found[name] for name in wanted} == wanted
