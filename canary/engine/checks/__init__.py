"""What is wrong with a Canary beyond its syntax, as sentences; lint, run and conditions share them.

`problem.py` and `case.py` are what checks are made of; each other file checks one part of a Canary and ends
with its list. A check is a function of the case that yields problems, and never raises.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from canary.api.canary import Canary, CanaryPolicy, CanarySpec, Metadata, MetricTemplate, TargetRef

from . import guards, metrics, strategy, target, timing, traffic, unread
from .case import Case, shared
from .problem import ABLEST, ENVOY_ROUTE, ROUTERS, Capabilities, Field, Problem, Severity, dotted
from .unread import of_template

__all__ = [
    "ENVOY_ROUTE", "Capabilities", "Field", "Problem", "Severity",
    "check", "check_policy", "check_template", "dotted", "of_template", "shared",
]  # fmt: skip

Check = Callable[[Case], Iterator[Problem]]
CHECKS: tuple[Check, ...] = (
    *target.CHECKS,
    *strategy.CHECKS,
    *traffic.CHECKS,
    *timing.CHECKS,
    *metrics.CHECKS,
    *guards.CHECKS,
    *unread.CHECKS,
)
_OF_A_WHOLE_CANARY: tuple[Check, ...] = (
    *target.CHECKS,
    strategy.some_strategy,
    metrics.any_metric,
    metrics.servers,
    metrics.reporter,
    metrics.template_refs,
    unread.providers,
)
"""What a policy alone can't be asked."""


def check(
    canary: Canary,
    policy: CanaryPolicy | None = None,
    templates: Mapping[str, MetricTemplate] | None = None,
    capabilities: Capabilities | None = None,
) -> list[Problem]:
    """All problems of a Canary, those of the policy that reach it included. `templates` are by `TemplateRef.key`.

    The fields are as written in the Canary; what is wrong in the policy stands at `spec.policyRef`.
    """
    router = capabilities or ROUTERS.get(canary.spec.target_ref.kind, ENVOY_ROUTE)
    return _run(CHECKS, Case(canary, policy, templates or {}, router))


def check_policy(policy: CanaryPolicy, capabilities: Capabilities = ABLEST) -> list[Problem]:
    """What is wrong with a policy, whoever refers to it."""
    anything = TargetRef(kind=ENVOY_ROUTE.name, name="any")
    spec = CanarySpec(target_ref=anything, analysis=policy.spec.analysis, guards=policy.spec.guards)
    case = Case(Canary(metadata=Metadata(name="any"), spec=spec), None, {}, capabilities)
    return _run([each for each in CHECKS if each not in _OF_A_WHOLE_CANARY], case)


def check_template(template: MetricTemplate) -> list[Problem]:
    """What is wrong with a MetricTemplate, whoever refers to it."""
    address = template.spec.provider.address
    found = target.address(("spec", "provider", "address"), address) if address else ()
    return [*found, *metrics.template(template), *unread.provider(template)]


def _run(checks: Iterable[Check], case: Case) -> list[Problem]:
    return [problem for each in checks for problem in each(case)]
