"""The targets by kind. A new one is a file beside `versions.py` and a line here."""

from collections.abc import Mapping

from .target import Target
from .versions import Versions

TARGETS: Mapping[str, Target] = {"EnvoyRoute": Versions(), "VirtualService": Versions()}


def target_of(kind: str) -> Target:
    """The target of a `targetRef.kind`; checks.py has refused kinds that aren't here."""
    return TARGETS[kind]
