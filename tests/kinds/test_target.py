"""A Canary object as what shall serve."""

import pytest

from canary.api.status import Version
from canary.engine.errors import Unreachable
from canary.engine.observed import Kind, Missing
from canary.kinds.seen import CanarySeen
from canary.kinds.target import CanaryTarget
from canary.kinds.wishes import Shared, Wishes

from .objects import shown


def nothing(namespace: str, name: str) -> None:
    """No policy and no template is there."""


def target(seen: CanarySeen | None, revision: str | Missing = "7d9f", conflict: str = "") -> CanaryTarget:
    """`v2` runs that revision; no other version is known."""
    behind = {"v2": revision}
    wishes = Wishes(Shared(nothing, nothing, nothing))
    return CanaryTarget(
        lambda: seen, wishes, lambda name: behind.get(name, Missing(Kind.ABSENT, name)), lambda its: conflict
    )


def test_what_is_wanted_is_the_version_with_what_really_runs_behind_it() -> None:
    """A push changes it, though nobody has touched the object; what can't be read is not guessed."""
    assert target(shown()).wanted() == Version(name="v2", revision="7d9f")
    assert target(shown({"revision": "as they say"})).wanted() == Version(name="v2", revision="7d9f")
    late = Missing(Kind.NOT_YET, "not yet looked after")
    assert target(shown(), late).wanted() == late
    assert target(shown({"version": "v9"})).wanted() == Missing(Kind.ABSENT, "v9")


def test_who_else_moves_it_is_told_with_it() -> None:
    """Nobody, as a rule."""
    assert target(shown(), conflict="somebody else").desired().conflict == "somebody else"
    assert target(shown()).desired().conflict == ""


def test_a_canary_that_is_gone_wants_nothing() -> None:
    """The tick that meets this ends, and is the last one."""
    for ask in (target(None).desired, target(None).wanted):
        with pytest.raises(Unreachable, match="the Canary isn't there any more"):
            ask()
