"""Checks for fields of Flagger's that are read and not acted on: an error where silence would be unsafe."""

from collections.abc import Iterator

from ..nearest import did_you_mean
from .case import Case
from .problem import Problem, Severity

HARMLESS = ("event", "post-rollout")
"""They only tell somebody."""
HOOKS = (
    *("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion"),
    *("rollback", *HARMLESS),
)
NO_HOOK = "is no type of webhook"
IGNORED = {
    "autoscaler_ref": "autoscalerRef",
    "ingress_ref": "ingressRef",
    "route_ref": "routeRef",
    "upstream_ref": "upstreamRef",
    "service": "service",
}


def webhooks(case: Case) -> Iterator[Problem]:
    """A gate or a check that is never asked would let everything through."""
    for index, hook in enumerate(case.analysis.webhooks or ()):
        uncalled = f"{hook.name or 'webhook'} ({hook.type}) isn't called by this build"
        if hook.type not in HOOKS:
            hint = did_you_mean(hook.type, HOOKS) or f"; there are {', '.join(HOOKS)}"
            yield case.problem("webhooks", f"{hook.type!r} {NO_HOOK}{hint}", index, "type")
        elif hook.type in HARMLESS:
            yield case.warning("webhooks", uncalled, index)
        else:
            sentence = f"{uncalled}, and nothing may pass unasked"
            yield case.problem("webhooks", f"{sentence}; remove it, or use an approval gate in steps", index)


def told(case: Case) -> Iterator[Problem]:
    """Nobody is alerted; the command's own output and exit code say what happened."""
    if case.analysis.alerts:
        yield case.warning("alerts", "aren't sent by this build")


def readiness(case: Case) -> Iterator[Problem]:
    """`capacity` asks for what the weight needs instead."""
    for name in ("primary_ready_threshold", "canary_ready_threshold"):
        if case.written(name):
            yield case.warning(name, "isn't used; capacity says whether replicas are waited for")


def cloned(case: Case) -> Iterator[Problem]:
    """Fields for targets that are cloned, and for ingress controllers."""
    for name, wire in IGNORED.items():
        if getattr(case.spec, name):
            sentence = f"isn't used by this build with a targetRef of kind {case.spec.target_ref.kind}"
            yield Problem(("spec", wire), sentence, Severity.WARNING)


CHECKS = (webhooks, told, readiness, cloned)
