"""A small API server in memory, for what goes on between a Canary, its routes and its Leases."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from canary.engine.observed import Cause
from canary.kube.client import Client, Object
from canary.kube.errors import ApiAnswer, Unavailable
from canary.kube.requests import JSON_PATCH, ApiVerb, Request
from canary.kube.resources import LEASES, Resource
from tests.istio import rfc6902
from tests.parts.fences import unfenced

Place = tuple[str, str, str]


@dataclass
class Server:
    """Objects by kind, namespace and name."""

    objects: dict[Place, Object] = field(default_factory=dict)
    sent: list[Request] = field(default_factory=list)
    lost: Callable[[Request], bool] = lambda request: False
    """Which requests get no answer, though a write among them is done."""
    done: Callable[[Request], None] = lambda request: None
    """Called after each request, before it is answered."""

    def put(self, *objects: Object) -> None:
        for one in objects:
            about = one["metadata"]
            about["resourceVersion"] = str(int(about.get("resourceVersion", 100)) + 1)
            self.objects[one["kind"], about["namespace"], about["name"]] = one

    def exchange(self, request: Request, timeout: float) -> ApiAnswer:
        self.sent.append(request)
        status, body = self._answered(request)
        self.done(request)
        if self.lost(request):
            raise Unavailable(Cause.TIMED_OUT, f"{request}: no answer")
        return ApiAnswer(status, {}, json.dumps(body).encode())

    def stream(self, request: Request, timeout: float, silence: float) -> Any:
        raise AssertionError("nothing is watched here")

    def renew(self) -> None:
        raise AssertionError("credentials are taken here")

    def asked(self, resource: Resource = LEASES) -> list[str]:
        """Verbs of the requests in the namespace shop for objects of a kind."""
        return [str(one.verb) for one in self.sent if (one.resource, one.namespace) == (resource, "shop")]

    @property
    def holder(self) -> str:
        """Who has the Lease of the target reviews in shop."""
        found = self.objects.get(("Lease", "shop", "canary-virtualservice-reviews"), {})
        return str(found.get("spec", {}).get("holderIdentity", ""))

    def _answered(self, request: Request) -> tuple[int, Object]:
        place = (request.resource.kind, request.namespace, request.name)
        match request.verb:
            case ApiVerb.LIST:
                return 200, {"items": [one for (kind, *_), one in self.objects.items() if kind == place[0]]}
            case ApiVerb.CREATE:
                self.put({"kind": place[0], **deepcopy(request.body)})
                return 201, self.objects[place[0], place[1], request.body["metadata"]["name"]]
        if place not in self.objects:
            return 404, {"kind": "Status", "message": "not found", "details": {"name": request.name}}
        if request.verb is ApiVerb.PATCH:
            version = self._patched(request, self.objects[place])
            if not version:
                return 409, {"kind": "Status", "message": "the object has been modified"}
        return 200, self.objects[place]

    def _patched(self, request: Request, found: Object) -> bool:
        """Whether it stands on what is there."""
        if request.content_type == JSON_PATCH:
            try:
                self.put(rfc6902.apply(found, request.body))
            except rfc6902.TestFailed:
                return False
            return True
        reported = request.body["metadata"]["resourceVersion"] if "metadata" in request.body else None
        if reported not in (None, found["metadata"]["resourceVersion"]):
            return False
        change = {**request.body, "metadata": {**request.body.get("metadata", {})}}
        change["metadata"].pop("resourceVersion", None)
        self.put(merged(found, change))
        return True


def merged(found: Any, change: Any) -> Any:
    """A merge patch (RFC 7386) carried out."""
    if not isinstance(change, dict):
        return change
    there = dict(found) if isinstance(found, dict) else {}
    for key, value in change.items():
        if value is None:
            there.pop(key, None)
        else:
            there[key] = merged(there.get(key), value)
    return there


def client(server: Server) -> Client:
    """A client of it that never waits."""
    return Client(server, wait=lambda seconds: None, fence=unfenced)
