"""What the judge `sequential` remembers between evaluations, the same before and after a restart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from canary.api.evidence import Evidence

if TYPE_CHECKING:
    from canary.engine.statistics.state import State

NAME = "sequential"
FORMAT, OLDER = 5, (2, 3, 4)
"""Of evidence as it is written, and those that are read as well."""


@dataclass(frozen=True)
class SequentialMemory:
    """Beside the numbers."""

    began: str | None = None
    """When requests could first reach the canary."""
    failed_checks: int = 0
    """Of hooks."""
    no_data_since: str | None = None
    unreachable_since: str | None = None
    inconclusive_since: str | None = None
    """Since when the present step gets no verdict."""
    up_to: Mapping[str, str] = field(default_factory=dict)
    """The end of the last window that was counted, by metric: the next one begins there."""
    together: Sequence[str] | None = None
    """Metrics whose counts of both versions were of the same moments in all evaluations so far; absent for none."""
    again_since: str | None = None
    """The end of a shared outage in this step, as far as it is known: what an increase needs is counted since."""


def remembered(evidence: Evidence | None, keys: Sequence[str]) -> "tuple[SequentialMemory, State]":
    """The memory and the numbers; fresh ones if the evidence is another judge's, or about other metrics."""
    from canary.engine.statistics import storage
    from canary.engine.statistics.state import fresh

    if evidence is None or not ours(evidence) or evidence.data.get("lanes") != list(keys):
        return SequentialMemory(), fresh(len(keys))
    return SequentialMemory(**evidence.data["memory"]), storage.loaded(evidence.data["numbers"])


def kept(memory: SequentialMemory, state: "State", keys: Sequence[str], up_to: datetime) -> Evidence:
    """As it is stored. The numbers must be rounded already."""
    from canary.engine.statistics import storage

    data = {
        "lanes": list(keys),
        "memory": {name: value for name, value in vars(memory).items() if value is not None},
        "numbers": storage.dumped(state),
    }
    return Evidence(judge=NAME, version=FORMAT, data=data, up_to=up_to)


def ours(evidence: Evidence) -> bool:
    """Whether this judge wrote it, in a form that it knows."""
    return evidence.judge == NAME and evidence.version in (FORMAT, *OLDER)
