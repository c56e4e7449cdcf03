"""The Role is enough for a run, and each rule of it is needed."""

from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from ruamel.yaml import YAML

from canary.api.action import CanaryAction, Verb
from canary.api.status import Status
from canary.engine.errors import CanaryError
from canary.engine.observed import Missing
from canary.kube.client import Client
from canary.kube.errors import NotFound
from canary.kube.lease import Identity
from canary.kube.rbac import RunObjects, role
from canary.kube.resources import CONFIG_MAPS, LEASES, SERVICES
from canary.registry import run_permissions
from canary.routers.istio import DESTINATION_RULES, ISTIO, VIRTUAL_SERVICES
from canary.stores.configmap import ConfigMapInbox, ConfigMapStore
from canary.stores.lease import RunLease, acquire
from canary.stores.objects import Objects
from canary.workloads.kubernetes import KubernetesWorkloads
from tests.kube.conftest import Connect
from tests.kube.holding import shop
from tests.kube.shop import LABELS, PLURALS, workload
from tests.kube.test_stores import NOW
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

PERMISSIONS = run_permissions(ISTIO)
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles"
SHOP: dict[str, Any] = {
    "metadata": {"name": "shop"},
    "spec": {"hosts": ["shop"], "http": [{"route": [{"destination": {"host": "shop", "subset": "v1"}}]}]},
}


def manifest(namespace: str) -> dict[str, Any]:
    """The Role as people apply it."""
    text = role("canary", RunObjects(namespace, {"target": ["shop"], "own": [shop(namespace).name]}), PERMISSIONS)
    found: dict[str, Any] = YAML(typ="safe").load(text)
    return found


@pytest.fixture
def alice(control_plane: ControlPlane, connect: Connect, namespace: str) -> Client:
    """Someone who may do what the Role allows, beside a shop."""
    kube, subjects = control_plane.kube, [{"kind": "User", "name": "alice"}]
    kube.create(ROLES.format(namespace), manifest(namespace))
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "canary"}
    binding = {"metadata": {"name": "alice"}, "subjects": subjects, "roleRef": ref}
    kube.create(ROLES.format(namespace).replace("roles", "rolebindings"), binding)
    connect().create(VIRTUAL_SERVICES, namespace, SHOP)
    for kind, plural in PLURALS.items():
        kube.create(f"/apis/apps/v1/namespaces/{namespace}/{plural}", labelled(kind))
    return connect("alice")


def labelled(kind: str) -> dict[str, Any]:
    """A workload of each kind behind a version of its own."""
    made = workload(kind, "shop:1", kind.lower())
    for labels in (made["spec"]["selector"]["matchLabels"], made["spec"]["template"]["metadata"]["labels"]):
        labels["version"] = kind
    return made


def run(client: Client, admin: Client, namespace: str) -> list[str]:
    """All that a run does in a cluster for the first time; what of it failed."""
    objects, failures = shop(namespace), []
    for resource in (CONFIG_MAPS, LEASES):
        with suppress(NotFound):
            admin.delete(resource, namespace, objects.name)
    for part in (_state, _lock, _asked, _routes, _counts):
        try:
            part(client, objects)
        except CanaryError as error:
            failures.append(str(error))
    return failures


def _state(client: Client, objects: Objects) -> None:
    store = ConfigMapStore(client, objects)
    store.load()
    store.save(Status(actions_taken=("pause",)), store.save(Status(), None))


def _lock(client: Client, objects: Objects) -> None:
    late = iter([0.0, 0.0, 0.0, 0.0])
    lease = RunLease(client, objects, Identity("host", 1, "run"), clock=lambda: next(late, 3600.0))
    acquire(lease, 0, lambda _: None)
    if not lease.renew():
        list(late)
        lease.check()


def _asked(client: Client, objects: Objects) -> None:
    inbox = ConfigMapInbox(client, objects)
    with suppress(NotFound):
        client.delete(CONFIG_MAPS, objects.namespace, objects.action("pause"))
    inbox.post(CanaryAction(id="pause", target="shop", verb=Verb.PAUSE, author="alice", at=NOW))
    inbox.look()


def _routes(client: Client, objects: Objects) -> None:
    client.get(VIRTUAL_SERVICES, objects.namespace, "shop")
    client.find(DESTINATION_RULES, objects.namespace)
    operations = [{"op": "add", "path": "/metadata/labels", "value": {}}]
    client.patch(VIRTUAL_SERVICES, objects.namespace, "shop", operations)
    with suppress(NotFound):
        client.get(SERVICES, objects.namespace, "shop")


def _counts(client: Client, objects: Objects) -> None:
    workloads = KubernetesWorkloads(client, objects.namespace, lambda version: {**LABELS, "version": version})
    for kind in (*PLURALS, *PLURALS):
        seen = workloads.read(kind)
        if isinstance(seen, Missing):
            raise CanaryError(seen.detail)


def test_the_role_is_enough_and_no_more(
    control_plane: ControlPlane, alice: Client, client: Client, namespace: str
) -> None:
    """With these permissions, and no others, a run meets no refusal; without any one of them it names that one."""
    path, whole = f"{ROLES.format(namespace)}/canary", manifest(namespace)["rules"]
    assert len(whole) == len(PERMISSIONS)
    wait_for(lambda: run(alice, client, namespace) == [], "no refusal", within=SLOWLY)
    for left_out in range(len(whole)):
        control_plane.kube.merge(path, {"rules": [*whole[:left_out], *whole[left_out + 1 :]]})
        failures = wait_for(partial(run, alice, client, namespace), f"{whole[left_out]} to be missed", within=SLOWLY)
        missed = PERMISSIONS[left_out]
        assert any(f"alice may not {verb}" in " ".join(failures) for verb in missed.verbs), failures
        assert any(resource.full_name in " ".join(failures) for resource in missed.resources), failures
        control_plane.kube.merge(path, {"rules": whole})
        wait_for(lambda: run(alice, client, namespace) == [], "no refusal", within=SLOWLY)
