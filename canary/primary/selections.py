"""The copies of a Service that is a target: which pods it selects, and on which ports, is what is released. Pure.

`kube/projections.py` says what of a Service that is. It is kept in ControllerRevisions, as pod templates are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from canary.api.canary import Canary
from canary.api.revision import build_of
from canary.api.service import Service, ServiceMetadata
from canary.engine.errors import Invalid
from canary.engine.validation.primary import NOT_SHARED, UNSHARED
from canary.kube.projections import PASSED_ON, selection, selection_digest

from .names import REVISION, UNRECONCILED, Data, Names, Object, metadata, service_of
from .reading import annotation
from .workload import without_managers


def primary_copy(canary: Canary, target: Data, selected: Data, revision: str) -> Object:
    """The Service of the primary, whole; `selected` is what the target's was at the revision."""
    made = _copy(canary, target, Names.of(canary).primary_host, service_of(canary).primary, selected)
    made["metadata"]["annotations"][REVISION] = revision
    return made


def canary_copy(canary: Canary, target: Data) -> Object:
    """The Service of the canary, whole: the target as it is now."""
    return _copy(canary, target, Names.of(canary).canary_host, service_of(canary).canary, selection(target))


def promoted_as(primary: Data | None) -> str:
    """The target's revision that the primary has; empty once another client has changed what it selects."""
    noted = annotation(primary, REVISION)
    return noted if primary is not None and build_of(noted) == selection_digest(primary) else ""


def selection_of(found: Iterable[Data | None], revision: str) -> Object | None:
    """What was selected at a revision, if one of these Services selects it."""
    wanted = build_of(revision)
    return next((selection(one) for one in found if one is not None and selection_digest(one) == wanted), None)


def checked(target: Data, service: Service) -> None:
    """Raises Invalid for a Service whose pods aren't known, and for a port of another protocol than the routes."""
    spec, name = target.get("spec") or {}, (target.get("metadata") or {}).get("name")
    if not spec.get("selector"):
        raise Invalid(
            f"the Service {name} has no selector, so canary can't know how many pods behind it can answer; "
            "name a Service with spec.selector"
        )
    port: Data = next((one for one in spec.get("ports") or () if one.get("port") == service.port), {})
    found = service.but(port_name=port.get("name") or "", app_protocol=port.get("appProtocol"))
    if found.protocol in UNSHARED:
        raise Invalid(f"the port {service.port} of the Service {name} is for {found.protocol}, which {NOT_SHARED}")
    if found.protocol and found.is_tcp != service.is_tcp:
        field, value = ("appProtocol", found.app_protocol) if found.app_protocol else ("portName", found.port_name)
        routes = "tcp" if service.is_tcp else "http"
        raise Invalid(
            f"the routes would be for {routes}, but Istio takes the port {service.port} of the Service {name} for "
            f"{found.protocol}; write spec.service.{field}: {value}"
        )


def changes(target: Data, selected: Data) -> list[Mapping[str, Any]]:
    """A patch that gives the target, as it was read, what was selected at a revision. Ports keep their nodePort."""
    spec = target.get("spec") or {}
    nodes = {one["port"]: {"nodePort": one["nodePort"]} for one in spec.get("ports") or () if "nodePort" in one}
    ports = [{**one, **nodes.get(one["port"], {})} for one in selected.get("ports") or ()]
    wanted = {**selected, "ports": ports}
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": str(target["metadata"]["resourceVersion"])}
    made: list[Mapping[str, Any]] = [guard]
    for field in PASSED_ON:
        if wanted.get(field):
            made.append({"op": "add", "path": f"/spec/{field}", "value": wanted[field]})
        elif spec.get(field):
            made.append({"op": "remove", "path": f"/spec/{field}"})
    return made


def _copy(canary: Canary, target: Data, name: str, given: ServiceMetadata | None, selected: Data) -> Object:
    own, about = target.get("metadata") or {}, given or ServiceMetadata()
    labels = without_managers(own.get("labels")) | dict(about.labels)
    annotations = without_managers(own.get("annotations")) | dict(about.annotations) | dict(UNRECONCILED)
    headless = {"clusterIP": "None"} if (target.get("spec") or {}).get("clusterIP") == "None" else {}
    return {"metadata": metadata(canary, name, labels, annotations), "spec": {**dict(selected), **headless}}
