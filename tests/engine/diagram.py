"""Phases and reasons as text for people, made of the tables in `phases.py` and of `api/reason.py`.

docs/phases.md and docs/observability.md hold exactly what these functions return; tests say so.
"""

from canary.api.reason import Reason, Topic
from canary.api.status import Phase
from canary.engine.phases import IDLE, NEEDS, TRANSITIONS, Need

WORDS = {
    Need.DESIRED_VERSION: "the desired version",
    Need.ROUTE: "the route",
    Need.WORKLOADS: "replicas",
    Need.EVIDENCE: "metrics, when an evaluation is due",
    Need.ACTIONS: "what people ask",
}
"""How each need reads in the docs."""


def diagram() -> str:
    """A Mermaid state diagram. Any phase leads to Terminating once the Canary is deleted; a note says so."""
    rows = [f"    [*] --> {Phase.INITIALIZING.value}"]
    rows += [
        f"    {before.value} --> {after.value}: {when.replace(':', ',')}"  # Mermaid ends a label at a second colon
        for (before, after), when in TRANSITIONS.items()
        if after is not Phase.TERMINATING
    ]
    rows += [f"    note right of {Phase.INITIALIZING.value}: deleted, any phase leads to {Phase.TERMINATING.value}"]
    return "\n".join(["stateDiagram-v2", *rows])


def needs() -> str:
    """A Markdown table: what each phase reads before it decides, and whether a rollout is running."""
    rows = ["| Phase | A rollout runs | Reads |", "|---|---|---|"]
    for phase, need in NEEDS.items():
        read = ", ".join(word for one, word in WORDS.items() if one in need)
        rows.append(f"| {phase.value} | {'no' if phase in IDLE else 'yes'} | {read} |")
    return "\n".join(rows)


def transitions() -> str:
    """A Markdown table of all transitions."""
    rows = ["| From | To | When |", "|---|---|---|"]
    rows += [f"| {before.value} | {after.value} | {when} |" for (before, after), when in TRANSITIONS.items()]
    return "\n".join(rows)


def reasons() -> str:
    """A Markdown table of the reasons of each topic, under a title."""
    return "\n\n".join(f"### {topic.value}\n\n{_reasons(topic)}" for topic in Topic)


def _reasons(topic: Topic) -> str:
    rows = [f"| `{reason.value}` | {reason.means} |" for reason in Reason if reason.topic is topic]
    return "\n".join(["| Reason | Means |", "|---|---|", *rows])
