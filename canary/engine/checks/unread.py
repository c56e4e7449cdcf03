"""Checks for fields of Flagger's that are read and not acted on: an error where silence would be unsafe."""

from collections.abc import Iterator

from canary.api.canary import MetricTemplate

from ..nearest import did_you_mean
from .case import Case
from .problem import Problem, Severity, dotted

HARMLESS = ("event", "post-rollout")
"""They only tell somebody."""
HOOKS = (
    *("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion"),
    *("rollback", *HARMLESS),
)
NO_HOOK = "is no type of webhook"
NOT_SENT = (
    "isn't sent by this build; remove it, and address as well: metricsServer is asked then, with what {} holds where "
    "canary runs"
)
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


def provider(template: MetricTemplate) -> Iterator[Problem]:
    """What its server would refuse, if it wants credentials, is said before a rollout waits for it."""
    given = template.spec.provider
    for wire, value, variable in (
        ("headers", given.headers, "PROMETHEUS_HEADERS"),
        ("secretRef", given.secret_ref, "PROMETHEUS_TOKEN or its like"),
    ):
        if value:
            yield Problem(("spec", "provider", wire), NOT_SENT.format(variable))
    for wire, asked, hint in (
        ("insecureSkipVerify", given.insecure_skip_verify, "; PROMETHEUS_CA_FILE says who vouches for metricsServer"),
        ("region", given.region, ""),
    ):
        if asked:
            yield Problem(("spec", "provider", wire), f"isn't used by this build{hint}", Severity.WARNING)


def providers(case: Case) -> Iterator[Problem]:
    """The same of each template that is referred to."""
    for index, metric in enumerate(case.analysis.metrics or ()):
        template = case.templates.get(metric.template_ref.key) if metric.template_ref else None
        if template is None:
            continue
        for found in provider(template):
            sentence = of_template(template, found)
            yield case.problem("metrics", sentence, index, "templateRef", severity=found.severity)


def of_template(template: MetricTemplate, problem: Problem) -> str:
    """How a problem of a template reads at the metric that refers to it."""
    return f"in the MetricTemplate {template.metadata.name}, {dotted(problem.field)}: {problem.sentence}"


CHECKS = (webhooks, told, readiness, cloned, providers)
