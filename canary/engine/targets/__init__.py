"""The stages of each way to release. A new one is a file beside `versions.py` and a line here."""

from collections.abc import Mapping
from functools import lru_cache

from canary.api.canary import Canary

from ..pairs import TargetType, pair_of
from .primary import PrimaryTarget
from .service import ServiceTarget
from .target import TargetStages
from .versions import Versions

TARGETS: Mapping[TargetType, TargetStages] = {TargetType.VERSIONS: Versions(), TargetType.PRIMARY: PrimaryTarget()}
_OF_USERS_PODS = ServiceTarget()


def target_of(canary: Canary) -> TargetStages:
    """The stages of a Canary's target. A kind that is in no pair has problems, so that nothing is done about it."""
    return _of_kind(canary.spec.target_ref.kind)


@lru_cache
def _of_kind(kind: str) -> TargetStages:
    pair = pair_of(kind, None)
    if pair is not None and not pair.given_pods:
        return _OF_USERS_PODS
    return TARGETS[TargetType.VERSIONS if pair is None else pair.type]
