"""What the chart's roles let people do, and whose name an action may bear: real accounts ask a real API server."""

import pytest

from tests.chart.release import RBAC
from tests.chart.team import AGGREGATED, PATCH, ROLES, Team
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

MUST = "spec.author: must be your own name, "
EVERYBODY = (*ROLES, *AGGREGATED)
OURS = ("canaries", "canarypolicies", "metrictemplates")
WORKLOADS = ("deployments", "statefulsets", "daemonsets")
WRITES = ("create", "update", "patch", "delete")
MAY: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "everybody reads all kinds": (EVERYBODY, ("get", "list"), (*OURS, "canaryactions")),
    "everybody reads which routes and pods a version means": (
        EVERYBODY,
        ("get",),
        ("virtualservices", "services", *WORKLOADS),
    ),
    "everybody reads which build stands behind it": (
        EVERYBODY,
        ("list",),
        ("destinationrules", "statefulsets", "daemonsets", "replicasets", "controllerrevisions"),
    ),
    "approvers and operators act": (("approver", "operator", "edit"), ("create",), ("canaryactions",)),
    "operators edit what belongs to a rollout": (("operator", "edit"), WRITES, OURS),
}
"""Who, which verbs, on what."""
MAY_NOT: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "viewers write nothing": (("viewer", "view"), WRITES, (*OURS, "canaryactions", "virtualservices")),
    "approvers edit nothing": (("approver",), WRITES, (*OURS, "virtualservices")),
    "routes are moved by no one": (EVERYBODY, WRITES, ("virtualservices", "destinationrules")),
    "workloads aren't part of a role": (tuple(ROLES), WRITES, (*WORKLOADS, "services")),
    "what no one needs isn't either": (tuple(ROLES), ("get", "list"), ("pods", "secrets", "configmaps")),
    "an action stays as it was asked": (EVERYBODY, ("update", "patch", "delete"), ("canaryactions",)),
    "a status is the controller's": (EVERYBODY, ("update", "patch"), ("canaries/status", "canaryactions/status")),
    "the cluster's policies are an administrator's": (EVERYBODY, WRITES, ("clustercanarypolicies",)),
}


@pytest.mark.parametrize(("people", "verbs", "plurals"), MAY.values(), ids=list(MAY))
def test_a_role_allows(team: Team, people: tuple[str, ...], verbs: tuple[str, ...], plurals: tuple[str, ...]) -> None:
    """What its work needs."""
    asked = [(who, verb, plural) for who in people for verb in verbs for plural in plurals]
    assert [each for each in asked if not team.may(*each)] == []


@pytest.mark.parametrize(("people", "verbs", "plurals"), MAY_NOT.values(), ids=list(MAY_NOT))
def test_a_role_refuses(
    team: Team, people: tuple[str, ...], verbs: tuple[str, ...], plurals: tuple[str, ...]
) -> None:
    """All else, before anything else is looked at."""
    asked = [(who, verb, plural) for who in people for verb in verbs for plural in plurals]
    assert [each for each in asked if team.may(*each)] == []


def test_who_is_bound_for_the_whole_cluster_reads_its_policies(team: Team) -> None:
    """A role in a namespace says nothing about what has none."""
    assert not team.may("viewer", "list", "clustercanarypolicies")
    kube, bindings, name = team.plane.kube, f"{RBAC}/clusterrolebindings", f"{team.namespace}-viewer"
    subject = {"kind": "ServiceAccount", "name": "viewer", "namespace": team.namespace}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLES["viewer"]}
    kube.create(bindings, {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]})
    try:
        wait_for(lambda: team.may("viewer", "list", "clustercanarypolicies"), "the binding", within=SLOWLY)
    finally:
        kube.request("DELETE", f"{bindings}/{name}")


@pytest.mark.parametrize("who", ["approver", "operator", "edit", "admin"])
def test_a_forged_author_is_refused(team: Team, who: str) -> None:
    """Anyone who asks, with the name that it must be."""
    answer = team.act(who, "ada")
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    assert answer.json()["message"].endswith(f"denied request: {MUST}{team.name(who)}")


@pytest.mark.parametrize("who", ["approver", "operator", "edit", "admin"])
def test_ones_own_name_is_accepted(team: Team, who: str) -> None:
    """And kept as it was given."""
    answer = team.act(who, team.name(who))
    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"]["author"] == team.name(who)


def test_a_viewer_can_not_even_act_in_the_own_name(team: Team) -> None:
    """It is RBAC that says so."""
    answer = team.act("viewer", team.name("viewer"))
    assert answer.status_code == 403
    assert 'cannot create resource "canaryactions"' in answer.json()["message"]


def test_an_action_is_not_changed_by_anybody(team: Team) -> None:
    """Not by an administrator either, whose own it is; its metadata may be."""
    assert team.act("admin", "admin", "mine").status_code == 201
    path, kube = team.path("canaryactions", "mine"), team.plane.kube
    answer = kube.request("PATCH", path, {"spec": {"verb": "promote"}}, content_type=PATCH)
    assert answer.status_code in (403, 422)
    assert "never changed" in answer.json()["message"]
    assert kube.read(path)["spec"]["verb"] == "pause"
    kube.merge(path, {"metadata": {"labels": {"a": "b"}}})
