"""What a decision asks of the outside: end states, never differences. `rollout/apply.py` carries them out."""

from dataclasses import dataclass

from canary.api.plan import Traffic


@dataclass(frozen=True)
class SetTraffic:
    """Make the route send this."""

    stable: str
    canary: str
    traffic: Traffic
    token: str | None
    """The route that the decision stands on; None where it couldn't be read, for a lowering only."""
    lowers: bool
    """Nobody new meets the canary: done first in line, and even when status can't be saved."""


Action = SetTraffic
