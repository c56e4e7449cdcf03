"""The phases as text for people: a state diagram and a table of needs, made of the tables in `phases.py`.

docs/phases.md holds exactly what these functions return; a test says so.
"""

from canary.api.status import Phase

from .phases import IDLE, NEEDS, TRANSITIONS, Need

WORDS = {
    Need.WANTED: "what is wanted",
    Need.ROUTE: "the route",
    Need.WORKLOADS: "replicas",
    Need.EVIDENCE: "metrics, when a look is due",
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
