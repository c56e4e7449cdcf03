"""Checks of a target that is released through a primary: its `service`, and fields that are for other targets."""

import re
from collections.abc import Iterator

from canary.api.canary import CanarySpec
from canary.api.names import PATTERN
from canary.api.service import Service

from ..pairs import Pairing, TargetType, listed, pair_for
from .names import labelled
from .problem import Case, Field, Problem, Severity, on_the_wire

SUFFIX = "-primary"
LONGEST = 63 - len(SUFFIX)
"""Characters of a Service's name that leave room for the suffix."""
SERVICE = "[a-z]([-a-z0-9]*[a-z0-9])?"
"""Kubernetes' rule for names of Services, but for their length; for RE2 as well."""
_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_PORT = "(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*"
_HOST = rf"\*|(\*\.)?{PATTERN}\.?|[0-9a-f:.]+"
_GATEWAY = rf"({_LABEL}/)?{PATTERN}"

NO_SERVICE = "is missing: {} needs `service: {{port: 80}}` with the port that its clients call"
NO_NAME = (
    f"can't be the name of a Service: at most {LONGEST} lower-case letters, digits and '-', which leaves room for "
    f"{SUFFIX}, with a letter at the beginning and no '-' at the end"
)
NO_PORT_NAME = "can't be the name of a port: at most {} lower-case letters, digits and '-'"
NO_HOST = "can't be a host: letters, digits, '-' and '.', without a port; * stands for all hosts"
NO_GATEWAY = "can't be a gateway; write its name, or `namespace/name`"
NOT_HERE = {
    "version": "isn't for {}: a change of its {} is what is rolled out; remove it",
    "stable": "isn't for {}: the version in its primary is stable; remove it",
    "host": "isn't for {}: its hosts are called after service.name; remove it",
    "routes": "isn't for {}: all routes to its Service move; remove it",
    "virtual_services": "isn't for {}: its routes are made from service.hosts, service.gateways and service.match; "
    "remove it",
}
"""Fields of targets whose routes and versions are the user's, by Python name."""
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
"""Kinds of which a primary can get a copy."""
NO_SCALER = f"is no scaler of which the primary can get a copy; there are {listed(SCALERS)}"
NOT_SCALED = (
    "isn't possible with service.primaryLabels: keep: two scalers would select the same pods by their labels, and "
    "Kubernetes scales neither then; remove it, or write relabel"
)
NOT_SCALABLE = "isn't for {}, {}; remove it"
NOT_KEPT = "keep isn't for {}: no label tells the pods of a build before they run; write relabel, or remove it"
OWN_LABELS = "keep isn't for {}, whose pods keep their labels anyway; write relabel, or remove it"
ONE_NAME = "isn't for {}: clients call the target itself; remove it"
OWN_PORTS = "has no effect with {}: the ports and the rest are those of the target"
OF_TARGETS = ("target_port", "port_discovery", "headless", "traffic_distribution", "apex")
"""Fields of a service that a target has itself if it is one, by Python name."""
UNSHARED = ("tls", "https", "udp", "kubernetes.io/wss")
"""Protocols, as Istio reads them from a port, of which nothing is shared out."""
NOT_SHARED = (
    "can't be shared out: only requests of HTTP, HTTP/2 and gRPC can, and connections of TCP; where the pods end TLS "
    "themselves, write tcp"
)
DELEGATED = "isn't for a delegate: it has those of what delegates to it; remove it, or delegation"
FOR_OTHERS = {
    "gatewayRefs": "has no effect: canary doesn't route with the Gateway API; write gateways for those of Istio",
    "mirror": "has no effect: it is for the Gateway API; write analysis.mirror",
    "backends": "has no effect: it is for App Mesh; remove it",
    "meshName": "has no effect: it is for App Mesh; remove it",
    "rewrite.type": "has no effect: it is for the Gateway API; remove it",
}
"""Fields of a service that are for other routers."""


def pair_of(case: Case) -> Pairing | None:
    """The pair of the target, if it is released through a primary."""
    pair = pair_for(case.spec)
    return pair if pair is not None and pair.type is TargetType.PRIMARY else None


def service_of(case: Case) -> Service | None:
    """The Service of such a target."""
    return case.spec.service if pair_of(case) is not None else None


def required(case: Case) -> Iterator[Problem]:
    """Clients call it, and the routes are to it."""
    pair = pair_of(case)
    if pair is not None and case.spec.service is None:
        yield Problem(("spec", "service"), NO_SERVICE.format(pair))


def of_others(case: Case) -> Iterator[Problem]:
    """A field without effect may be what the author relies on."""
    pair = pair_of(case)
    if pair is None:
        return
    for name, sentence in NOT_HERE.items():
        if getattr(case.spec, name):
            yield Problem(("spec", on_the_wire(CanarySpec, name)), sentence.format(pair, pair.released))


def scaler(case: Case) -> Iterator[Problem]:
    """The primary gets a copy of the target's."""
    ref, pair = case.spec.autoscaler_ref, pair_of(case)
    if pair is None or ref is None:
        return
    if not pair.scalable:
        yield Problem(("spec", "autoscalerRef"), not_scalable(pair))
    elif ref.kind not in SCALERS:
        yield Problem(("spec", "autoscalerRef", "kind"), f"{ref.kind!r} {NO_SCALER}")
    elif case.spec.service is not None and case.spec.service.primary_labels == "keep":
        yield Problem(("spec", "autoscalerRef"), NOT_SCALED)


def not_scalable(pair: Pairing) -> str:
    """Why the target has no scaler."""
    return NOT_SCALABLE.format(pair, pair.unscaled)


def not_kept(pair: Pairing) -> str:
    """Why the labels of the primary's pods can't be chosen."""
    return (NOT_KEPT if pair.given_pods else OWN_LABELS).format(pair)


def unable(case: Case) -> Iterator[Problem]:
    """What is known, and what can't be done with it."""
    service = service_of(case)
    pair = pair_of(case)
    if service is None or pair is None:
        return
    if service.primary_labels == "keep" and not pair.scalable:
        yield Problem(("spec", "service", "primaryLabels"), not_kept(pair))
    if service.name and not pair.given_pods and service.name != case.spec.target_ref.name:
        yield Problem(("spec", "service", "name"), ONE_NAME.format(pair))
    field, given = ("appProtocol", service.app_protocol) if service.app_protocol else ("portName", service.port_name)
    if service.protocol in UNSHARED:
        yield Problem(("spec", "service", field), f"{given!r} {NOT_SHARED}")


def names(case: Case) -> Iterator[Problem]:
    """What the API server or Istio would refuse in mid-rollout."""
    service, target, pair = service_of(case), case.spec.target_ref.name, pair_of(case)
    if service is None or pair is None:
        return
    name = service.name or target
    if len(name) > LONGEST or not re.fullmatch(SERVICE, name):
        field: Field = ("spec", "service", "name") if service.name else ("spec", "targetRef", "name")
        yield Problem(
            field, f"{name!r} {NO_NAME}" + ("" if service.name or not pair.given_pods else "; write service.name")
        )
    if service.port_name and not re.fullmatch(_LABEL, service.port_name):
        yield Problem(("spec", "service", "portName"), f"{service.port_name!r} {NO_PORT_NAME.format(63)}")
    wanted = service.target_port
    if isinstance(wanted, str) and (len(wanted) > 15 or not re.fullmatch(_PORT, wanted)):
        hint = "; write it without quotes" if wanted.isdecimal() else ""
        yield Problem(("spec", "service", "targetPort"), f"{wanted!r} {NO_PORT_NAME.format(15)}{hint}")


def hosts(case: Case) -> Iterator[Problem]:
    """Istio refuses the routes for one that isn't one, and a delegate has none."""
    service = service_of(case)
    if service is None:
        return
    for wire, given, pattern, sentence in (
        ("hosts", service.hosts, _HOST, NO_HOST),
        ("gateways", service.gateways, _GATEWAY, NO_GATEWAY),
    ):
        if service.delegation and given:
            yield Problem(("spec", "service", wire), DELEGATED)
            continue
        for index, name in enumerate(given):
            if not re.fullmatch(pattern, name, re.IGNORECASE):
                yield Problem(("spec", "service", wire, index), f"{name!r} {sentence}")


def metadata(case: Case) -> Iterator[Problem]:
    """Labels and annotations of the Services."""
    service = service_of(case)
    for wire in ("apex", "primary", "canary") if service is not None else ():
        given = getattr(service, wire)
        if given is not None:
            yield from labelled(("spec", "service", wire), given.labels, given.annotations)


def unused(case: Case) -> Iterator[Problem]:
    """Fields for other routers, and what a target has itself."""
    service, pair = service_of(case), pair_of(case)
    if service is None or pair is None:
        return
    for name in OF_TARGETS if not pair.given_pods else ():
        if getattr(service, name):
            field = ("spec", "service", on_the_wire(Service, name))
            yield Problem(field, OWN_PORTS.format(pair), Severity.WARNING)
    for way, given in (
        ("gatewayRefs", service.gateway_refs),
        ("mirror", service.mirror),
        ("backends", service.backends),
        ("meshName", service.mesh_name),
        ("rewrite.type", service.rewrite.type if service.rewrite else None),
    ):
        if given:
            yield Problem(("spec", "service", *way.split(".")), FOR_OTHERS[way], Severity.WARNING)


CHECKS = (required, of_others, scaler, unable, names, hosts, metadata, unused)
