"""Checks for fields of Flagger's that are read and not acted on: an error where silence would be unsafe."""

from collections.abc import Iterator

from ..pairs import PAIRS, TargetType, listed, pair_for
from .problem import Case, Problem, Severity

OF_PRIMARIES = {"autoscaler_ref": "autoscalerRef", "service": "service"}
"""For a target that is released through a primary; `primary.py` checks them there."""
WITH_PRIMARY = listed([pair.kind for pair in PAIRS if pair.type is TargetType.PRIMARY])
OF_ROUTERS = {
    "ingress_ref": ("ingressRef", "is read only for {{ ingress }} in queries: canary changes no Ingress"),
    "route_ref": ("routeRef", "is read only for {{ route }} in queries: canary changes no route of APISIX"),
    "upstream_ref": ("upstreamRef", "has no effect: canary doesn't route with Gloo; remove it"),
}
"""For routers that canary doesn't have."""


def readiness(case: Case) -> Iterator[Problem]:
    """They are for targets that have a primary; elsewhere `capacity` asks for what the weight needs."""
    pair = pair_for(case.spec)
    if pair is not None and not pair.scalable and case.written("canary_replicas"):
        yield case.warning("canary_replicas", f"isn't used with {pair}, {pair.unscaled}")
    if pair is None or pair.type is TargetType.PRIMARY:
        return
    for name in ("primary_ready_threshold", "canary_ready_threshold"):
        if case.written(name):
            yield case.warning(name, f"isn't used with {pair}; capacity says whether replicas are waited for")
    if case.written("canary_replicas"):
        yield case.warning("canary_replicas", f"isn't used with {pair}: its replicas are yours")


def cloned(case: Case) -> Iterator[Problem]:
    """Fields for targets that are released through a primary, and for ingress controllers."""
    pair = pair_for(case.spec)
    has_primary = pair is not None and pair.type is TargetType.PRIMARY
    for name, wire in OF_PRIMARIES.items():
        if getattr(case.spec, name) and not has_primary:
            kind = case.spec.target_ref.kind
            sentence = f"has no effect with a targetRef of kind {kind}, only with {WITH_PRIMARY}; remove it"
            yield Problem(("spec", wire), sentence, Severity.WARNING)
    for name, (wire, sentence) in OF_ROUTERS.items():
        if getattr(case.spec, name):
            yield Problem(("spec", wire), sentence, Severity.WARNING)


CHECKS = (readiness, cloned)
