"""The actions of a decision that move traffic: what most tests ask about."""

from canary.engine.actions import SetTraffic
from canary.engine.decide import Decision


def moves(decision: Decision) -> tuple[SetTraffic, ...]:
    """In their order."""
    return tuple(action for action in decision.actions if isinstance(action, SetTraffic))
