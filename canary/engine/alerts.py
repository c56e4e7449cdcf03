"""Alerts: which messages they are sent for, and what a person reads in them. Pure.

An alert is due for a message whose severity its `severity` includes. The message keeps the alert's name until it is
sent, so a crash loses none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from canary.api.analysis import Alert
from canary.api.canary import DEFAULT_TEMPLATE
from canary.api.evidence import CheckResult
from canary.api.pinned import Policy
from canary.api.plan import Plan
from canary.api.reason import Reason, Topic
from canary.api.status import DueAlerts, Message, Phase, Rollout, Status

from .did_you_mean import did_you_mean
from .errors import Invalid
from .formats import shown
from .outcome import LONGEST, Close, Draft, Remark, RollBack
from .query_templates import pieces
from .resolved import ResolvedSpec

AlertSeverity = Literal["info", "warn", "error"]
RANK: Mapping[AlertSeverity, int] = {"info": 0, "warn": 1, "error": 2}
ROUTINE = frozenset(
    {
        *(Reason.CANARY_READY, Reason.STEP_PASSED, Reason.STEP_SKIPPED, Reason.PROMOTION_ASKED, Reason.PROMOTING),
        *(Reason.CANARY_NOT_READY, Reason.PROVISIONING, Reason.PRIMARY_NOT_READY, Reason.OTHER_REVISION_SERVES),
        *(Reason.CAPACITY_UNKNOWN, Reason.ROUTE_UNREADABLE, Reason.REVISION_UNKNOWN, Reason.METRICS_READABLE),
        *(Reason.MANIFEST_WARNING, Reason.ROUTES_UNMOVED, Reason.EDITED_LATER),
    }
)
"""Part of any rollout, or said whenever one starts: an Event, and no alert."""
WORDS = (
    *("name", "namespace", "cluster", "target", "reason", "severity", "message", "stable", "version", "weight"),
    *("step", "failedChecks", "threshold", "evidence", "command"),
)
"""What a template of an AlertProvider may ask for."""


@dataclass(frozen=True)
class AlertCard:
    """What an alert shows, for every service."""

    title: str
    text: str
    severity: AlertSeverity
    fields: tuple[tuple[str, str], ...]


def severity_of(remark: Remark, draft: Draft) -> AlertSeverity:
    """`error` for a rollback and for what can't be rolled back, `warn` for other warnings."""
    rolls_back = remark.reason == draft.finding.reason and isinstance(draft.finding.outcome, RollBack | Close)
    if remark.reason == Reason.NOTHING_TO_GO_BACK_TO or (remark.type == "Warning" and rolls_back):
        return "error"
    return "warn" if remark.type == "Warning" else "info"


def due(alerts: Iterable[Alert], reason: Reason, severity: AlertSeverity) -> tuple[str, ...]:
    """The keys of the alerts that are due for a message; what belongs to every rollout is only an Event."""
    if reason in ROUTINE:
        return ()
    return tuple(dict.fromkeys(one.key for one in alerts if RANK[one.severity] <= RANK[severity]))


def addressed(
    names: tuple[str, ...], severity: AlertSeverity, phase: Phase, before: Status, after: Status
) -> DueAlerts:
    """The alerts with the state that they show; after the end of a rollout with its numbers."""
    rollout = after.rollout or before.rollout
    if rollout is None:
        return DueAlerts(due=names, severity=severity, phase=phase.value, stable=str(after.stable or ""))
    return DueAlerts(
        due=names,
        severity=severity,
        phase=phase.value,
        stable=str(rollout.stable_version),
        canary=str(rollout.canary_version),
        weight=after.rollout.desired.weight if after.rollout else after.canary_weight,
        step=_step(rollout),
        failed_checks=after.failed_checks,
        evidence=_evidence(rollout),
    )


def size(message: Message) -> int:
    """About how many characters its alerts add to a status."""
    due = message.alerts
    return 0 if due is None else 150 + len(due.evidence) + sum(map(len, due.due))


def _step(rollout: Rollout) -> str:
    return f"{rollout.step}/{len(rollout.plan.steps) + len(rollout.plan.promotion) - 1}"


def _evidence(rollout: Rollout) -> str:
    checks = rollout.evaluation.checks if rollout.evaluation else ()
    text = ", ".join(map(_check, checks))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _check(check: CheckResult) -> str:
    """`request-success-rate 97.1% (stable 99.9%), failed`."""
    bounds = (check.range.min, check.range.max)
    value = "no value" if check.canary is None else shown(check.metric, check.canary, bounds)
    stable = "" if check.stable is None else f" (stable {shown(check.metric, check.stable)})"
    return f"{check.metric} {value}{stable}{'' if check.result == 'passed' else f', {check.result}'}"


def card(
    message: Message,
    resolved: ResolvedSpec,
    howto: str,
    cluster: str = "",
    templates: Mapping[str, str] | None = None,
) -> AlertCard:
    """What an alert shows. `howto` is how a command names the rollout: `podinfo -n test`."""
    about, known = resolved.manifest.metadata, message.alerts or DueAlerts()
    ref, policy = resolved.manifest.spec.target_ref, resolved.policy
    words = {
        "name": about.name,
        "namespace": about.namespace,
        "cluster": cluster,
        "target": f"{ref.kind}/{ref.name}.{about.namespace}",
        "reason": message.reason.value,
        "severity": known.severity,
        "message": message.beside,
        "stable": known.stable,
        "version": known.canary,
        "weight": str(known.weight),
        "step": known.step,
        "failedChecks": str(known.failed_checks),
        "threshold": str(policy.threshold),
        "evidence": known.evidence,
        "command": command(message.reason, howto),
    }
    return AlertCard(
        title=f"{about.name}.{about.namespace}",
        text=_text(words, templates or {}),
        severity=known.severity,
        fields=tuple((name, value) for name, value in _fields(words, resolved) if value),
    )


def _fields(words: Mapping[str, str], resolved: ResolvedSpec) -> Iterable[tuple[str, str]]:
    """Flagger's fields, then those that say where the rollout is; an empty one isn't shown."""
    running, policy = bool(words["version"]), resolved.policy
    yield "Canary", f"{words['name']}.{words['namespace']}"
    yield "Cluster", words["cluster"]
    yield "Target", words["target"]
    yield "Reason", words["reason"]
    yield "Versions", f"{words['stable']} → {words['version']}" if running else words["stable"]
    yield "Traffic routing", routing(resolved.plan)
    yield "Weight", f"{words['weight']}%" if running else ""
    yield "Step", words["step"]
    yield "Failed checks threshold", _failed(words, policy, running)
    yield "Progress deadline", f"{policy.ready_deadline.total_seconds():g}s"
    yield "Evidence", words["evidence"]
    yield "Command", words["command"]


def _failed(words: Mapping[str, str], policy: Policy, running: bool) -> str:
    return f"{words['failedChecks']} of {policy.threshold}" if running else str(policy.threshold)


def routing(plan: Plan) -> str:
    """How traffic moves, in Flagger's words."""
    weights = [step.traffic.weight for step in plan.steps if step.traffic.weight]
    if any(step.traffic.match for step in plan.steps):
        return "A/B testing"
    if not weights or set(weights) == {100}:
        return "Blue/Green"
    return f"Weights: {', '.join(map(str, weights))}" if len(weights) <= 10 else _steps(weights)


def _steps(weights: list[int]) -> str:
    return f"{len(weights)} weights from {weights[0]} to {weights[-1]}"


def command(reason: Reason, howto: str) -> str:
    """The command that a person is likely to want next."""
    if reason == Reason.WAITING_FOR_APPROVAL:
        return f"canary approve {howto}"
    if reason == Reason.PAUSED:
        return f"canary resume {howto}"
    if reason in (Reason.ROLLED_BACK, Reason.REJECTED, Reason.ALREADY_FAILED):
        return f"canary retry {howto}"
    if reason == Reason.PROMOTED:
        return f"canary undo {howto}"
    if reason == Reason.STARTED or (reason.topic is Topic.REMARKS and reason != Reason.ROLLBACK_ASKED):
        return f"canary rollback {howto}"
    return f"canary describe {howto}"


def _text(words: Mapping[str, str], templates: Mapping[str, str]) -> str:
    template = templates.get(words["reason"], templates.get(DEFAULT_TEMPLATE))
    if template is None:
        return words["message"]
    filled = "".join(_filled(piece.text, words) if piece.word else piece.text for piece in pieces(template))
    return filled.strip() or words["message"]


def _filled(word: str, words: Mapping[str, str]) -> str:
    if word not in words:
        raise Invalid(unknown(word))
    return words[word]


def unknown(word: str) -> str:
    """The sentence for a word of a template that stands for nothing."""
    hint = did_you_mean(word.lstrip("."), WORDS) or f"; there are {', '.join(WORDS)}"
    return f"{{{{ {word} }}}} stands for nothing in an alert{hint}"
