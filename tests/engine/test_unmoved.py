"""What a rollout leaves as it is: reported before the first weight, kept in status, named in the last sentence."""

import pytest

from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import Outcome, Phase, RolloutSummary, Status, Unmoved
from canary.engine.observed import RouteSeen
from canary.engine.unmoved import KEPT, LABEL, everything, kept

from .situations import CANARY, NOW, STABLE, Case, after, at_20_percent, at_rest, decided, route_says, wants

TESTERS = Unmoved(route="testers", version="v1")
PREVIEW = Unmoved(route="preview", version="v2")
SHARE = Unmoved(version="v3")
WARNS = (
    "this rollout doesn't move testers (sends requests to v1), the share of v3; "
    "if v1 is stopped after the rollout, what goes to v1 fails"
)


def test_it_is_reported_when_the_rollout_starts_and_once() -> None:
    """Before anything moves; while it stays the same, never again."""
    case = at_rest(route_says(unmoved=(TESTERS, SHARE)))
    first = decided(case)
    reported = [(one.type, one.message) for one in first.messages if one.reason == "RoutesUnmoved"]
    assert (first.actions, reported) == ((), [("Warning", WARNS)])
    second = decided(route_says(unmoved=(TESTERS, SHARE))(after(case, first, seconds=1)))
    assert "RoutesUnmoved" not in [one.reason for one in second.messages]
    assert second.status.rollout is not None
    assert second.status.rollout.unmoved == (TESTERS, SHARE)


def test_what_comes_in_mid_rollout_is_reported_too() -> None:
    """Only what is new; without a warning where nothing depends on stable."""
    case = route_says(unmoved=(TESTERS, PREVIEW))(at_20_percent().but(unmoved=(TESTERS,)))
    [reported] = [one for one in decided(case).messages if one.reason == "RoutesUnmoved"]
    assert (reported.type, reported.message) == ("Normal", "this rollout doesn't move preview (sends requests to v2)")


def test_routes_to_other_services_are_no_business_of_ours() -> None:
    """Where versions are clusters, a route before the pair is known may be anybody's."""
    other = Unmoved(route="search", version="search")
    started = decided(at_rest(route_says(unmoved=(other, TESTERS), mixed=True))).status.rollout
    assert started is not None
    assert started.unmoved == (TESTERS,)


def test_the_promotion_says_what_the_canary_does_not_serve() -> None:
    """Its own routes are served by it; a route that can't be read now is named from status."""
    assert everything("v2", (TESTERS, PREVIEW)) == "everything but testers (sends requests to v1)"
    assert everything("v2", (PREVIEW,)) == "everything"
    for seen in ((TESTERS,), ()):
        decision = decided(route_says(unmoved=seen)(_at_the_end()))
        said = "v2 (b) serves everything" + (" but testers (sends requests to v1)" if seen else "")
        assert (decision.reason, decision.sentence) == ("Promoted", said)


def _at_the_end() -> Case:
    want = wants()
    last = len(want.plan.steps)
    case = at_20_percent().but(step=last, desired=Traffic(weight=100), previous=Traffic(weight=100), iterations=0)
    seen = RouteSeen("t9", {"v2": 100.0}, Traffic(weight=100), destinations=frozenset({"v1", "v2"}))
    return Case(case.resolved, case.status, NOW, CANARY, seen)


@pytest.mark.parametrize("mixed", [False, True], ids=["subsets", "clusters"])
def test_at_rest_it_is_named_as_well(mixed: bool) -> None:
    """A pipeline that runs again hears the same; other services aren't named where they can't be distinguished."""
    past = RolloutSummary(
        number=1, stable=STABLE, canary=CANARY, started=NOW, ended=NOW, outcome=Outcome.PROMOTED,
        reason=Reason.PROMOTED,
        message="v2 serves everything",
    )  # fmt: skip
    unmoved = (TESTERS, Unmoved(route="search", version="search")) if mixed else (TESTERS,)
    seen = RouteSeen("t1", {"v2": 100.0}, Traffic(weight=100), unmoved=unmoved, mixed=mixed)
    status = Status(phase=Phase.SUCCEEDED, stable=CANARY, history=(past,))
    decision = decided(Case(wants(), status, NOW, CANARY, seen))
    assert decision.sentence == "v2 (b) serves everything but testers (sends requests to v1)"


def test_status_keeps_only_so_many_and_so_much_of_each() -> None:
    """A VirtualService with thousands of routes for single users doesn't fill the status."""
    many = [Unmoved(route=f"{number}".rjust(300, "x"), version="v1") for number in range(1000)]
    assert len(kept(many)) == KEPT
    assert max(len(one.route) for one in kept(many)) == LABEL
    assert everything("v2", many).endswith(" and 995 more")
