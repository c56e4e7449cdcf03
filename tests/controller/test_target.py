"""A Canary object as what shall serve."""

import pytest

from canary.api.status import Version
from canary.controller.reconciler import CanaryTarget
from canary.controller.specs import Shared, Specs
from canary.engine.errors import Unreachable
from canary.engine.observed import Cause, Missing
from canary.stores.projection import CanarySeen

from .objects import shown


def nothing(namespace: str, name: str) -> None:
    """No policy and no template is there."""


def target(seen: CanarySeen | None, revision: str | Missing = "7d9f", conflict: str = "") -> CanaryTarget:
    """`v2` runs that revision; no other version is known."""
    behind = {"v2": revision}
    specs = Specs(Shared(nothing, nothing, nothing))
    return CanaryTarget(
        lambda: seen, specs, lambda name: behind.get(name, Missing(Cause.ABSENT, name)), lambda its: conflict
    )


def test_what_is_wanted_is_the_version_with_what_really_runs_behind_it() -> None:
    """A push changes it, though no one has touched the object; what can't be read is not guessed."""
    assert target(shown()).desired_version() == Version(name="v2", revision="7d9f")
    assert target(shown({"revision": "as they say"})).desired_version() == Version(name="v2", revision="7d9f")
    late = Missing(Cause.NOT_YET, "not yet looked after")
    assert target(shown(), late).desired_version() == late
    assert target(shown({"version": "v9"})).desired_version() == Missing(Cause.ABSENT, "v9")


def test_the_other_owner_is_named_with_it() -> None:
    """No one, as a rule."""
    assert target(shown(), conflict="someone else").resolved().conflict == "someone else"
    assert target(shown()).resolved().conflict == ""


def test_a_canary_that_is_gone_wants_nothing() -> None:
    """The reconcile that meets this ends, and is the last one."""
    for ask in (target(None).resolved, target(None).desired_version):
        with pytest.raises(Unreachable, match="the Canary doesn't exist any more"):
            ask()
