"""What a decision asks of the outside: a union of end states, never differences. `rollout/reconcile.py` carries
them out.

A new action is a dataclass here that says what it `decreases`, a member of `Action`, and a case in
`rollout/reconcile.py`, which mypy asks for.
"""

from dataclasses import dataclass
from typing import Union

from canary.api.plan import Traffic


@dataclass(frozen=True)
class SetTraffic:
    """Make the route send this."""

    stable: str
    canary: str
    traffic: Traffic
    token: str | None
    """The route that the decision stands on; None where it couldn't be read, for a decrease only."""
    decreases: bool
    """Whether it exposes no request to the canary that isn't exposed now: then it is carried out before others, and
    even when status can't be saved. Every action has this."""


@dataclass(frozen=True)
class Provision:
    """Make what is missing of a primary, its Services and its routes; nothing that serves is changed before the
    primary is ready."""

    revision: str
    """What the primary gets where there is none."""
    ready: int = 100
    """Per cent of its replicas that must be available before the rest is made."""
    decreases: bool = False


@dataclass(frozen=True)
class CopyToPrimary:
    """Give the primary the template of this revision of the target."""

    revision: str
    decreases: bool = False


@dataclass(frozen=True)
class ScaleTarget:
    """Give the target this many replicas."""

    replicas: int
    revision: str = ""
    """What its new pods are analysed as: kept before they start. Empty where there are none."""
    decreases: bool = False


@dataclass(frozen=True)
class ReturnToTarget:
    """Give the target this revision's template and the primary's replicas; once it is ready, route to it again."""

    revision: str
    decreases: bool = False


@dataclass(frozen=True)
class RemovePrimary:
    """Delete all that was made for the target."""

    decreases: bool = False


Action = Union[SetTraffic, Provision, CopyToPrimary, ScaleTarget, ReturnToTarget, RemovePrimary]  # noqa: UP007
