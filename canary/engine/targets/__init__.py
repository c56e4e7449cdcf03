"""The stages of each way to release. A new one is a file beside `versions.py` and a line here."""

from collections.abc import Mapping
from functools import lru_cache

from ..pairs import TargetType, pair_of
from .primary import PrimaryTarget
from .service import ServiceTarget
from .target import TargetStages
from .versions import Versions

TARGETS: Mapping[TargetType, TargetStages] = {TargetType.VERSIONS: Versions(), TargetType.PRIMARY: PrimaryTarget()}
_OF_USERS_PODS = ServiceTarget()


@lru_cache
def target_of(kind: str) -> TargetStages:
    """The stages of a `targetRef.kind`. A kind that is in no pair has problems, so that nothing is done about it."""
    pair = pair_of(kind, None)
    if pair is not None and not pair.given_pods:
        return _OF_USERS_PODS
    return TARGETS[TargetType.VERSIONS if pair is None else pair.type]
