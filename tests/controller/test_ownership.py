"""The Lease of a target around the rollouts of a Canary object."""

from dataclasses import dataclass, field

import pytest

from canary.controller.ownership import BELIEVED, Joint, OwnedStore, Owners
from canary.engine.errors import Conflict, Unreachable
from canary.stores.canary import CanaryStore
from canary.stores.projection import FINALIZER

from .objects import Wire, at_rest, canary, client, running, watching

TAKEN = "process 4711 on ci has it"


@dataclass
class Ownership:
    """A Lease with given answers."""

    answer: Exception | None = None
    log: list[str] = field(default_factory=list)
    claimed: bool = False

    def acquire(self) -> None:
        self.log.append("acquire")
        if self.answer is not None:
            raise self.answer
        self.claimed = True

    def release(self) -> None:
        self.log.append("release")
        if self.answer is not None:
            raise self.answer
        self.claimed = False

    def run(self) -> str:
        return ""

    def leave(self) -> bool:
        return self.claimed


@dataclass
class World:
    """One Canary, its Lease, a server and a clock."""

    ownership: Ownership
    wire: Wire
    store: OwnedStore
    time: float = 100.0


def world(ownership: Ownership, *finalizers: str, objects: int = 9) -> World:
    """The server answers each write with the object as it was."""
    found = canary(finalizers=list(finalizers))
    wire = Wire([found] * objects)
    made = World(
        ownership, wire, OwnedStore(CanaryStore(client(wire), watching(found), "shop", "reviews"), ownership)
    )
    made.store.clock = lambda: made.time
    return made


def test_the_lease_is_taken_before_a_rollout_is_saved_and_once_only() -> None:
    """At rest nothing is taken, so that a run of the command may have the target meanwhile."""
    here = world(Ownership())
    here.store.save(at_rest(), None)
    assert (here.ownership.log, here.store.holds) == ([], False)
    here.store.save(running(), None)
    here.store.save(running(), None)
    assert (here.ownership.log, here.store.holds) == (["acquire"], True)


def test_nothing_is_saved_where_another_client_has_it() -> None:
    """Conflict, so that it is decided again, now with who has it; that is believed for a while."""
    here = world(Ownership(Conflict(TAKEN)))
    with pytest.raises(Conflict, match="process 4711"):
        here.store.save(running(), None)
    assert (here.wire.sent, here.store.rival, here.store.holds) == ([], TAKEN, False)
    here.time += BELIEVED - 0.1
    assert here.store.rival == TAKEN
    here.time += 0.2
    assert here.store.rival == ""


def test_a_rollout_whose_target_was_taken_still_saves_what_it_knows() -> None:
    """It waits and says so; while the rival is believed in, the Lease isn't asked for with every save."""
    here = world(Ownership(Conflict(TAKEN)))
    with pytest.raises(Conflict):
        here.store.save(running(), None)
    here.store.save(running(), None)
    assert here.ownership.log == ["acquire"]
    assert here.wire.asked


def test_a_lease_that_can_not_be_asked_for_names_no_rival() -> None:
    """The API server is away: the same is tried again."""
    here = world(Ownership(Unreachable("connection refused")))
    with pytest.raises(Unreachable):
        here.store.save(running(), None)
    assert (here.store.rival, here.wire.sent) == ("", [])


def test_after_the_rollout_the_lease_goes_first_and_the_finalizer_last() -> None:
    """Who is killed in between leaves the finalizer, by which the next one sees that something is to be put away."""
    here = world(Ownership(Unreachable("connection refused")), FINALIZER)
    with pytest.raises(Unreachable):
        here.store.release()
    assert (here.ownership.log, here.wire.sent) == (["release"], [])
    here.ownership.answer = None
    here.store.release()
    assert here.ownership.log == ["release", "release"]
    assert [body["metadata"]["finalizers"] for body in here.wire.bodies] == [[]]


def test_a_canary_at_rest_costs_nothing() -> None:
    """Neither a Lease nor a finalizer is looked for where nothing ran."""
    here = world(Ownership())
    here.store.release()
    assert (here.ownership.log, here.wire.sent) == ([], [])


def test_two_on_one_target_share_its_lease() -> None:
    """The last of them lets go of it."""
    lease, owners = Ownership(), Owners()
    one, other = Joint(lease, owners, "a"), Joint(lease, owners, "b")
    one.acquire()
    other.acquire()
    one.release()
    assert lease.log == ["acquire", "acquire"]
    other.release()
    assert lease.log == ["acquire", "acquire", "release"]


def test_a_lease_that_could_not_be_released_is_released_the_next_time() -> None:
    """Its tenant is still known."""
    lease, owners = Ownership(), Owners()
    one = Joint(lease, owners, "a")
    one.acquire()
    lease.answer = Unreachable("connection refused")
    with pytest.raises(Unreachable):
        one.release()
    assert owners.uids == {"a"}
    lease.answer = None
    one.release()
    assert owners.uids == set()


def test_no_candidate_leads_while_the_last_one_gives_the_lease_back() -> None:
    """He would find it held, and rely on it, a moment before it is free for anybody."""
    owners, seen = Owners(), list[bool]()

    class Watching(Ownership):
        def acquire(self) -> None:
            seen.append(owners.lock.locked())

        def release(self) -> None:
            seen.append(owners.lock.locked())

    one = Joint(Watching(), owners, "a")
    one.acquire()
    one.release()
    assert seen == [True, True]
    assert not owners.lock.locked()
