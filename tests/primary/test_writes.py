"""The order in which a primary's objects are made, changed and removed: what serves is changed last."""

from contextlib import nullcontext
from copy import deepcopy
from typing import Any, cast

from canary.api.canary import Canary
from canary.engine.observed import PrimarySeen, WorkloadSeen
from canary.kube.client import Client
from canary.kube.resources import DEPLOYMENTS, SCALERS, SERVICES
from canary.routers.istio import PROVISIONING, VIRTUAL_SERVICES
from canary.workloads.primary import KubernetesPrimary
from canary.workloads.primary_workloads import PrimaryWorkloads
from tests.engine.situations import manifest
from tests.primary.memory import Memory, replica_set, with_podinfo

ALL = (
    "Deployment podinfo-primary", "Service podinfo", "Service podinfo-primary", "Service podinfo-canary",
    "DestinationRule podinfo-primary", "DestinationRule podinfo-canary", "VirtualService podinfo",
)  # fmt: skip
NEXT = {"metadata": {}, "spec": {"containers": [{"name": "main", "image": "2"}]}}


def released(**spec: Any) -> Canary:
    """A Canary for podinfo."""
    given = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "service": {"port": 9898},
        "version": None,
        **spec,
    }
    return manifest(given)


def port(memory: Memory, **spec: Any) -> KubernetesPrimary:
    return KubernetesPrimary(cast(Client, memory), lambda: released(**spec), "shop", PROVISIONING, nullcontext)


def seen(primary: KubernetesPrimary) -> PrimarySeen:
    found = primary.read()
    assert isinstance(found, PrimarySeen)
    return found


def made(memory: Memory, **spec: Any) -> KubernetesPrimary:
    """With all that belongs to it."""
    primary = port(memory, **spec)
    primary.provision("a")
    primary.provision("a")
    assert seen(primary).missing == ()
    memory.took()
    return primary


def image(memory: Memory, name: str) -> str:
    return str(memory.get(DEPLOYMENTS, "shop", name)["spec"]["template"]["spec"]["containers"][0]["image"])


def test_provisioning() -> None:
    """The primary alone; once it is ready the rest, and last what clients call."""
    memory = with_podinfo()
    memory.unready.add("podinfo-primary")
    primary = port(memory)
    assert (seen(primary).missing, seen(primary).wrong) == (ALL, "")
    primary.provision("a")
    assert {one.split()[1] for one in memory.took()} == {"ControllerRevision", "Deployment"}
    assert memory.get(DEPLOYMENTS, "shop", "podinfo-primary")["spec"]["replicas"] == 2
    primary.provision("a")
    assert (memory.took(), seen(primary).missing) == ([], ALL[1:])
    memory.unready.clear()
    primary.provision("a")
    *before, last = memory.took()
    assert last == "apply Service podinfo"
    assert "create VirtualService podinfo" in before
    found = seen(primary)
    assert (found.missing, found.revision, set(found.ours)) == ((), "a", set(ALL))


def test_a_share_of_the_primary_is_enough() -> None:
    """Where the Canary says so; else the rest waits for all of its replicas."""
    memory = with_podinfo(replicas=4)
    memory.most["podinfo-primary"] = 3
    primary = port(memory)
    primary.provision("a", 75)
    memory.took()
    primary.provision("a", 100)
    assert (memory.took(), seen(primary).missing) == ([], ALL[1:])
    primary.provision("a", 75)
    assert seen(primary).missing == ()


def test_a_primary_of_someone_else_is_left_alone() -> None:
    memory = with_podinfo()
    memory.put(DEPLOYMENTS, "podinfo-primary", {"selector": {"matchLabels": {"app": "other"}}, "template": NEXT})
    assert "exists that canary didn't make" in seen(port(memory)).wrong
    assert memory.writes == []


def another(memory: Memory) -> KubernetesPrimary:
    """That of a second Canary, for another target with the same Services; it is being deleted."""
    target = deepcopy(memory.objects["Deployment", "podinfo"])
    memory.put(DEPLOYMENTS, "web", target["spec"])
    replica_set(memory, "x", 1, target["spec"]["template"])
    memory.objects["ReplicaSet", "podinfo-x"]["metadata"]["ownerReferences"][0]["uid"] = "Deployment-web"
    canary = released(
        targetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        service={"port": 9898, "name": "podinfo"},
        revertOnDeletion=True,
    )
    canary = canary.model_copy(update={"metadata": canary.metadata.but(name="second")})
    return KubernetesPrimary(cast(Client, memory), lambda: canary, "shop", PROVISIONING, nullcontext)


def test_services_of_another_canary_are_left_alone() -> None:
    """Also what that has adopted, and also by the deletion of the second one."""
    memory = with_podinfo()
    memory.put(SERVICES, "podinfo", {"selector": {"app": "podinfo"}, "ports": [{"port": 9898}]})
    routes = {"hosts": ["podinfo"], "http": [{"route": [{"destination": {"host": "podinfo"}}]}]}
    memory.put(VIRTUAL_SERVICES, "podinfo", routes)
    first = made(memory)
    second = another(memory)
    found = seen(second)
    assert found.wrong.startswith("spec.service.name: the Services and routes of podinfo are those of the Canary web")
    assert (found.ours, found.returned) == ((), True)
    second.give_back("x")
    second.remove()
    assert [one for one in memory.took() if "podinfo" in one] == []
    assert seen(first).missing == ()


def test_a_promotion_and_the_way_back() -> None:
    """The primary gets the template of a revision, also of one whose ReplicaSet is gone; its replicas are its own."""
    memory = with_podinfo()
    primary = made(memory)
    memory.scale(DEPLOYMENTS, "shop", "podinfo-primary", 5)
    replica_set(memory, "b", 2, NEXT)
    primary.copy("b")
    assert (image(memory, "podinfo-primary"), seen(primary).revision) == ("2", "b")
    del memory.objects["ReplicaSet", "podinfo-a"]
    primary.copy("a")
    assert (image(memory, "podinfo-primary"), seen(primary).revision) == ("1", "a")
    assert memory.get(DEPLOYMENTS, "shop", "podinfo-primary")["spec"]["replicas"] == 5


def test_what_was_adopted_is_given_back() -> None:
    """The target first; once it is ready the Service and the routes; then what was made goes, the primary last."""
    memory = with_podinfo()
    service = {"selector": {"app": "podinfo", "tier": "web"}, "ports": [{"port": 9898}], "clusterIP": "10.0.0.1"}
    memory.put(SERVICES, "podinfo", service)
    routes = {"hosts": ["podinfo"], "http": [{"timeout": "7s", "route": [{"destination": {"host": "podinfo"}}]}]}
    memory.put(VIRTUAL_SERVICES, "podinfo", routes, annotations={"own": "yes"})
    primary = made(memory)
    assert memory.get(SERVICES, "shop", "podinfo")["spec"]["selector"] == {"app": "podinfo-primary"}
    replica_set(memory, "b", 2, NEXT)
    memory.scale(DEPLOYMENTS, "shop", "podinfo", 0)
    memory.took()
    primary.give_back("a")
    assert memory.took() == ["patch Deployment podinfo"]
    del memory.objects["ReplicaSet", "podinfo-b"]  # its controller takes the older one up again
    memory.unready.add("podinfo")
    primary.give_back("a")
    primary.give_back("a")
    assert (memory.took(), seen(primary).returned) == (["scale Deployment podinfo"], False)
    memory.unready.clear()
    primary.give_back("a")
    assert (memory.took(), seen(primary).returned) == (
        ["patch Service podinfo", "patch VirtualService podinfo"],
        True,
    )
    primary.remove()
    assert memory.took()[-1] == "delete Deployment podinfo-primary"
    assert memory.get(SERVICES, "shop", "podinfo")["spec"] == service
    found = memory.get(VIRTUAL_SERVICES, "shop", "podinfo")
    assert (found["spec"], found["metadata"]["annotations"]) == (routes, {"own": "yes"})
    assert seen(primary).ours == ()


SENT: list[Any] = [{"route": [{"destination": {"host": "podinfo"}}]}]


def adopted(memory: Memory) -> KubernetesPrimary:
    """With a Service and routes that were there before; the routes have half of the canary's way to go."""
    memory.put(SERVICES, "podinfo", {"selector": {"app": "podinfo"}, "ports": [{"port": 9898}]})
    memory.put(VIRTUAL_SERVICES, "podinfo", {"hosts": ["podinfo"], "http": SENT})
    primary = made(memory)
    for one, weight in zip(routes(memory), (50, 50), strict=True):
        one["weight"] = weight
    return primary


def routes(memory: Memory) -> Any:
    return memory.objects["VirtualService", "podinfo"]["spec"]["http"][0]["route"]


def test_the_users_port_keeps_its_name() -> None:
    """In all three Services. One that Istio doesn't take for HTTP must be named by the manifest."""
    memory = with_podinfo()
    memory.put(SERVICES, "podinfo", {"selector": {"app": "podinfo"}, "ports": [{"port": 9898, "name": "tcp-db"}]})
    assert seen(port(memory)).wrong.startswith("spec.service.portName: is missing")
    memory.objects["Service", "podinfo"]["spec"]["ports"][0]["name"] = "web"
    made(memory)
    for name in ("podinfo", "podinfo-primary", "podinfo-canary"):
        assert [one["name"] for one in memory.get(SERVICES, "shop", name)["spec"]["ports"]] == ["web"]


def diverted(memory: Memory) -> str:
    """What is read of the primary in a rollout."""
    workloads = PrimaryWorkloads(cast(Client, memory), "shop", released)
    found = workloads.read("podinfo-primary")
    assert isinstance(found, WorkloadSeen)
    return found.diverted


def test_a_service_that_its_owner_applies_again_in_mid_rollout() -> None:
    """It selects the primary's pods again, and weights stay; routes that were applied with it go to the primary."""
    memory = with_podinfo()
    primary = adopted(memory)
    assert diverted(memory) == ""
    for applied_too, weights in ((False, [50, 50]), (True, [100, 0])):
        memory.objects["Service", "podinfo"]["spec"]["selector"] = {"app": "podinfo"}
        if applied_too:
            memory.objects["VirtualService", "podinfo"]["spec"]["http"] = deepcopy(SENT)
        assert diverted(memory) == "podinfo"
        primary.provision("a", 0)
        assert (diverted(memory), [one["weight"] for one in routes(memory)]) == ("", weights)


def test_what_was_made_is_removed() -> None:
    """Also the Service and the routes; a target that is gone gets nothing back."""
    memory = with_podinfo()
    primary = made(memory)
    primary.give_back("a")
    assert memory.took() == ["patch Service podinfo", "delete VirtualService podinfo"]
    primary.remove()
    assert {kind for kind, _ in memory.objects} == {"Deployment", "ReplicaSet"}
    del memory.objects["Deployment", "podinfo"]
    assert seen(made_without_target()).returned


def made_without_target() -> KubernetesPrimary:
    memory = with_podinfo()
    primary = made(memory)
    del memory.objects["Deployment", "podinfo"]
    return primary


def test_ports_that_are_discovered_come_with_the_promotion() -> None:
    memory = with_podinfo()
    primary = made(memory, service={"port": 9898, "portDiscovery": True})
    container = {"name": "main", "image": "2", "ports": [{"name": "grpc", "containerPort": 9999}]}
    replica_set(memory, "b", 2, {"metadata": {}, "spec": {"containers": [container]}})
    primary.copy("b")
    for name in ("podinfo", "podinfo-primary", "podinfo-canary"):
        assert [one["port"] for one in memory.get(SERVICES, "shop", name)["spec"]["ports"]] == [9898, 9999]


def test_the_target_gets_no_more_replicas_back_than_its_scaler_leaves_it() -> None:
    """The primary's may have a higher limit. Each would take back what the other has written, and it never ends."""
    memory = with_podinfo()
    scaler = SCALERS["HorizontalPodAutoscaler"]
    memory.put(scaler, "podinfo", {"scaleTargetRef": {"kind": "Deployment", "name": "podinfo"}, "maxReplicas": 3})
    ref = {"kind": scaler.kind, "name": "podinfo", "primaryScalerReplicas": {"maxReplicas": 9}}
    primary = made(memory, autoscalerRef=ref)
    memory.scale(DEPLOYMENTS, "shop", "podinfo-primary", 8)
    memory.scale(DEPLOYMENTS, "shop", "podinfo", 0)
    for _ in range(3):
        primary.give_back("a")
    assert memory.get(DEPLOYMENTS, "shop", "podinfo")["spec"]["replicas"] == 3
    assert seen(primary).returned
