"""The three Services of a Canary: the one that clients call, the primary's and the canary's.

They have the same ports, from `ports.py`, and are labelled with their own names, as Flagger's. Clients are sent to
the primary where no route says otherwise.

The clients' Service may be older than its Canary. Server-side apply removes what canary adds to it. The API server
doesn't keep what canary writes over, so `noted` keeps that, and `given_back` writes it again at the end.
"""

import json
from collections.abc import Mapping
from typing import Any

from canary.api.canary import Canary
from canary.api.service import Service, ServiceMetadata

from .names import UNRECONCILED, Data, Names, Object, metadata, service_of
from .ports import as_found, number_of, own_ports, ports
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
