"""What the chart's roles let people do, and whose name an action may bear: real accounts ask a real API server."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
import requests

from canary.api.canary import API_VERSION
from tests.chart.helm import Data
from tests.chart.release import RBAC, Release, person, username
from tests.chart.test_install import SHOP
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

KINDS = f"/apis/{API_VERSION}"
ROLES = {"viewer": "canary-viewer", "approver": "canary-approver", "operator": "canary-operator"}
AGGREGATED = {"view": "view", "edit": "edit"}
PATCH = "application/merge-patch+json"
MUST = "spec.author: must be your own name, "


@dataclass(frozen=True)
class Team:
    """One account for each role, in a namespace with a Canary and what belongs to it."""

    plane: ControlPlane
    namespace: str

    def path(self, plural: str, name: str = "") -> str:
        space = "" if plural.startswith("cluster") else f"/namespaces/{self.namespace}"
        group = "/apis/networking.istio.io/v1" if plural == "virtualservices" else KINDS
        return f"{group}{space}/{plural}/{name}".rstrip("/")

    def may(self, who: str, verb: str, plural: str) -> bool:
        """Whether the server lets it through; nothing is kept."""
        return self.ask(who, verb, plural).status_code != 403

    def ask(self, who: str, verb: str, plural: str) -> requests.Response:
        """A request of somebody's to an object that may be there or not."""
        plural, _, sub = plural.partition("/")
        one = f"{self.path(plural, 'shop')}/{sub}".rstrip("/")
        method, path = {
            "list": ("GET", self.path(plural)),
            "create": ("POST", self.path(plural)),
            "update": ("PUT", one),
            "patch": ("PATCH", one),
            "delete": ("DELETE", one),
        }.get(verb, ("GET", one))
        body: Data | None = None if method == "GET" else self.action(who) if verb == "create" else {}
        kind = PATCH if verb == "patch" else "application/json"
        query = {} if method == "GET" else {"dryRun": "All"}
        return self.plane.kube.request(method, path, body, user=self.user(who), content_type=kind, **query)

    def act(self, who: str, author: str, name: str = "") -> requests.Response:
        """An action of theirs, in a name."""
        body = self.action(who, author, name)
        return self.plane.kube.request("POST", self.path("canaryactions"), body, user=self.user(who))

    def action(self, who: str, author: str = "", name: str = "") -> Data:
        """By default their own."""
        metadata = {"name": name} if name else {"generateName": "shop-pause-"}
        spec = {"canary": "shop", "verb": "pause", "author": author or self.name(who)}
        return {"apiVersion": API_VERSION, "kind": "CanaryAction", "metadata": metadata, "spec": spec}

    def user(self, who: str) -> str:
        """As the control plane has their token."""
        return who if who == "admin" else f"{self.namespace}-{who}"

    def name(self, who: str) -> str:
        """As the API server knows them."""
        return who if who == "admin" else username(self.namespace, who)


@pytest.fixture(scope="module")
def team(release: Release) -> Iterator[Team]:
    """Bound and known; the policy is in force."""
    plane = release.control_plane
    made = Team(plane, plane.kube.create_namespace())
    plane.kube.create(made.path("canaries"), SHOP)
    for who, role in {**ROLES, **AGGREGATED}.items():
        person(plane, made.namespace, who, role)
        wait_for(partial(made.may, who, "list", "canaries"), f"{who} to be bound", within=SLOWLY)
    wait_for(lambda: made.may("edit", "patch", "canaries"), "the roles to be part of edit", within=SLOWLY)
    wait_for(lambda: made.act("admin", "ada").status_code == 403, "the policy to be in force", within=SLOWLY)
    yield made
    plane.kube.delete_namespace(made.namespace)


EVERYBODY = (*ROLES, *AGGREGATED)
OURS = ("canaries", "canarypolicies", "metrictemplates")
WRITES = ("create", "update", "patch", "delete")
MAY: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "everybody reads all kinds": (EVERYBODY, ("get", "list"), (*OURS, "canaryactions")),
    "approvers and operators act": (("approver", "operator", "edit"), ("create",), ("canaryactions",)),
    "operators edit what belongs to a rollout": (("operator", "edit"), WRITES, OURS),
}
"""Who, which verbs, on what."""
MAY_NOT: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "viewers write nothing": (("viewer", "view"), WRITES, (*OURS, "canaryactions", "virtualservices")),
    "approvers edit nothing": (("approver",), WRITES, (*OURS, "virtualservices")),
    "routes aren't part of a role": (tuple(ROLES), ("get", *WRITES), ("virtualservices",)),
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
    """Whoever asks, with the name that it must be."""
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
