"""Output for programs: a JSON object for each decision and one for the ending (docs/output.md), and whole statuses.

Names of fields are stable: fields may be added, and none is renamed or taken away.
"""

import json
from collections.abc import Sequence
from io import StringIO
from typing import Any, Literal, TextIO

from canary.api.canary import Canary
from canary.api.revision import PromotedRevision
from canary.api.status import Message, Outcome, RolloutSummary, Status
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn

from .bars import steps
from .lines import evaluation_of, weight
from .tables import ListRow

Form = Literal["json", "yaml"]


def record(turn: Turn) -> dict[str, Any]:
    """A decision. `null` stands where there is no rollout that could tell."""
    decision, rollout, evaluation = turn.decision, turn.decision.status.rollout, evaluation_of(turn)
    return {
        "time": turn.at.isoformat(),
        "name": turn.resolved.manifest.metadata.name,
        "number": decision.status.rollouts,
        "phase": decision.status.phase.value,
        "step": rollout.step if rollout else None,
        "steps": steps(rollout.plan) if rollout else None,
        "weight": weight(turn),
        "previous": rollout.previous.weight if rollout else None,
        "reason": decision.reason,
        "message": decision.sentence,
        "evaluated": decision.evaluated,
        "checks": [check.wire() for check in evaluation.checks] if evaluation else [],
        "weighing": evaluation.weighing.wire() if evaluation and evaluation.weighing else None,
        "failedChecks": decision.status.failed_checks,
        "threshold": rollout.policy.threshold if rollout else None,
        "unmoved": [one.wire() for one in rollout.unmoved] if rollout else [],
        "messages": [message.wire() for message in turn.messages],
        "trouble": list(turn.trouble),
        "requeueAfter": decision.requeue_after.total_seconds(),
    }


def ended(ending: Ending, outcome: Outcome | None) -> dict[str, Any]:
    """The ending. `outcome` is null where it speaks of no rollout that is over."""
    return {
        "code": ending.code.value,
        "reason": ending.reason,
        "message": ending.sentence,
        "outcome": outcome.value if outcome else None,
    }


def document(status: Status, form: Form) -> str:
    """A whole status as it is stored."""
    return _written(status.wire(), form)


def documents(rows: Sequence[ListRow], form: Form) -> str:
    """A list of whole statuses, each with the name of its Canary, and who moves it."""
    return _written(
        [{"namespace": row.namespace, "name": row.name, "by": row.by, "status": row.status.wire()} for row in rows],
        form,
    )


def summaries(history: Sequence[RolloutSummary], form: Form) -> str:
    """A list of rollouts that are over."""
    return _written([one.wire() for one in history], form)


def revisions(kept: Sequence[PromotedRevision], form: Form) -> str:
    """A list of the revisions that can be gone back to."""
    return _written([one.wire() for one in kept], form)


def described(canary: Canary | None, status: Status, events: Sequence[Message], form: Form) -> str:
    """All that is known: the Canary object, null for a run's target; the status; Events, oldest first."""
    shown = (
        None
        if canary is None
        else canary.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True, exclude={"status"})
    )
    return _written({"canary": shown, "status": status.wire(), "events": [event.wire() for event in events]}, form)


def _written(data: object, form: Form) -> str:
    if form == "json":
        return json.dumps(data, indent=2)
    from ruamel.yaml import YAML

    stream = StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    yaml.dump(data, stream)
    return stream.getvalue().rstrip("\n")


class Records:
    """Prints JSON lines to a stream, at once."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.outcome: Outcome | None = None

    def __call__(self, turn: Turn) -> None:
        if turn.decision.closed:
            self.outcome = turn.decision.status.history[0].outcome
        self._print(record(turn))

    def close(self, ending: Ending) -> None:
        """Prints the ending."""
        self._print(ended(ending, self.outcome or ending.outcome))

    def _print(self, data: dict[str, Any]) -> None:
        print(json.dumps(data), file=self.stream, flush=True)
