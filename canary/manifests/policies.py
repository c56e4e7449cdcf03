"""The policies that come with canary: `policies/` in the source tree, `canary/policies/` once installed."""

from functools import cache
from pathlib import Path

from canary.api.canary import CanaryPolicy

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


def folder() -> Path | None:
    """Where they are."""
    return next((place for place in _PLACES if place.is_dir()), None)


@cache
def _all() -> dict[str, CanaryPolicy]:
    place = folder()
    files = sorted(place.glob("*.yaml")) if place is not None else []
    found = (resource(each.data)[0] for file in files for each in documents(file.read_text("utf-8")))
    return {each.metadata.name: each for each in found if isinstance(each, CanaryPolicy)}
