"""The ports of a Canary's Services: the one that the manifest names, and those that are discovered.

A Service that clients call may be older than its Canary. Its ports keep their names, unless the manifest names
another one: a port that is renamed has no endpoints until the EndpointSlices have the new name.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from canary.api.service import Service
from canary.engine.errors import Invalid
from canary.engine.validation.primary import UNSHARED

from .names import MARK, Data, Object
from .reading import annotation, original

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
