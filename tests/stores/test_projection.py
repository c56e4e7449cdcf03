"""What is kept of a Canary object."""

import json
from typing import Any

import pytest

from canary.kube.names import ObjectRef
from canary.stores.projection import FINALIZER
from tests.controller.objects import TARGET, shown

IN_USE = "kubectl.kubernetes.io/last-applied-configuration"


def virtual_service(namespace: str, name: str) -> ObjectRef:
    """The object of this name."""
    return ObjectRef(TARGET["kind"], namespace, name)


def test_what_people_write_is_one_text_that_only_they_change() -> None:
    """Neither status nor managed fields nor kubectl's copy are in it: those must not wake anybody."""
    one = shown(labels={"team": "shop"}, annotations={"freeze": "no", IN_USE: "{}"}, managedFields=[{}])
    other = shown(
        labels={"team": "shop"},
        annotations={"freeze": "no", IN_USE: '{"a": 1}'},
        resourceVersion="8",
        status={"phase": "Failed"},
    )
    assert one.manifest == other.manifest
    assert json.loads(one.manifest)["metadata"]["annotations"] == {"freeze": "no"}
    changes: list[dict[str, Any]] = [
        {"spec": {"version": "v3"}},
        {"annotations": {"freeze": "yes"}},
        {"labels": {}},
        {"deletionTimestamp": "2026-03-02T10:00:00Z"},
    ]
    usual = {"labels": {"team": "shop"}, "annotations": {"freeze": "no"}}
    specs = {shown(**{**usual, **one}).manifest for one in changes}
    assert len(specs | {one.manifest}) == len(changes) + 1


@pytest.mark.parametrize(
    ("status", "active"),
    [
        ({}, True),
        ({"phase": "Succeeded", "observedGeneration": 1}, False),
        ({"phase": "Failed", "observedGeneration": 1}, False),
        ({"phase": "Initialized", "observedGeneration": 1}, False),
        ({"phase": "Initializing", "observedGeneration": 1}, True),
        ({"phase": "Resting, as a newer canary has it", "observedGeneration": 1}, True),
        ({"phase": "Succeeded", "observedGeneration": 0}, True),
        ({"phase": "Succeeded", "observedGeneration": 1, "rollout": {"number": 2}}, True),
        ({"phase": "Succeeded", "observedGeneration": 1, "outbox": [{"id": "1"}]}, True),
    ],
)
def test_what_runs_or_was_never_looked_at_is_pressing(status: dict[str, Any], active: bool) -> None:
    """All others may wait for their turn after a start."""
    assert shown(status=status).active is active


def test_the_virtual_services_are_those_of_the_target_and_beside_it() -> None:
    """By namespace and name, each once; of another kind of target there are none."""
    reviews = virtual_service("shop", "reviews")
    several = shown({"virtualServices": ["public", "edge.istio-system", "reviews"]})
    assert several.refs == (reviews, virtual_service("shop", "public"), virtual_service("istio-system", "edge"))
    assert shown({"targetRef": {**TARGET, "name": "reviews.front"}}).refs == (virtual_service("front", "reviews"),)
    assert shown({"targetRef": {"kind": "EnvoyRoute", "name": "web"}}).refs == ()


def test_policy_finalizer_and_deletion_are_read() -> None:
    """A policy without a kind is one of the namespace."""
    bare = shown()
    assert (bare.policy, bare.guarded, bare.deleted) == (None, False, False)
    more = shown(
        {"policyRef": {"name": "careful", "kind": "ClusterCanaryPolicy"}},
        finalizers=["somebody.example/else", FINALIZER],
        deletionTimestamp="2026-03-02T10:00:00Z",
    )
    assert (more.policy, more.guarded, more.deleted) == ("ClusterCanaryPolicy/careful", True, True)
    assert shown({"policyRef": {"name": "careful"}}).policy == "CanaryPolicy/careful"


def test_an_object_that_the_schema_never_saw_is_kept_all_the_same() -> None:
    """From before a definition became stricter: empty blocks, null, no target."""
    odd = shown({"targetRef": None, "policyRef": None, "host": None, "virtualServices": None})
    assert (odd.refs, odd.policy, odd.host) == ((), None, None)
