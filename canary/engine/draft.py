"""A decision in the making; `decide.py` makes it, `telling.py` and `requeue.py` read it. Pure."""

from dataclasses import dataclass, field

from canary.api.status import Status

from .actions import Action
from .outcome import Finding
from .people import Remark


@dataclass(frozen=True)
class Draft:
    """A decision in the making: what a conclusion leads to, before phase, conditions and messages are set."""

    status: Status
    finding: Finding
    actions: tuple[Action, ...] = ()
    taken: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    loud: bool = False
    """Told even where its reason is the same as before."""
    looked: bool = field(default=False)
