"""What a rollout leaves as it is: said at its start, kept in status, and named at its end.

Routes for single users, routes outside of the scope, third versions' shares and a user's mirrors don't move. Who
stops the old version after a promotion must know which of them still depend on it.
"""

from collections.abc import Iterable, Sequence

from canary.api.reason import Reason
from canary.api.status import Rollout, Status, Unmoved

from .observed import Missing, Observed, RouteSeen
from .outcome import Remark

NAMED = 5
"""How many a sentence names."""
KEPT = 20
"""How many status keeps."""
LABEL = 80
"""Characters of a route's name: a manifest's may be of any length, status may not."""


def of_the_pair(route: RouteSeen, stable: str, canary: str) -> tuple[Unmoved, ...]:
    """Of what was read while it wasn't known which version serves: what concerns these two."""
    return tuple(one for one in route.unmoved if not route.mixed or one.version in ("", stable, canary))


def at_rest(route: RouteSeen, status: Status, wanted: str) -> tuple[Unmoved, ...]:
    """The same outside of a rollout: the versions of earlier rollouts are known."""
    known = {version.name for one in status.history for version in (one.stable, one.canary)} | {
        "",
        wanted,
    }
    return tuple(one for one in route.unmoved if not route.mixed or one.version in known)


def noted(rollout: Rollout, observed: Observed) -> tuple[Rollout, tuple[Remark, ...]]:
    """Keeps what the route that was read leaves as it is; tells people once of each."""
    if isinstance(observed.route, Missing) or rollout.end is not None:
        return rollout, ()
    found = kept(observed.route.unmoved)
    if found == rollout.unmoved:
        return rollout, ()
    new = [one for one in found if one not in rollout.unmoved]
    return rollout.but(unmoved=found), remarks(new, rollout.stable_version.name)


def remarks(unmoved: Sequence[Unmoved], stable: str) -> tuple[Remark, ...]:
    """What people should know of these; a warning where something of theirs stops with the stable version."""
    if not unmoved:
        return ()
    sentence = f"this rollout doesn't move {_listed(unmoved)}"
    breaks = any(one.version == stable for one in unmoved)
    after = f"; if {stable} is stopped after the rollout, what goes to {stable} fails" if breaks else ""
    return (Remark(Reason.ROUTES_UNMOVED, sentence + after, "Warning" if breaks else None),)


def kept(unmoved: Sequence[Unmoved]) -> tuple[Unmoved, ...]:
    """In the size that status has room for."""
    return tuple(one if len(one.route) <= LABEL else _cut(one) for one in unmoved[:KEPT])


def everything(version: str, unmoved: Iterable[Unmoved]) -> str:
    """What a version serves that all else has gone to: `everything but testers (sends requests to v1)`."""
    others = [one for one in unmoved if one.version != version]
    return f"everything but {_listed(others)}" if others else "everything"


def _listed(unmoved: Sequence[Unmoved]) -> str:
    more = len(unmoved) - NAMED
    named = [str(one) for one in kept(unmoved[:NAMED])]
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _cut(one: Unmoved) -> Unmoved:
    return one.but(route=f"{one.route[: LABEL - 1]}…")
