"""What a router brings along for targets that have a primary: how its routes are made, adopted and recognised."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from canary.api.canary import Canary
from canary.kube.resources import Resource

from .names import Data

MADE = "canary-controller.dev/service"
"""An annotation of routes and of what is beside them: the `mark` of what they were made from last."""


def mark(canary: Canary) -> str:
    """A digest of the `spec.service` that routes are made from."""
    service = canary.spec.service
    return sha256((service.model_dump_json() if service else "").encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Provisioning:
    """What a router needs to be made for a target that has a primary: its routes, and objects beside them."""

    routes: Resource
    named: Callable[[Canary], tuple[tuple[Resource, str], ...]]
    """All objects, by kind and name."""
    make: Callable[[Canary, Data], tuple[tuple[tuple[Resource, Data], ...], Data]]
    """Of a Canary and its target: the objects beside, and the routes where there are none yet. Raises Invalid."""
    adopt: Callable[[Data, Canary, Data], Data]
    """Routes that are there already, with requests for the target's Service sent to primary and canary."""
    note: Callable[[Data], Data]
    """What to remember of routes before they are adopted."""
    give_back: Callable[[Data, Data, Canary, Data], Data]
    """Of adopted routes and what was noted of them: the spec with requests sent to the Service again."""
    beside: tuple[Resource, ...] = ()
    """Kinds of objects beside the routes, which are wholly canary's."""
