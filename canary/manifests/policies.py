"""The policies that come with canary: `policies/` in the source tree, `canary/policies/` once installed."""

from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path

from canary.api.canary import CanaryPolicy, PolicyRef
from canary.engine.nearest import did_you_mean

from .documents import documents
from .validation import resource

_HERE = Path(__file__).parent.parent
_PLACES = (_HERE / "policies", _HERE.parent / "policies")


def shipped(name: str) -> CanaryPolicy | None:
    """The policy of this name, or None."""
    return _all().get(name)


def shipped_names() -> tuple[str, ...]:
    """The names of all of them."""
    return tuple(_all())


def meant(ref: PolicyRef, names: Callable[[str], Collection[str]]) -> str:
    """What was probably meant by a reference to no policy, to be appended to a sentence. `names`: of each kind."""
    other = next(kind for kind in ("CanaryPolicy", "ClusterCanaryPolicy") if kind != ref.kind)
    if ref.name in names(other):
        return f", but a {other}; write kind: {other} in policyRef"
    known = names(ref.kind)
    return did_you_mean(ref.name, known) or (f"; there are {', '.join(known)}" if known else "")


def folder() -> Path | None:
    """Where they are."""
    return next((place for place in _PLACES if place.is_dir()), None)


@cache
def _all() -> dict[str, CanaryPolicy]:
    place = folder()
    files = sorted(place.glob("*.yaml")) if place is not None else []
    found = (resource(each.data)[0] for file in files for each in documents(file.read_text("utf-8")))
    return {each.metadata.name: each for each in found if isinstance(each, CanaryPolicy)}
