"""The three Services of a Canary: the one that clients call, the primary's and the canary's.

They have the same ports, and are labelled with their own names, as Flagger's. Clients are sent to the primary where
no route says otherwise.

The clients' Service may be older than its Canary. Server-side apply removes what canary adds to it. The API server
doesn't keep what canary writes over, so `noted` keeps that, and `given_back` writes it again at the end.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from canary.api.canary import Canary
from canary.api.service import Service, ServiceMetadata

from .names import UNRECONCILED, Data, Names, Object, metadata, service_of
from .workload import selector_label, selectors

PROXIES = ("istio-proxy", "envoy")
"""Containers of a mesh, whose ports aren't the application's."""
LONGEST_NAME = 63
"""Characters of a Service's port name."""
LISTED = ("selector", "ports")
"""Noted whether they differ or not: what is deleted in between may be written as a whole."""
_FIXED = ("clusterIP",)
"""The API server refuses another one."""
_ABOUT = ("labels", "annotations")


def services(canary: Canary, target: Data, build: str = "") -> tuple[Object, Object, Object]:
    """(apex, primary, canary), each complete; `build` is the target's newest. Raises Invalid, as `selectors` does."""
    key, _ = selector_label(target)
    names, service, selected = Names.of(canary), service_of(canary), selectors(canary, target, build)
    shared = _spec(service, ports(service, target))

    def made(name: str, given: ServiceMetadata | None, selector: Mapping[str, str]) -> Object:
        about = given or ServiceMetadata()
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(canary, name, {**about.labels, key: name}, {**about.annotations, **UNRECONCILED}),
            "spec": {**shared, "ports": [dict(port) for port in shared["ports"]], "selector": dict(selector)},
        }

    return (
        made(names.apex, service.apex, selected.primary),
        made(names.primary_host, service.primary, selected.primary),
        made(names.canary_host, service.canary, selected.canary),
    )


def ports(service: Service, target: Data) -> list[Object]:
    """Of each of the Services: the one that the manifest names, then those that are discovered."""
    first: Object = {
        "name": service.port_name or "http",
        "protocol": "TCP",
        "port": service.port,
        "targetPort": service.target_port or service.port,
    }
    if service.app_protocol:
        first["appProtocol"] = service.app_protocol
    made = [first]
    if not service.port_discovery:
        return made
    for number, candidates in _discovered(service, target):
        names, numbers = {one["name"] for one in made}, {one["port"] for one in made}
        free = next((name for name in candidates if name not in names), None)
        if number not in numbers and free is not None:
            made.append({"name": free, "protocol": "TCP", "port": number, "targetPort": number})
    return made


def _discovered(service: Service, target: Data) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Ports of the target's containers, each with the names that it may have, the best one first.

    Names are unique in a container only, and a Service has each name and each port once.
    """
    wanted = service.target_port or service.port
    template = (target.get("spec") or {}).get("template") or {}
    for container in (template.get("spec") or {}).get("containers") or ():
        if container["name"] in PROXIES:
            continue
        for index, port in enumerate(container.get("ports") or ()):
            number, name = int(port["containerPort"]), port.get("name")
            if wanted in (number, name):
                continue
            made = f"tcp-{container['name'][: LONGEST_NAME - len(f'tcp--{index}')].rstrip('-')}-{index}"
            yield number, ((name, made) if name else (made,))


def _spec(service: Service, of_all: list[Object]) -> Object:
    """Without a type: a Service that was there before keeps its own."""
    spec: Object = {"ports": of_all}
    if service.headless:
        spec["clusterIP"] = "None"
    if service.traffic_distribution:
        spec["trafficDistribution"] = service.traffic_distribution
    return spec


def noted(found: Data, made: Data) -> str:
    """What `made` will write over in the Service as it was found, as JSON."""
    spec, wanted = found.get("spec") or {}, made["spec"]
    others = [one for one in wanted if one not in (*LISTED, *_FIXED)]
    kept: Object = {"selector": spec.get("selector") or {}, "ports": spec.get("ports") or []}
    kept |= {field: spec[field] for field in others if spec.get(field) not in (None, wanted[field])}
    for field in _ABOUT:
        own, over = (found.get("metadata") or {}).get(field) or {}, made["metadata"].get(field) or {}
        replaced = {key: own[key] for key, value in over.items() if own.get(key, value) != value}
        kept |= {field: replaced} if replaced else {}
    return json.dumps(kept)


def given_back(found: Data, before: Data) -> list[Mapping[str, Any]]:
    """A patch that gives the Service what was noted of it; empty where it has that.

    Ports that its owner has added or removed since stay added or removed.
    """
    spec, about = found.get("spec") or {}, found.get("metadata") or {}
    ports = {_number(one): one for one in before.get("ports") or ()}
    wanted = {field: value for field, value in before.items() if field not in (*LISTED, *_ABOUT)}
    wanted |= {"selector": before.get("selector") or {}}
    wanted |= {"ports": [ports.get(_number(one), one) for one in spec.get("ports") or ()]}
    made: list[Mapping[str, Any]] = []
    for field, value in wanted.items():
        if value and spec.get(field) != value:
            made.append({"op": "add", "path": f"/spec/{field}", "value": value})
        elif not value and spec.get(field):
            made.append({"op": "remove", "path": f"/spec/{field}"})
    for field in _ABOUT:
        whole = {**(about.get(field) or {}), **before.get(field, {})}
        if whole != (about.get(field) or {}):
            made.append({"op": "add", "path": f"/metadata/{field}", "value": whole})
    return made


def _number(port: Data) -> tuple[Any, str]:
    return port.get("port"), str(port.get("protocol") or "TCP")
