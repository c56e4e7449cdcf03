"""Whom the controller believes, with a policy and a binding that a real API server goes by."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import API_VERSION
from canary.controller.authors import NAMESPACE, SPREAD, Authors
from canary.kube.client import Client, ClusterAccess
from canary.kube.connection import Connection
from tests.incluster.objects import reported, until_reported
from tests.incluster.site import Site
from tests.incluster.test_people import FOUR_EYES
from tests.parts.cluster import ControlPlane
from tests.parts.fences import unfenced
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RULE = {
    **{"apiGroups": ["canary-controller.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]},
    "resources": ["canaryactions"],
}
RULES = {
    "matchConstraints": {"resourceRules": [RULE]},
    "validations": [{"expression": "object.spec.author == request.userInfo.username"}],
}


@dataclass
class Proving:
    """A policy and its binding, who reads them, and someone who writes another's name."""

    plane: ControlPlane
    client: Client
    name: str

    def made(self, actions: Sequence[str], namespace: str = "") -> None:
        """Both, as they come."""
        self.plane.kube.create(f"{ADMISSION}/validatingadmissionpolicies", self._named(RULES))
        bound = {"policyName": self.name, "validationActions": list(actions), **only(namespace)}
        self.plane.kube.create(f"{ADMISSION}/validatingadmissionpolicybindings", self._named(bound))

    def _named(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        return {"metadata": {"name": self.name}, "spec": spec}

    def change(self, plural: str, spec: Mapping[str, Any]) -> None:
        self.plane.kube.merge(f"{ADMISSION}/{plural}/{self.name}", {"spec": spec})

    def removed(self, namespace: str) -> None:
        """And forgotten by the server."""
        for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            self.plane.kube.request("DELETE", f"{ADMISSION}/{plural}/{self.name}")
        wait_for(lambda: self.forged(namespace) is not None, "all names to pass", within=SLOWLY)

    def forged(self, namespace: str) -> datetime | None:
        """When an action in another's name was made; None where it was refused."""
        spec = {"canary": "shop", "verb": "pause", "author": "ada"}
        body = {"apiVersion": API_VERSION, "kind": "CanaryAction", "metadata": {"generateName": "x-"}, "spec": spec}
        answer = self.plane.kube.request("POST", f"/apis/{API_VERSION}/namespaces/{namespace}/canaryactions", body)
        assert answer.status_code == 201 or "denied request" in answer.text, answer.text
        created = answer.json()["metadata"].get("creationTimestamp")
        return datetime.fromisoformat(created) if created else None

    def forged_at_length(self, namespace: str) -> datetime:
        """Long after both were made, as things stand."""
        found = self.plane.kube.read(f"{ADMISSION}/validatingadmissionpolicybindings/{self.name}")
        then = datetime.fromisoformat(found["metadata"]["creationTimestamp"]) + SPREAD + timedelta(seconds=1)

        def made() -> datetime | None:
            at = self.forged(namespace)
            return at if at is not None and at > then else None

        return wait_for(made, "an action that is made late", within=SLOWLY, every=0.5) or then

    def last_forged(self, namespace: str, change: Callable[[], object]) -> datetime:
        """Of those that were made until the server goes by a change, and refuses."""
        made: datetime | None = self.forged(namespace)
        last = made
        change()

        def refuses() -> bool:
            nonlocal made, last
            made, last = self.forged(namespace), made or last
            return made is None

        wait_for(refuses, "a refusal", within=SLOWLY)
        assert last is not None
        return last

    def believed(self, namespace: str, at: datetime) -> bool:
        """Read again."""
        return Authors(self.client, self.name).proved(namespace, at)


def only(namespace: str) -> dict[str, Any]:
    """Of a binding, for one namespace, as the chart writes it; for all without one."""
    return {"matchResources": {"namespaceSelector": {"matchLabels": {NAMESPACE: namespace}}}} if namespace else {}


@pytest.fixture
def proving(control_plane: ControlPlane, kinds: None, namespace: str) -> Iterator[Proving]:
    """Nothing is there yet."""
    wire = Connection(ClusterAccess(str(control_plane.kubeconfig())))
    made = Proving(control_plane, Client(wire, fence=unfenced), f"proof-{namespace}")
    yield made
    made.removed(namespace)
    wire.close()


LONG_AFTER = SPREAD + timedelta(seconds=30)


def test_what_was_forged_while_it_was_only_noted_is_never_believed(proving: Proving, namespace: str) -> None:
    """The binding was made before, and denies only since; servers take a moment to go by it."""
    proving.made(["Audit"])
    early = proving.forged_at_length(namespace)
    assert not proving.believed(namespace, early + LONG_AFTER)
    deny = {"validationActions": ["Deny"]}
    late = proving.last_forged(namespace, lambda: proving.change("validatingadmissionpolicybindings", deny))
    assert not proving.believed(namespace, early)
    assert not proving.believed(namespace, late)
    assert proving.believed(namespace, late + LONG_AFTER)


def test_what_was_forged_while_anything_passed_is_never_believed(proving: Proving, namespace: str) -> None:
    """The policy had an exception then, and one that is only taken away is noted as well: in its status."""
    late = proving.last_forged(namespace, lambda: proving.made(["Deny"]))
    assert not proving.believed(namespace, late)
    assert proving.believed(namespace, late + LONG_AFTER)
    loophole = [{"name": "nobody", "expression": "false"}]
    proving.change("validatingadmissionpolicies", {"matchConditions": loophole})
    assert not proving.believed(namespace, proving.forged_at_length(namespace))
    strict = {"matchConditions": None}
    late = proving.last_forged(namespace, lambda: proving.change("validatingadmissionpolicies", strict))
    wait_for(lambda: proving.believed(namespace, late + LONG_AFTER), "the server to note it", within=SLOWLY)
    assert not proving.believed(namespace, late)


def test_a_policy_of_one_namespace_proves_no_author_elsewhere(
    proving: Proving, control_plane: ControlPlane, namespace: str
) -> None:
    """There anybody can write any name."""
    elsewhere = control_plane.kube.create_namespace()
    late = proving.last_forged(namespace, lambda: proving.made(["Deny"], namespace))
    there = proving.forged(elsewhere)
    assert there is not None
    assert proving.believed(namespace, there + LONG_AFTER)
    assert not proving.believed(elsewhere, there + LONG_AFTER)
    assert not proving.believed(namespace, late)
    control_plane.kube.delete_namespace(elsewhere)


@pytest.mark.long
def test_a_gate_for_two_stays_closed_to_names_that_another_namespace_proves(site: Site, proving: Proving) -> None:
    """The controller was given a policy, which says nothing of its Canaries."""
    proving.made(["Deny"], "elsewhere")
    site.controller("--action-policy", proving.name)
    site.apply(steps=FOUR_EYES)
    site.until("WaitingForApproval")
    for author in ("ada", "bob"):
        site.act("approve", author=author)
        until_reported(site, "ActionRefused", f"{author} (unverified) asked to approve: refused")
    rollout = site.status.rollout
    assert rollout is not None
    assert rollout.approvals == ()
    assert all("isn't verified" in message for _, message in reported(site, "ActionRefused"))
