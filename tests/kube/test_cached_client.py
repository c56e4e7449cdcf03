"""A client that answers from memory what is watched: when it may, when it may not, and what it keeps of a write."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.engine.errors import Conflict
from canary.engine.observed import Missing
from canary.istio.scope import Scope
from canary.kube import projections
from canary.kube.cached_client import STALE, CachedClient
from canary.kube.client import Object
from canary.kube.errors import NotFound, Unavailable
from canary.kube.names import NamespacedName
from canary.kube.resources import DEPLOYMENTS, PODS
from canary.routers.istio import VIRTUAL_SERVICES, IstioRouter
from tests.controller.objects import Wire
from tests.parts.fences import unfenced


def routes(weight: int = 10, version: str = "5", **metadata: Any) -> dict[str, Any]:
    about = {"name": "reviews", "namespace": "shop", "resourceVersion": version, "uid": "u", **metadata}
    return {"metadata": {**about, "managedFields": [{}]}, "spec": {"http": [{"weight": weight}]}, "status": {"x": 1}}


@dataclass
class Keeping:
    """In place of a reflector."""

    objects: dict[NamespacedName, bytes] = field(default_factory=dict)
    synced: bool = True
    trouble: str | None = None
    last_seen: float = field(default_factory=time.monotonic)

    def get(self, namespace: str, name: str) -> bytes | None:
        return self.objects.get((namespace, name))

    def items(self, namespace: str | None = None) -> Sequence[tuple[NamespacedName, bytes]]:
        return [(key, value) for key, value in self.objects.items() if namespace in (None, key[0])]

    def put(self, found: Object) -> None:
        about = found["metadata"]
        self.objects[about["namespace"], about["name"]] = projections.routing(found)


def mirror(kept: Keeping, *answers: Any) -> tuple[CachedClient, Wire]:
    wire = Wire(list(answers))
    return CachedClient(wire, kept={VIRTUAL_SERVICES: kept}, wait=lambda seconds: None, fence=unfenced), wire


def weight(found: Mapping[str, Any]) -> Any:
    return found["spec"]["http"][0]["weight"]


def test_what_is_watched_is_read_from_memory() -> None:
    """No request, and no one who changes what was read changes what is kept."""
    kept = Keeping()
    kept.put(routes())
    client, wire = mirror(kept)
    client.get(VIRTUAL_SERVICES, "shop", "reviews")["spec"]["http"][0]["weight"] = 99
    assert weight(client.get(VIRTUAL_SERVICES, "shop", "reviews")) == 10
    assert [weight(one) for one in client.find(VIRTUAL_SERVICES, "shop")] == [10]
    assert client.find(VIRTUAL_SERVICES, "front") == []
    with pytest.raises(NotFound, match="there is no VirtualService ratings in namespace shop"):
        client.get(VIRTUAL_SERVICES, "shop", "ratings")
    assert wire.sent == []


def test_what_is_not_watched_and_lists_by_label_are_asked_for() -> None:
    """Memory doesn't know which labels a reflector left out."""
    client, wire = mirror(Keeping(), {"metadata": {"name": "web"}}, {"items": []}, {"items": []})
    client.get(DEPLOYMENTS, "shop", "web")
    client.find(PODS, "shop", {"app": "web"})
    client.find(VIRTUAL_SERVICES, "shop", {"app": "web"})
    assert wire.asked == ["get Deployment", "list Pod", "list VirtualService"]


def test_until_a_kind_was_listed_the_server_is_asked() -> None:
    """An object that isn't there yet is not one that is gone, and a start needn't wait for it."""
    client, wire = mirror(Keeping(synced=False), {"metadata": {"name": "reviews"}}, {"items": []})
    client.get(VIRTUAL_SERVICES, "shop", "reviews")
    client.find(VIRTUAL_SERVICES, "shop")
    assert wire.asked == ["get VirtualService", "list VirtualService"]


@pytest.mark.parametrize(
    ("trouble", "silent", "away"),
    [(None, 2 * STALE, False), ("connection refused", STALE - 5, False), ("connection refused", STALE + 5, True)],
    ids=["quiet, and well", "in trouble for a while", "in trouble for too long"],
)
def test_what_was_seen_last_holds_for_a_while(trouble: str | None, silent: float, away: bool) -> None:
    """A watch on which nothing happens is no trouble; one that can't be had is, after a while."""
    kept = Keeping(trouble=trouble, last_seen=time.monotonic() - silent)
    kept.put(routes())
    client, _ = mirror(kept)
    if away:
        with pytest.raises(Unavailable, match=r"weren't seen for 3\ds: connection refused"):
            client.get(VIRTUAL_SERVICES, "shop", "reviews")
    else:
        assert weight(client.get(VIRTUAL_SERVICES, "shop", "reviews")) == 10


def test_what_is_urgent_asks_the_server_where_a_watch_is_out_of_touch() -> None:
    """A rollback needs the object, and the watch may be all that doesn't work; in touch, memory is enough."""
    kept = Keeping(trouble="connection refused", last_seen=time.monotonic() - STALE - 5)
    kept.put(routes())
    client, wire = mirror(kept, routes(30, "7"), {"items": []})
    assert weight(client.urgent().get(VIRTUAL_SERVICES, "shop", "reviews")) == 30
    assert client.urgent().find(VIRTUAL_SERVICES, "shop") == []
    assert wire.asked == ["get VirtualService", "list VirtualService"]
    kept.trouble = None
    assert weight(client.urgent().get(VIRTUAL_SERVICES, "shop", "reviews")) == 10


def test_a_rollback_is_written_where_the_watch_is_out_of_touch() -> None:
    """What the route says couldn't be read from memory, so the decision stands on no read at all."""
    kept = Keeping(trouble="connection refused", last_seen=time.monotonic() - STALE - 5)
    split = [{"destination": {"host": "reviews", "subset": name}, "weight": 50} for name in ("v1", "v2")]
    there = {**routes(), "spec": {"hosts": ["reviews"], "http": [{"route": split}]}}
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
    rule = {"metadata": {"name": "reviews", "namespace": "shop"}, "spec": {"host": "reviews", "subsets": subsets}}
    client, wire = mirror(kept, there, {"items": [rule]}, there)
    router = IstioRouter(client, Scope("shop", ("reviews",)))
    assert isinstance(router.read("v1", "v2"), Missing)
    assert wire.asked == []
    router.write("v1", "v2", Traffic(), None)
    assert wire.asked == ["get VirtualService", "list DestinationRule", "patch VirtualService"]


def test_our_own_write_is_seen_at_once() -> None:
    """The watch may take its time."""
    kept = Keeping()
    kept.put(routes())
    client, _ = mirror(kept, routes(50, "6"))
    client.patch(VIRTUAL_SERVICES, "shop", "reviews", [{"op": "replace"}])
    assert weight(client.get(VIRTUAL_SERVICES, "shop", "reviews")) == 50


def test_what_we_create_is_seen_at_once() -> None:
    """Else it would be missing still in the reconcile after, and be made twice."""
    client, wire = mirror(Keeping(), routes(20))
    client.create(VIRTUAL_SERVICES, "shop", routes(20))
    assert weight(client.get(VIRTUAL_SERVICES, "shop", "reviews")) == 20
    assert wire.asked == ["create VirtualService"]


def test_a_write_that_met_another_version_looks_first() -> None:
    """Else the same old object would be patched again and again, until the watch brings the new one."""
    kept = Keeping()
    kept.put(routes())
    client, wire = mirror(kept, 409, routes(30, "7"))
    with pytest.raises(Conflict):
        client.patch(VIRTUAL_SERVICES, "shop", "reviews", [{"op": "replace"}])
    assert wire.asked == ["patch VirtualService", "get VirtualService"]
    assert weight(client.get(VIRTUAL_SERVICES, "shop", "reviews")) == 30


def test_a_look_that_fails_leaves_what_is_known() -> None:
    """And what no one watches isn't looked at."""
    kept = Keeping()
    kept.put(routes())
    client, wire = mirror(kept, 500)
    client.look(VIRTUAL_SERVICES, "shop", "reviews")
    client.look(PODS, "shop", "web")
    assert wire.asked == ["get VirtualService"]
    assert weight(client.get(VIRTUAL_SERVICES, "shop", "reviews")) == 10


# ---- projections -----------------------------------------------------------------------------------------------


def test_a_route_keeps_all_that_istio_acts_on_and_every_key_of_an_annotation() -> None:
    """A patch of ours must not seem to remove what others wrote; kubectl's copy is kept by name only."""
    annotations = {"note": "mine", projections.APPLIED: "{...}"}
    found = json.loads(projections.routing(routes(annotations=annotations, labels={"a": "b"})))
    assert found["spec"] == routes()["spec"]
    assert found["metadata"]["annotations"] == {"note": "mine", projections.APPLIED: ""}
    assert found["metadata"]["labels"] == {"a": "b"}
    assert found.keys() == {"metadata", "spec"}
    assert "managedFields" not in found["metadata"]


def test_a_service_keeps_whose_pods_it_means() -> None:
    """Of ports there is a digest only."""
    body = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    kept, other = (json.loads(projections.service(one))["spec"] for one in (body, {"metadata": {"name": "web"}}))
    assert (kept["selector"], other["selector"]) == ({"app": "web"}, {})
    assert projections.selection_digest({"spec": kept}) == projections.selection_digest(body)


def test_a_workload_keeps_how_many_there_are_and_of_which_build() -> None:
    """Zero replicas are not the same as none given; of containers only images are kept, and not all conditions."""
    labels = {"app": "web", "version": "v2"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"image": "web:2"}]}}
    conditions = [
        {"type": "Available", "status": "True"},
        {"type": "Progressing", "status": "False", "reason": "Late"},
    ]
    body = {
        "metadata": {"name": "web", "generation": 3, "labels": {"x": "y"}, "annotations": {"n": "1"}},
        "spec": {"replicas": 0, "template": template, "paused": True},
        "status": {"replicas": 2, "observedGeneration": 3, "readyReplicas": 2, "conditions": conditions},
    }
    found = json.loads(projections.workload(body))
    assert found["metadata"] == {"name": "web", "generation": 3, "annotations": {"n": "1"}}
    kept = {"metadata": {"labels": labels}, projections.IMAGES: ["web:2"]}
    assert found["spec"] == {"replicas": 0, "template": kept}
    assert projections.images(found) == projections.images(body) == ["web:2"]
    assert found["status"] == {
        **{"replicas": 2, "observedGeneration": 3},
        "conditions": [{"type": "Progressing", "status": "False", "reason": "Late"}],
    }
    assert "replicas" not in json.loads(projections.workload({"metadata": {"name": "web"}}))["spec"]


def test_a_workload_of_canarys_own_keeps_a_digest_of_its_template() -> None:
    """So that an edit is noticed without a request; of others none is made."""

    def kept(image: str, **annotations: str) -> dict[str, Any]:
        body = {
            "metadata": {"name": "web", "annotations": annotations},
            "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        }
        found: dict[str, Any] = json.loads(projections.workload(body))
        if annotations:
            assert projections.template_digest(found) == projections.template_digest(body)
        template: dict[str, Any] = found["spec"]["template"]
        return template

    mine = {f"{projections.OWN}canary": "web"}
    assert kept("web:1", **mine) == kept("web:1", **mine) != kept("web:2", **mine)
    assert projections.DIGEST not in kept("web:1")


def test_what_mustnt_be_late_is_asked_of_the_server() -> None:
    """And kept from then on."""
    kept = Keeping()
    kept.put(routes(10))
    client, wire = mirror(kept, routes(30, version="9"))
    assert weight(client.fresh(VIRTUAL_SERVICES, "shop", "reviews")) == 30
    assert wire.asked == ["get VirtualService"]
    assert weight(client.get(VIRTUAL_SERVICES, "shop", "reviews")) == 30
