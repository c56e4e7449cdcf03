"""`service.primaryLabels: keep`: what selects the target's pods selects all that serve; Services tell them apart."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.kube.resources import DEPLOYMENTS, SERVICES
from canary.primary.services import services
from canary.primary.workload import primary
from tests.primary.memory import replica_set, with_podinfo
from tests.primary.podinfo import DEPLOYMENT, REVISION, Data, Object, canary, deployment, template
from tests.primary.test_writes import NEXT, made, port, seen

BUILD = {"pod-template-hash": "6bd4f5c9"}
KEPT = {"canary-controller.dev/primary": "podinfo-primary"}


def kept() -> Canary:
    return canary({"primaryLabels": "keep"})


def pods(target: Object, given: Canary) -> tuple[dict[str, str], dict[str, str]]:
    """Labels of the primary's pods, and of the target's."""
    found = primary(given, target, template(target), REVISION, None)["spec"]["template"]["metadata"]["labels"]
    hashed = {"pod-template-hash": "5f9c"}
    return {**found, **hashed}, {**target["spec"]["template"]["metadata"]["labels"], **BUILD}


def matches(selector: Data, labels: Data) -> bool:
    """As Kubernetes selects, for PodDisruptionBudgets, NetworkPolicies and others; Istio has `matchLabels` alone."""
    operators: dict[str, Callable[[str, Any], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    asked = selector.get("matchExpressions") or ()
    return (selector.get("matchLabels") or {}).items() <= labels.items() and all(
        operators[one["operator"]](one["key"], one.get("values") or ()) for one in asked
    )


AUTHORIZATION_POLICY: Object = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "spec": {"selector": {"matchLabels": {"app": "podinfo"}}, "action": "DENY"},
}
DISRUPTION_BUDGET: Object = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "podinfo", "tier": "web"}}},
}
NETWORK_POLICY: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "spec": {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["podinfo", "shop"]}]}},
}


@pytest.mark.parametrize(
    "policy", [AUTHORIZATION_POLICY, DISRUPTION_BUDGET, NETWORK_POLICY], ids=lambda one: one["kind"]
)
def test_policies_select_all_serving_pods(policy: Object) -> None:
    """Relabelled, the primary's pods have no policy: all users meet these."""
    selector = policy["spec"].get("selector") or policy["spec"]["podSelector"]
    assert [matches(selector, one) for one in pods(DEPLOYMENT, kept())] == [True, True]
    assert [matches(selector, one) for one in pods(DEPLOYMENT, canary())] == [False, True]


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y"]))
EXPRESSIONS = st.lists(
    st.fixed_dictionaries({
        "key": st.sampled_from(["app", *"abcd"]),
        "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        "values": st.lists(st.sampled_from(["podinfo", "x", "y"]), min_size=1),
    }),
    max_size=2,
)  # fmt: skip


@given(LABELS, st.builds(dict, matchLabels=LABELS, matchExpressions=EXPRESSIONS))
def test_all_labels_that_select_the_target_select_the_primary(more: dict[str, str], selector: dict[str, Any]) -> None:
    target = deployment({"app": "podinfo"})
    target["spec"]["template"]["metadata"]["labels"] = {"app": "podinfo", **more}
    promoted, pushed = pods(target, kept())
    assert matches(selector, promoted) == matches(selector, pushed)


def test_services_tell_them_apart() -> None:
    """A Service can't say that a label is missing, so the canary's selects the hash of the build."""
    promoted, pushed = pods(DEPLOYMENT, kept())
    apex, stable, own = (one["spec"]["selector"] for one in services(kept(), DEPLOYMENT, BUILD["pod-template-hash"]))
    for selector in (apex, stable):
        assert selector == {"app": "podinfo", **KEPT}
        assert (matches({"matchLabels": selector}, promoted), matches({"matchLabels": selector}, pushed)) == (
            True,
            False,
        )
    assert own == {"app": "podinfo", **BUILD}
    assert (matches({"matchLabels": own}, promoted), matches({"matchLabels": own}, pushed)) == (False, True)


def test_the_primary_owns_its_pods_alone() -> None:
    """Its selector has the label that the target's pods don't have; metadata keep what the target's have."""
    found = primary(kept(), DEPLOYMENT, template(DEPLOYMENT), REVISION, None)
    promoted, pushed = pods(DEPLOYMENT, kept())
    assert matches(found["spec"]["selector"], promoted)
    assert not matches(found["spec"]["selector"], pushed)
    assert found["metadata"]["labels"] == {"app": "podinfo", "team": "shop", **KEPT}


@pytest.mark.parametrize(
    ("selector", "narrowed"),
    [
        ({"matchLabels": {"app": "podinfo"}}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["podinfo"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["podinfo"]}]}, False),
        ({"matchLabels": {"app": "db"}}, False),
    ],
)
def test_pods_are_spread_among_themselves(selector: Object, narrowed: bool) -> None:
    """Those of the primary don't make room for the canary's."""
    pod = {"containers": [], "topologySpreadConstraints": [{"maxSkew": 1, "labelSelector": selector}]}
    target = deployment(pod=pod)
    made = primary(kept(), target, template(target), REVISION, None)["spec"]["template"]["spec"]
    [found] = made["topologySpreadConstraints"]
    more = {"matchLabels": {"app": "podinfo", **KEPT}} if narrowed else {}
    assert found["labelSelector"] == {**selector, **more}


SERVICE = {"service": {"port": 9898, "primaryLabels": "keep"}}


def test_the_canarys_service_follows_the_build() -> None:
    """It is provisioned with the target's newest, and again once that is another one."""
    memory = with_podinfo()
    primary = made(memory, **SERVICE)
    assert (seen(primary).build, seen(primary).missing) == ("a", ())
    replica_set(memory, "b", 2, NEXT)
    primary.provision("a")
    assert (seen(primary).build, seen(primary).revision) == ("b", "a")
    for name in ("podinfo", "podinfo-primary"):
        assert memory.get(SERVICES, "shop", name)["spec"]["selector"] == {"app": "podinfo", **KEPT}


def test_it_is_given_back() -> None:
    memory = with_podinfo()
    primary = made(memory, **SERVICE)
    assert not seen(primary).returned
    primary.give_back("a")
    assert seen(primary).returned
    assert memory.get(SERVICES, "shop", "podinfo")["spec"]["selector"] == {"app": "podinfo"}
    primary.remove()
    assert {kind for kind, _ in memory.objects} == {"Deployment", "ReplicaSet"}


@pytest.mark.parametrize(("before", "after"), [(SERVICE, {}), ({}, SERVICE)], ids=["keep", "relabel"])
def test_a_primary_that_is_there_keeps_its_selector(
    before: Object, after: Object, request: pytest.FixtureRequest
) -> None:
    """Kubernetes refuses another one; a sentence says what to do, and nothing that serves is changed."""
    memory = with_podinfo()
    made(memory, **before)
    found = seen(port(memory, **after))
    assert found.missing[0] == "Deployment podinfo-primary"
    had = request.node.callspec.id
    assert found.wrong.startswith(f"spec.service.primaryLabels: podinfo-primary was made with {had}")
    assert memory.get(DEPLOYMENTS, "shop", "podinfo-primary")["spec"]["replicas"] == 2
