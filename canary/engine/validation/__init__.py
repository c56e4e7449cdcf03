"""What is wrong with a Canary beyond its syntax, as sentences; lint, run and conditions share them.

`problem.py` is what checks are made of; each other file checks one part of a Canary and ends
with its list. A check is a function of the case that yields problems, and never raises.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from canary.api.action import ActionResource
from canary.api.canary import AlertProvider, Canary, CanaryPolicy, CanarySpec, Metadata, MetricTemplate, TargetRef

from ..pairs import PAIRS, Capabilities, Pairing, capabilities_for
from . import (
    alerts,
    guards,
    judge,
    metrics,
    names,
    primary,
    providers,
    strategy,
    target,
    tcp,
    timing,
    traffic,
    webhooks,
)
from .problem import Case, Field, Problem, Severity, dotted, shared
from .providers import of_template

__all__ = [
    "Capabilities", "Field", "Problem", "Severity",
    "check", "check_action", "check_policy", "check_provider", "check_template", "dotted", "of_template", "shared",
]  # fmt: skip

Check = Callable[[Case], Iterator[Problem]]
CHECKS: tuple[Check, ...] = (
    *names.CHECKS,
    *target.CHECKS,
    *primary.CHECKS,
    *tcp.CHECKS,
    *strategy.CHECKS,
    *traffic.CHECKS,
    *timing.CHECKS,
    *metrics.CHECKS,
    *judge.CHECKS,
    *providers.CHECKS,
    *guards.CHECKS,
    *alerts.CHECKS,
    *webhooks.CHECKS,
    *target.UNREAD,
)
_OF_A_WHOLE_CANARY: tuple[Check, ...] = (
    names.own,
    names.references,
    *target.CHECKS,
    *primary.CHECKS,
    strategy.some_strategy,
    metrics.any_metric,
    metrics.servers,
    metrics.reporter,
    metrics.template_refs,
    judge.anything,
    judge.edges,
    providers.providers,
)
"""What a policy alone can't be asked."""
ANY = PAIRS[0]
"""Stands for the pair where none is known: its metrics are those that ask least of an analysis."""


def _able(pair: Pairing) -> int:
    return sum(value is True for value in vars(pair.capabilities).values())


ABLEST = max(PAIRS, key=_able).capabilities
"""What it can't do, none can."""


def check(
    canary: Canary,
    policy: CanaryPolicy | None = None,
    templates: Mapping[str, MetricTemplate] | None = None,
    capabilities: Capabilities | None = None,
) -> list[Problem]:
    """All problems of a Canary, those of the policy that reach it included. `templates` are by `TemplateRef.key`.

    The fields are as written in the Canary; what is wrong in the policy stands at `spec.policyRef`.
    """
    able = capabilities or capabilities_for(canary.spec) or ANY.capabilities
    return _run(CHECKS, Case(canary, policy, templates or {}, able))


def check_policy(policy: CanaryPolicy, capabilities: Capabilities = ABLEST) -> list[Problem]:
    """Problems of a policy, for any Canary that refers to it."""
    anything = TargetRef(kind=ANY.kind, name="any")
    spec = CanarySpec(target_ref=anything, analysis=policy.spec.analysis, guards=policy.spec.guards)
    case = Case(Canary(metadata=Metadata(name="any"), spec=spec), None, {}, capabilities)
    found = _run([each for each in CHECKS if each not in _OF_A_WHOLE_CANARY], case)
    return [*names.metadata(policy.metadata), *found]


def check_template(template: MetricTemplate) -> list[Problem]:
    """Problems of a MetricTemplate, for any Canary that refers to it."""
    address = template.spec.provider.address
    found = target.address(("spec", "provider", "address"), address) if address else ()
    return [*names.metadata(template.metadata), *found, *metrics.template(template), *providers.provider(template)]


def check_provider(provider: AlertProvider) -> list[Problem]:
    """Problems of an AlertProvider."""
    return [*alerts.provider(provider)]


def check_action(action: ActionResource) -> list[Problem]:
    """What is wrong with a CanaryAction."""
    return [*names.action(action)]


def _run(checks: Iterable[Check], case: Case) -> list[Problem]:
    return [problem for each in checks for problem in each(case)]
