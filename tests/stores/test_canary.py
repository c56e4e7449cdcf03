"""Status in the Canary object: what is sent to the server, and what survives it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from canary.api.evidence import Evidence
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.api.status import End, Outcome, RolloutSummary, Status
from canary.api.webhooks import Webhook
from canary.engine.errors import CanaryError, Conflict, Unreachable, Unreadable
from canary.kube.rate_limiter import RateLimiter
from canary.stores.canary import CanaryStore, difference
from canary.stores.projection import FINALIZER
from canary.stores.status_json import LIMIT, fitting, text
from tests.controller.objects import NOW, Watched, Wire, at_rest, canary, client, later, rollout, running, watching
from tests.controller.serving import merged

FOREIGN = "somebody.example/else"


def stored(wire: Wire, watched: Watched) -> CanaryStore:
    return CanaryStore(client(wire), watched, "shop", "reviews")


# ---- difference ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({}, {"a": None}, {}),
        ({"newer": 1, "a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"newer": 1, "b": 1}}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {}),
        ({"a": [1]}, {"a": [{"b": None, "c": 1}]}, {"a": [{"c": 1}]}),
        ({"a": [{"c": 1}]}, {"a": [{"b": None, "c": 1}]}, {}),
        ({"evidence": {"data": {"gone": 1, "b": 1}}}, {"evidence": {"data": {"b": 1}}},
         {"evidence": {"data": {"gone": None}}}),
        ({"a": "text"}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ],
)  # fmt: skip
def test_a_difference_has_what_changed_and_nothing_else(
    before: dict[str, Any], after: dict[str, Any], change: dict[str, Any]
) -> None:
    """What we don't know is left alone; only evidence, whose fields are no model's, is swept."""
    assert difference(before, after) == change


def test_a_status_that_was_saved_is_read_back_as_it_was() -> None:
    """From any other: by the patch alone, with what a newer canary wrote in both."""
    evidence = Evidence(judge="threshold", version=1, data={"failed_checks": 1}, up_to=NOW)
    seen = running()
    assert seen.rollout is not None
    some = (Status(), at_rest(), seen, seen.but(rollout=seen.rollout.but(evidence=evidence)))
    for one in some:
        for other in some:
            newer = {**one.wire(), "newer": {"kept": True}}
            after = merged(newer, difference(newer, other.model_dump(mode="json", by_alias=True)))
            assert after["newer"] == {"kept": True}
            assert Status.model_validate(after) == other


# ---- what is sent ----------------------------------------------------------------------------------------------


def test_a_save_is_a_patch_of_the_version_that_was_read() -> None:
    """One request, onto the status subresource; the answer is what is known from then on."""
    wire, watched = Wire([canary(status={"messageCount": 1}, resourceVersion="8")]), watching(canary())
    store = stored(wire, watched)
    assert store.save(at_rest(), None) == "8"
    [sent] = wire.sent
    assert (sent.subresource, sent.name, sent.body["metadata"]) == ("status", "reviews", {"resourceVersion": "7"})
    loaded = store.load()
    assert loaded is not None
    assert (loaded.status.message_count, loaded.version) == (1, "8")


def test_the_finalizer_goes_on_before_a_rollout_is_saved() -> None:
    """Beside those of others, and once only: then status is of the version that it gave the object."""
    before = canary(finalizers=[FOREIGN])
    guarded = canary(finalizers=[FOREIGN, FINALIZER], resourceVersion="8")
    wire, watched = Wire([guarded, guarded, guarded]), watching(before)
    store = stored(wire, watched)
    store.save(running(), "7")
    store.save(running(), "8")
    assert [one.subresource for one in wire.sent] == ["", "status", "status"]
    assert wire.bodies[0] == {"metadata": {"finalizers": [FOREIGN, FINALIZER], "resourceVersion": "7"}}
    assert wire.bodies[1]["metadata"] == {"resourceVersion": "8"}


def test_the_finalizer_goes_off_alone() -> None:
    """Others' stay; where there is none of ours, nothing is sent."""
    wire, watched = Wire([canary(finalizers=[FOREIGN])]), watching(canary(finalizers=[FINALIZER, FOREIGN]))
    store = stored(wire, watched)
    store.release()
    store.release()
    assert [body["metadata"]["finalizers"] for body in wire.bodies] == [[FOREIGN]]


def test_a_conflict_looks_at_the_object_before_it_is_decided_again() -> None:
    """Else the next decision would stand on the same old object."""
    newer = canary({"version": "v3"}, resourceVersion="9")
    wire, watched = Wire([409, newer]), watching(canary())
    with pytest.raises(Conflict):
        stored(wire, watched).save(at_rest(), None)
    found = watched.get("shop", "reviews")
    assert found is not None
    assert (found.version, json.loads(found.manifest)["spec"]["version"]) == ("9", "v3")


@pytest.mark.parametrize(("answer", "raised"), [(422, Unreachable), (403, Unreachable), (500, Unreachable)])
def test_what_is_refused_is_tried_again(answer: int, raised: type[CanaryError]) -> None:
    """A save that isn't taken must not end a rollout: it lowers all the same, and says so."""
    with pytest.raises(raised):
        stored(Wire([answer] * 9), watching(canary())).save(at_rest(), None)


def test_a_canary_that_is_gone_is_not_saved() -> None:
    """And has nothing to let go of."""
    wire = Wire()
    store = stored(wire, watching())
    with pytest.raises(Unreachable, match="Canary shop/reviews doesn't exist any more"):
        store.save(at_rest(), None)
    store.release()
    assert (store.load(), wire.sent) == (None, [])


def test_a_canary_of_the_same_name_is_another_one() -> None:
    """What an unfinished reconcile of its forerunner knows is neither saved to it nor taken off it."""
    wire, watched = Wire(), watching(canary(uid="u2", status={"phase": "Succeeded"}, finalizers=[FINALIZER]))
    store = CanaryStore(client(wire), watched, "shop", "reviews", "u1")
    assert (store.load(), store.guarded) == (None, False)
    with pytest.raises(Unreachable):
        store.save(running(), None)
    store.release()
    assert wire.sent == []


def test_a_finalizer_of_an_object_that_is_gone_meanwhile_is_well() -> None:
    """404 says that there is nothing left to do."""
    wire = Wire([404])
    stored(wire, watching(canary(finalizers=[FINALIZER]))).release()
    assert len(wire.sent) == 1


def test_a_status_that_can_not_be_read_names_its_field() -> None:
    """Someone edited it by hand; the sentence says how to mend it."""
    mends = r"; nothing moves until that is mended: kubectl edit cny reviews -n shop --subresource=status$"
    with pytest.raises(Unreadable, match=r"^status\.phase: Input should be 'Initializing', .*" + mends):
        stored(Wire(), watching(canary(status={"phase": "Dozing"}))).load()
    with pytest.raises(Unreadable, match=r"^status\.rollout: there is no step 9 in its plan of \d+" + mends):
        stored(Wire(), watching(canary(status=scribbled()))).load()


def scribbled() -> dict[str, Any]:
    """A status whose rollout stands nowhere, and something of a newer canary."""
    there = running().wire()
    return {**there, "rollout": {**there["rollout"], "step": 9}, "newer": 1}


def test_a_status_that_can_not_be_read_says_so_itself() -> None:
    """In the conditions, once, and nothing else of it is touched."""
    found = canary(status=scribbled(), generation=3)
    after = {
        **found,
        "status": merged(found["status"], COMPLAINT),
        "metadata": {**found["metadata"], "generation": 3},
    }
    wire = Wire([after])
    store = stored(wire, watching(found))
    store.complain("it is wrong", NOW)
    store.complain("it is wrong", later(minutes=1))
    [body] = wire.bodies
    assert body == {"metadata": {"resourceVersion": "7"}, "status": COMPLAINT}
    reported = {one["type"]: one["status"] for one in COMPLAINT["conditions"]}
    assert reported == {"Ready": "False", "Reconciling": "False", "Stalled": "True", "Promoted": "Unknown"}
    with pytest.raises(Unreadable):
        store.load()


def _condition(kind: str, status: str) -> dict[str, Any]:
    reported = {"type": kind, "status": status, "reason": "StatusUnreadable", "message": "it is wrong"}
    return {**reported, "observedGeneration": 3, "lastTransitionTime": "2026-03-02T10:00:00Z"}


COMPLAINT: dict[str, Any] = {
    "reason": "StatusUnreadable",
    "message": "it is wrong",
    "conditions": [
        _condition(*each)
        for each in (("Ready", "False"), ("Reconciling", "False"), ("Stalled", "True"), ("Promoted", "Unknown"))
    ],
}


def test_a_canary_whose_reconciles_raise_says_so() -> None:
    """Also one without a status; the next reconcile that succeeds says something else."""
    wire = Wire([canary()])
    stored(wire, watching(canary())).complain("it raises", NOW, Reason.CONTROLLER_ERROR)
    said = wire.bodies[0]["status"]
    assert (said["reason"], said["message"]) == ("ControllerError", "it raises")
    assert {one["type"]: one["status"] for one in said["conditions"]}["Stalled"] == "True"


def test_conditions_that_can_not_be_read_are_written_again() -> None:
    """They follow from the rest, so that nothing is lost with them."""
    found = canary(status={"conditions": [{"type": "Ready", "status": "Perhaps"}]}, generation=3)
    wire = Wire([{**found, "status": COMPLAINT}])
    stored(wire, watching(found)).complain("it is wrong", NOW)
    assert wire.bodies[0]["status"] == COMPLAINT


def test_a_complaint_that_meets_another_version_looks_at_the_object() -> None:
    """It may have been mended."""
    mended = canary(status=at_rest().wire(), resourceVersion="8")
    wire = Wire([409, mended])
    store = stored(wire, watching(canary(status=scribbled())))
    with pytest.raises(Conflict):
        store.complain("it is wrong", NOW)
    assert store.load() is not None


def test_what_lowers_goes_first() -> None:
    """The intent to expose no one, and nothing else, jumps the queue."""
    end = End(outcome=Outcome.ROLLED_BACK, reason=Reason("ChecksFailed"), message="bad", at=NOW)
    promoted = end.but(outcome=Outcome.PROMOTED)
    for one, first in (
        (rollout().but(end=end, desired=Traffic()), True),
        (rollout(), False),
        (rollout().but(desired=Traffic()), False),
        (rollout().but(end=promoted, desired=Traffic(weight=100)), False),
    ):
        queue, found = Queue(), canary(finalizers=[FINALIZER])
        made = replace(client(Wire([found])), rate_limiter=queue)
        CanaryStore(made, watching(found), "shop", "reviews").save(at_rest().but(rollout=one), None)
        assert queue.hurried == [first]


def test_what_lowers_is_read_again_first_as_well() -> None:
    """After a conflict: held back, it would name the same old version with each try."""
    end = End(outcome=Outcome.ROLLED_BACK, reason=Reason("ChecksFailed"), message="bad", at=NOW)
    queue, found = Queue(), canary(finalizers=[FINALIZER])
    made = replace(client(Wire([409, found])), rate_limiter=queue)
    store = CanaryStore(made, watching(found), "shop", "reviews")
    with pytest.raises(Conflict):
        store.save(at_rest().but(rollout=rollout().but(end=end, desired=Traffic())), None)
    assert queue.hurried == [True, True]


class Queue(RateLimiter):
    """Notes who wants to go first."""

    def __init__(self) -> None:
        super().__init__()
        self.hurried: list[bool] = []

    def turn(self, urgent: bool, within: float) -> bool:
        self.hurried.append(urgent)
        return True


def test_webhooks_cost_no_history() -> None:
    """A rollout keeps them, up to a limit of their own."""
    hook = Webhook(name="load", url="http://tester.test/", metadata={"cmd": "x" * 4000})
    one = rollout()
    summary = RolloutSummary(
        number=1, stable=one.stable_version, canary=one.canary_version, started=NOW, ended=NOW,
        outcome=Outcome.PROMOTED, reason=Reason("Promoted"), message="promoted",
    )  # fmt: skip
    status = Status(rollout=one.but(policy=one.policy.but(webhooks=(hook,) * 4)), history=(summary,) * 10)
    assert len(text(status)) > LIMIT
    assert fitting(status) == status


def test_the_oldest_summaries_make_way() -> None:
    """An object has an end: what is going on is kept, as long as history can be left out for it."""
    end = RolloutSummary(
        number=1, stable=rollout().stable_version, canary=rollout().canary_version,
        started=NOW, ended=NOW,
        outcome=Outcome.ROLLED_BACK, reason=Reason("ChecksFailed"), message="x" * 3000,
    )  # fmt: skip
    wire = Wire([canary()])
    stored(wire, watching(canary())).save(Status(history=tuple(end.but(number=n) for n in range(10, 0, -1))), None)
    [body] = wire.bodies
    kept = [one["number"] for one in body["status"]["history"]]
    assert kept[0] == 10
    assert 0 < len(kept) < 10
    assert len(json.dumps(body["status"], separators=(",", ":"))) <= LIMIT
