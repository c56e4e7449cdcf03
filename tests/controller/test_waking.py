"""Which events of a watch wake a Canary."""

from typing import Any

import pytest

from canary.kube.client import Object
from canary.kube.names import NamespacedName, ObjectRef
from canary.kube.resources import DEPLOYMENTS, Resource
from canary.routers.istio import VIRTUAL_SERVICES

from .leading import KEY, Leading
from .objects import canary, running

DELEGATE = ObjectRef("VirtualService", "shop", "reviews-delegate")


class Woken(Leading):
    """Who was woken since the last evaluation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.woken: list[NamespacedName] = []
        self.fleet.wake, self.fleet.listening = self.woken.append, True
        for each in self.fleet.reflectors:
            each._synced.set()

    def by(self, resource: Resource, found: Object) -> int:
        """How often one event wakes the Canary."""
        self.woken.clear()
        self.fleet._kept[resource]._saw(found)
        assert set(self.woken) <= {KEY}
        return len(self.woken)


@pytest.fixture
def here() -> Woken:
    """Someone listens."""
    return Woken()


def test_a_delegate_that_someone_changes_wakes_whom_it_serves(here: Woken) -> None:
    """A reconcile found it out; saves of our own status don't make that forgotten, other routes in the spec do."""
    here.wired().outside.reads((ObjectRef("VirtualService", *KEY), DELEGATE))
    foreign: dict[str, Any] = {"metadata": {"namespace": DELEGATE.namespace, "name": DELEGATE.name}, "spec": {}}
    saved = canary(status=running().wire(), resourceVersion="800")
    here.fleet.canaries.put(saved)
    here.fleet.canaries._saw(saved)
    assert here.by(VIRTUAL_SERVICES, {**foreign, "metadata": {**foreign["metadata"], "resourceVersion": "9"}}) == 1
    here.fleet.canaries._saw(canary({"virtualServices": ["other"]}, resourceVersion="801"))
    assert here.by(VIRTUAL_SERVICES, {**foreign, "metadata": {**foreign["metadata"], "resourceVersion": "10"}}) == 0


def test_a_canary_of_the_same_name_knows_nothing_of_the_delegates_of_the_one_before(here: Woken) -> None:
    """It finds out for itself."""
    here.wired().outside.reads((ObjectRef("VirtualService", *KEY), DELEGATE))
    here.fleet.canaries._saw(canary(uid="u2", resourceVersion="800"))
    assert here.fleet._references.of(DELEGATE) == set()
    assert here.fleet._references.of(ObjectRef("VirtualService", *KEY)) == {KEY}


def deployment(version: str, generation: int) -> Object:
    """Whose pods are of a version."""
    labels = {"app": "reviews", "version": version}
    about = {"namespace": "shop", "name": "reviews", "uid": "d1", "resourceVersion": f"{generation}"}
    status = dict.fromkeys(("replicas", "availableReplicas", "updatedReplicas"), 3)
    return {
        "metadata": {**about, "generation": generation},
        "spec": {"replicas": 3, "template": {"metadata": {"labels": labels}}},
        "status": {**status, "observedGeneration": generation},
    }


def test_pods_that_come_to_a_version_or_leave_it_wake_whose_version_it_is(here: Woken) -> None:
    """Also where they are none of its versions' afterwards; others don't."""
    here.wired().workloads.labels["v2"] = {"app": "reviews", "version": "v2"}
    assert here.by(DEPLOYMENTS, deployment("v1", 1)) == 0
    assert here.by(DEPLOYMENTS, deployment("v2", 2)) == 1
    assert here.by(DEPLOYMENTS, deployment("v3", 3)) == 1
    assert here.by(DEPLOYMENTS, deployment("v4", 4)) == 0
