"""A Canary goes though its rollout runs: its target is free for others soon, and no one waits for that."""

import threading
from typing import Any

import pytest

from canary.controller.garbage_collection import Releases
from canary.controller.ownership import BELIEVED
from canary.engine.errors import CanaryError, Conflict, Unreachable
from canary.kube.requests import Request
from canary.kube.resources import LEASES
from canary.stores.projection import FINALIZER
from tests.parts.processes import wait_for

from .leading import KEY, Leading, taken
from .objects import canary, running
from .test_ownership import Ownership


@pytest.fixture
def here() -> Leading:
    """Who tries again does so at once."""
    made = Leading()
    made.fleet._releases = Releases(wait=lambda seconds: None)
    return made


def goes(here: Leading, **metadata: Any) -> None:
    """Someone has taken the finalizer off, and deleted it."""
    here.server.objects.pop(("Canary", *KEY), None)
    here.fleet.canaries._saw(canary(resourceVersion="900", **metadata), deleted=True)


def free(here: Leading) -> None:
    wait_for(lambda: here.server.holder == "", "the target to be given back")


def test_the_target_of_a_canary_that_is_gone_is_given_back(here: Leading) -> None:
    """At the first try, mostly."""
    here.wired().store.save(running(), None)
    assert here.server.holder
    goes(here)
    free(here)


def test_also_where_it_goes_while_its_lease_is_asked_for(here: Leading) -> None:
    """The server has granted it, and its answer is on the way."""

    def granted(request: Request) -> None:
        if request.writes and request.resource == LEASES and here.fleet.canaries.get(*KEY):
            goes(here)

    reconciler = here.wired()
    here.server.done = granted
    with pytest.raises(CanaryError):
        reconciler.store.save(running(), None)
    free(here)
    assert not reconciler.store.holds
    here.wait(BELIEVED)
    with pytest.raises(Conflict, match="doesn't exist any more"):
        reconciler.store.claim()
    assert here.server.holder == ""


def test_who_watches_canaries_does_not_wait_for_that(here: Leading) -> None:
    """The server takes its time, and doesn't answer the first tries."""
    here.wired().store.save(running(), None)
    asked, answer, tries = threading.Event(), threading.Event(), list[Request]()

    def slow(request: Request) -> None:
        asked.set()
        answer.wait(60)

    def lost(request: Request) -> bool:
        tries.append(request)
        return len(tries) < 4

    here.server.done, here.server.lost = slow, lost
    goes(here)
    assert asked.wait(60)
    assert (here.fleet.canaries.get(*KEY), KEY in here.fleet._reconcilers) == (None, False)
    assert here.server.holder
    answer.set()
    free(here)
    assert len(tries) >= 4


def test_also_where_nothing_was_done_for_it_in_this_term(here: Leading) -> None:
    """Its finalizer tells that the leader before had its target."""
    before = here.wired(finalizers=[FINALIZER])
    before.store.claim()
    here.fleet._reconcilers.clear()
    here.fleet._owners.clear()
    here.fleet.term = here.term()
    goes(here)
    free(here)


def test_a_canary_at_rest_goes_without_a_request(here: Leading) -> None:
    """It has no target to give back."""
    here.wired()
    goes(here)
    assert (here.server.asked(), here.fleet._releases._thread) == ([], None)


def test_a_lease_whose_grant_got_lost_is_given_back_at_rest(here: Leading) -> None:
    """Nothing was saved, and what was wanted is taken back: the target may be ours all the same."""
    reconciler = here.wired()
    here.server.lost = lambda request: request.writes
    with pytest.raises(Unreachable):
        reconciler.store.save(running(), None)
    assert here.server.holder
    here.server.lost = lambda request: False
    reconciler.store.release()
    assert here.server.holder == ""
    here.server.sent.clear()
    reconciler.store.release()
    assert here.server.asked() == []


def test_another_canary_of_its_name_keeps_what_it_has(here: Leading) -> None:
    """It is another tenant: the last one to leave gives the target back."""
    here.wired(uid="u1").store.claim()
    before = here.fleet.reconciler(KEY)
    after = here.wired(uid="u2", resourceVersion="800")
    after.store.claim()
    wait_for(lambda: here.fleet._releases._thread is None, "the one before to leave")
    assert before is not after
    assert here.server.holder
    after.store.release()
    assert here.server.holder == ""


def test_it_is_tried_until_the_term_is_over() -> None:
    """And one that fails keeps no other from leaving."""
    line, reported = (
        Releases(wait=lambda seconds: None),
        [Conflict("it is another's"), Unreachable("it wasn't renewed")],
    )
    away, well = Ownership(Unreachable("connection refused"), claimed=True), Ownership(claimed=True)

    def leads() -> None:
        if well.log:
            raise reported.pop()

    for one in (away, well):
        line.add(one, leads)
    wait_for(lambda: line._thread is None, "the end of the line")
    assert (away.claimed, well.claimed, reported) == (True, False, [])
    assert len(away.log) >= 2


def test_a_run_that_has_the_target_keeps_it(here: Leading) -> None:
    """The Canary only waited for it."""
    here.server.put(taken())
    reconciler = here.wired(finalizers=[FINALIZER])
    with pytest.raises(Conflict):
        reconciler.store.claim()
    goes(here, finalizers=[FINALIZER])
    wait_for(lambda: here.fleet._releases._thread is None, "the end of the line")
    assert here.server.holder == taken()["spec"]["holderIdentity"]
