"""The three Services of a Canary: the one that clients call, the primary's and the canary's.

They have the same ports, the one that the manifest names and those that are discovered, and are labelled with their
own names, as Flagger's. Clients are sent to the primary where no route says otherwise.

The clients' Service may be older than its Canary. Server-side apply removes what canary adds to it. The API server
doesn't keep what canary writes over, so `noted` keeps that, and `given_back` writes it again at the end. Its ports
keep their names, unless the manifest names another one: a port that is renamed has no endpoints until the
EndpointSlices have the new name.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from canary.api.canary import Canary
from canary.api.service import Service, ServiceMetadata
from canary.engine.errors import Invalid
from canary.engine.validation.primary import UNSHARED

from .names import MARK, UNRECONCILED, Data, Names, Object, metadata, service_of
from .reading import annotation, original
from .workload import selector_label, selectors

LISTED = ("selector", "ports")
"""Noted whether they differ or not: what is deleted in between may be written as a whole."""
_FIXED = ("clusterIP",)
"""The API server refuses another one."""
_ABOUT = ("labels", "annotations")


def services(
    canary: Canary, target: Data, build: str = "", found: Data | None = None
) -> tuple[Object, Object, Object]:
    """(apex, primary, canary), each complete; `build` is the target's newest, `found` the apex that is there.

    Raises Invalid, as `selectors` does, and for a port whose protocol isn't the manifest's.
    """
    key, _ = selector_label(target)
    names, selected, own = Names.of(canary), selectors(canary, target, build), own_ports(found)
    service = as_found(service_of(canary), own, names.apex)
    shared = _spec(service, ports(service, target, own))

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
    listed = {number_of(one): one for one in before.get("ports") or ()}
    wanted = {field: value for field, value in before.items() if field not in (*LISTED, *_ABOUT)}
    wanted |= {"selector": before.get("selector") or {}}
    wanted |= {"ports": [listed.get(number_of(one), one) for one in spec.get("ports") or ()]}
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


# ---- their ports -----------------------------------------------------------------------------------------------

PROXIES = ("istio-proxy", "envoy")
"""Containers of a mesh, whose ports aren't the application's."""
LONGEST_NAME = 63
"""Characters of a Service's port name."""
OF_CLIENTS = (
    "spec.service.{0}: is missing, and Istio takes the port {1} of your Service {2} for {3}; write {0}: {4}, or "
    "{0}: {5}, which canary then sets in your Service"
)
Number = tuple[Any, str]
"""What a Service has each port once by: its number and its protocol."""


def number_of(port: Data) -> Number:
    """Of a port of a Service."""
    return port.get("port"), str(port.get("protocol") or "TCP")


def own_ports(found: Data | None) -> Sequence[Data]:
    """Ports of the user's own Service as they are now, without those that canary added; none if canary made it."""
    now: Sequence[Data] = ((found or {}).get("spec") or {}).get("ports") or ()
    before = original(found)
    if before is None:
        return () if annotation(found, MARK) else now
    noted = {number_of(one) for one in before.get("ports") or ()}
    return [one for one in now if number_of(one) in noted]


def as_found(service: Service, own: Sequence[Data], apex: str) -> Service:
    """The manifest with the name and the protocol that the user's port has, where it has none.

    Raises Invalid where the routes would be for another protocol than Istio reads from the port then.
    """
    port: Data = next((one for one in own if number_of(one) == (service.port, "TCP")), {})
    made = service.but(
        port_name=service.port_name or port.get("name") or "",
        app_protocol=service.app_protocol or port.get("appProtocol"),
    )
    if made.is_tcp == service.is_tcp and made.protocol not in UNSHARED:
        return made
    field, given = ("appProtocol", made.app_protocol) if made.app_protocol else ("portName", made.port_name)
    kept, other = ("tcp", "http") if made.protocol in UNSHARED else (given, "http" if made.is_tcp else "tcp")
    raise Invalid(OF_CLIENTS.format(field, service.port, apex, given, kept, other))


def ports(service: Service, target: Data, own: Sequence[Data] = ()) -> list[Object]:
    """Of each of the Services. `own` are the ports of the user's, and `service` is `as_found` in it."""
    names = {str(one["name"]): number_of(one) for one in own if one.get("name")}
    first = service.port_name or _free(service.port, ("http", f"http-{service.port}"), names) or "http"
    names[first] = (service.port, "TCP")
    made: list[Object] = [
        {
            "name": first,
            "protocol": "TCP",
            "port": service.port,
            "targetPort": service.target_port or service.port,
        }
    ]
    if service.app_protocol:
        made[0]["appProtocol"] = service.app_protocol
    for number, candidates in _discovered(service, target) if service.port_discovery else ():
        known = tuple(name for name, one in names.items() if one == (number, "TCP"))
        name = _free(number, (*known, *candidates), names)
        if all(number != one["port"] for one in made) and name is not None:
            made.append({"name": name, "protocol": "TCP", "port": number, "targetPort": number})
            names[name] = (number, "TCP")
    if len(made) == 1 and not service.port_name and any(number_of(one) == (service.port, "TCP") for one in own):
        del made[0]["name"]  # Kubernetes allows that for the only port of a Service
    return made


def _free(number: int, candidates: Sequence[str], names: dict[str, Number]) -> str | None:
    """The first of these names that no other port has."""
    return next((one for one in candidates if names.get(one, (number, "TCP")) == (number, "TCP")), None)


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
