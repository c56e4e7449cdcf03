"""What someone could do with the controller's token, on a real API server: no more than the controller does."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import pytest

from canary.api.plan import Match, StringMatch, Traffic
from canary.istio.destinations import Pair
from canary.istio.patch import Patch, write
from canary.istio.scope import Scope
from canary.kube.requests import JSON, JSON_PATCH, MERGE_PATCH
from canary.stores.projection import FINALIZER
from tests.chart.helm import Data
from tests.chart.release import Release
from tests.chart.team import SHOP
from tests.mesh import bookinfo
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

PAIR = Pair("v1", "v2")
RULE = bookinfo.destination_rule("reviews", ("v1", "v2", "v3"))
JASON = Match(headers={"end-user": StringMatch(exact="jason")})
WITHIN = "the controller changes nothing of a route but its destinations' weights, one destination and a copy"
ROUTES = "the controller changes nothing of a VirtualService but its routes"
OWN = "the controller changes a Canary's status and its own finalizer only"
ABOUT = "the controller writes Events about Canaries only, in its own name"


def routes(others: int = 1) -> Data:
    """Reviews as people write it: a route that moves, others, tcp and tls, and what is no route."""
    moving = {**bookinfo.to("reviews", v1=100)[0], "headers": header("b")}
    rest: Data = {"timeout": "5s", "route": [{"destination": {"host": "ratings"}, "weight": 100}]}
    more = [{"match": [{"uri": {"prefix": f"/{number}"}}], **rest} for number in range(others)]
    default = {"name": "default", "route": [moving]}
    found = bookinfo.virtual_service("reviews", *more, default)
    found["spec"]["tcp"] = [{"match": [{"port": 27017}], "route": [{"destination": {"host": "mongo"}}]}]
    found["metadata"] |= {"labels": {"team": "shop"}, "annotations": {"note": "ours"}}
    return found


def header(value: str) -> Data:
    """What a destination adds to its requests."""
    return {"request": {"set": {"a": value}}}


@dataclass(frozen=True)
class Token:
    """The account's, in one namespace."""

    release: Release
    namespace: str

    def send(self, method: str, path: str, body: Any, content_type: str = "") -> str:
        """What the server answers: nothing where it does it."""
        kube = self.release.control_plane.kube
        content_type = content_type or (MERGE_PATCH if method == "PATCH" else JSON)
        answer = kube.request(method, path, json.dumps(body), user=self.release.account, content_type=content_type)
        return "" if answer.ok else str(answer.json()["message"])

    def path(self, resource: str, name: str = "") -> str:
        group = {"virtualservices": "apis/networking.istio.io/v1", "events": "api/v1"}
        root = group.get(resource, "apis/canary-controller.dev/v1beta1")
        return f"/{root}/namespaces/{self.namespace}/{resource}{'/' if name else ''}{name}"

    def put(self, resource: str, body: Data) -> None:
        """As a person."""
        kube, path = self.release.control_plane.kube, self.path(resource, body["metadata"]["name"])
        kube.request("DELETE", path)
        kube.create(self.path(resource), body)

    def read(self, resource: str, name: str) -> Data:
        found: Data = self.release.control_plane.kube.read(self.path(resource, name))
        return found

    def write(self, traffic: Traffic) -> list[Patch]:
        """What the controller does to ask for it."""
        found = self.read("virtualservices", "reviews")
        rule = {**RULE, "metadata": {"name": "reviews", "namespace": self.namespace}}
        return write([found], [rule], Scope(self.namespace, ("reviews",)), PAIR, traffic)


@pytest.fixture(scope="module")
def token(release: Release) -> Iterator[Token]:
    """With the policies in force."""
    kube = release.control_plane.kube
    made = Token(release, kube.create_namespace())
    made.put("virtualservices", routes())
    made.put("canaries", SHOP)
    number = count()  # a change that changes nothing is let through
    for words, method, path in (
        (ROUTES, "PATCH", made.path("virtualservices", "reviews")),
        (OWN, "PATCH", made.path("canaries", "shop")),
        (ABOUT, "POST", made.path("events")),
    ):
        refused = wait_for(partial(_tried, made, method, path, number), "the policies to be in force", within=SLOWLY)
        assert words in refused
    yield made
    kube.delete_namespace(made.namespace)


def _tried(token: Token, method: str, path: str, number: Iterator[int]) -> str:
    label = {"metadata": {"labels": {"taken": f"over-{next(number)}"}}}
    return token.send(method, path, label if method == "PATCH" else event("Pod", token.namespace))


def event(kind: str, namespace: str, component: str = "canary-controller.dev/controller") -> Data:
    """About something of this kind; what else an Event needs comes from the server."""
    version = "canary-controller.dev/v1beta1" if kind == "Canary" else "v1"
    about = {"apiVersion": version, "kind": kind, "name": "shop", "namespace": namespace}
    source = {"component": component}
    return {
        "metadata": {"generateName": "x-"},
        "involvedObject": about,
        "source": source,
        "message": "x",
        "reason": "X",
    }


WAYS = (
    Traffic(weight=10),
    Traffic(weight=10, match=(JASON,)),
    Traffic(weight=10, mirror=50),
    Traffic(weight=50),
    Traffic(weight=100),
    Traffic(),
)


@pytest.mark.parametrize("others", [1, 1100])
def test_all_that_a_rollout_writes_is_let_through(token: Token, others: int) -> None:
    """Weights, users by header, copies, the end and the way back; also in a VirtualService of many routes."""
    token.put("virtualservices", routes(others))
    for traffic in WAYS:
        (patch,) = token.write(traffic)
        path = token.path("virtualservices", patch.name)
        assert token.send("PATCH", path, patch.operations, JSON_PATCH) == "", traffic
        assert token.write(traffic) == []


def changed(change: Callable[[Data], Any]) -> Callable[[Data], Data]:
    """The object after that."""

    def made(found: Data) -> Data:
        after = copy.deepcopy(found)
        change(after)
        return after

    return made


FORBIDDEN: dict[str, tuple[Callable[[Data], Any], str]] = {
    "a host": (lambda one: one["spec"]["hosts"].append("bank"), ROUTES),
    "a gateway": (lambda one: one["spec"].update(gateways=["public"]), ROUTES),
    "for whom it is": (lambda one: one["spec"].update(exportTo=["*"]), ROUTES),
    "a label": (lambda one: one["metadata"]["labels"].update(team="x"), ROUTES),
    "a label that goes": (lambda one: one["metadata"].pop("labels"), ROUTES),
    "a note": (lambda one: one["metadata"]["annotations"].update(note="x"), ROUTES),
    "a note that goes": (lambda one: one["metadata"]["annotations"].pop("note"), ROUTES),
    "a finalizer": (lambda one: one["metadata"].update(finalizers=["x.io/y"]), ROUTES),
    "a fault": (lambda one: one["spec"]["http"][1].update(fault={"abort": {"httpStatus": 500}}), WITHIN),
    "a rewrite": (lambda one: one["spec"]["http"][0].update(rewrite={"uri": "/"}), WITHIN),
    "a timeout": (lambda one: one["spec"]["http"][0].update(timeout="1s"), WITHIN),
    "a timeout that goes": (lambda one: one["spec"]["http"][0].pop("timeout"), WITHIN),
    "a match": (lambda one: one["spec"]["http"][0].pop("match"), WITHIN),
    "a name": (lambda one: one["spec"]["http"][1].update(name="canary-controller.dev.match-9"), WITHIN),
    "a route that goes": (lambda one: one["spec"]["http"].pop(0), WITHIN),
    "a route more": (lambda one: one["spec"]["http"].insert(0, {"route": bookinfo.to("bank", v1=100)}), WITHIN),
    "the order": (lambda one: one["spec"]["http"].reverse(), WITHIN),
    "two destinations": (lambda one: one["spec"]["http"][1].update(route=bookinfo.to("bank", a=50, b=50)), WITHIN),
    "a header": (
        lambda one: one["spec"]["http"][1]["route"][0].update(headers=header("c")),
        WITHIN,
    ),
    "a tcp match": (lambda one: one["spec"]["tcp"][0].pop("match"), WITHIN),
}


@pytest.mark.parametrize(("change", "words"), FORBIDDEN.values(), ids=list(FORBIDDEN))
def test_nothing_else_of_a_virtual_service(token: Token, change: Callable[[Data], Any], words: str) -> None:
    """The server says what the account may do."""
    token.put("virtualservices", routes())
    after = changed(change)(token.read("virtualservices", "reviews"))
    whole = [{"op": "replace", "path": f"/{part}", "value": after[part]} for part in ("metadata", "spec")]
    assert words in token.send("PATCH", token.path("virtualservices", "reviews"), whole, JSON_PATCH)


def test_nothing_of_a_canary_but_its_status_and_finalizer(token: Token) -> None:
    """Who changes the spec decides what is served; who may take a finalizer of others ends what they wait for."""
    path = token.path("canaries", "shop")
    kube = token.release.control_plane.kube
    kube.merge(path, {"metadata": {"finalizers": ["others.io/x"], "annotations": {"a": "b"}}})
    refused: list[Data] = [
        {"spec": {"version": "v9"}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"annotations": {"a": None}}},
        {"metadata": {"finalizers": []}},
        {"metadata": {"finalizers": ["others.io/x", "others.io/y"]}},
    ]
    assert [OWN in token.send("PATCH", path, body) for body in refused] == [True] * len(refused)
    allowed: list[Data] = [
        {"metadata": {"finalizers": ["others.io/x", FINALIZER]}},
        {"metadata": {"finalizers": ["others.io/x"]}},
    ]
    assert [token.send("PATCH", path, body) for body in allowed] == ["", ""]
    assert token.send("PATCH", f"{path}/status", {"status": {"message": "x"}}) == ""
    kube.merge(path, {"metadata": {"finalizers": None}})


def test_events_about_canaries_only(token: Token) -> None:
    """Nothing is said about pods or in the name of others."""
    path = token.path("events")
    space = token.namespace
    refused = (event("Pod", space), event("Canary", space, "kubelet"), {**event("Canary", space), "source": {}})
    assert [ABOUT in token.send("POST", path, body) for body in refused] == [True] * 3
    assert token.send("POST", path, event("Canary", space)) == ""
