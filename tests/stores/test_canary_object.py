"""A Canary object as commands see it: what is sent, and what comes of an answer."""

from datetime import UTC, datetime

import pytest

from canary.api.action import CanaryAction, Verb
from canary.engine.errors import Conflict, Rejected
from canary.stores.canary_object import CanaryObject, canary_of
from tests.controller.objects import Wire, at_rest, canary, client, later


def there(wire: Wire) -> CanaryObject:
    """shop/reviews."""
    return CanaryObject(client(wire), "shop", "reviews")


def test_nothing_but_the_version_is_changed() -> None:
    """By a merge onto exactly what was read."""
    wire = Wire([canary(), canary({"version": "v3"})])
    assert there(wire).want("v3").spec.version == "v3"
    assert wire.bodies[1] == {"spec": {"version": "v3"}, "metadata": {"resourceVersion": "7"}}


def test_a_version_that_is_wanted_already_is_not_written() -> None:
    """So that two jobs may ask for the same."""
    wire = Wire([canary()])
    assert there(wire).want("v2").spec.version == "v2"
    assert wire.asked == ["get Canary"]


def test_a_status_that_is_saved_meanwhile_is_met() -> None:
    """The controller writes often; the change is made on top of what it wrote."""
    wire = Wire([canary(), 409, canary(resourceVersion="8"), canary({"version": "v3"})])
    there(wire).want("v3")
    assert wire.bodies[3]["metadata"] == {"resourceVersion": "8"}


def test_another_clients_version_is_not_overwritten() -> None:
    """Who was first is reported, and nothing is written."""
    wire = Wire([canary(), 409, canary({"version": "v4"})])
    with pytest.raises(Conflict, match=r"another client .* of reviews to v4"):
        there(wire).want("v3")
    assert wire.asked.count("patch Canary") == 1


def test_an_object_that_changes_all_the_time_is_given_up() -> None:
    """After five attempts."""
    wire = Wire([canary()])
    for _ in range(5):
        wire.answers += [409, canary()]
    with pytest.raises(Conflict, match="again and again"):
        there(wire).want("v3")
    assert wire.asked.count("patch Canary") == 5


def test_an_action_is_known_by_its_uid() -> None:
    """Who asks, for what and why is written; what only the server can say isn't."""
    wire = Wire([{"metadata": {"uid": "u9"}}])
    action = CanaryAction(
        id="mine", target="reviews", verb=Verb.APPROVE, rollout=3, step=1, author="ada", verified=True, at=later()
    )
    assert there(wire).post(action) == "u9"
    [body] = wire.bodies
    assert body["metadata"] == {"generateName": "reviews-approve-", "namespace": "shop"}
    assert body["spec"] == {
        "canary": "reviews", "verb": "approve", "rollout": 3, "step": 1, "author": "ada", "comment": "",
    }  # fmt: skip


def test_events_are_shown_in_the_order_in_which_they_happened() -> None:
    """Asked for by the object's uid; those of older tools have no eventTime."""
    new = {"metadata": {"name": "a"}, "reason": "Late", "message": "m", "eventTime": "2026-03-01T09:00:02.5Z"}
    old = {"metadata": {"name": "b"}, "reason": "Early", "type": "Warning", "lastTimestamp": "2026-03-01T09:00:01Z"}
    wire = Wire([{"items": [new, old]}])
    found = there(wire).events("u1")
    assert [(one.reason, one.type) for one in found] == [("Early", "Warning"), ("Late", "Normal")]
    assert found[0].at == datetime(2026, 3, 1, 9, 0, 1, tzinfo=UTC)
    assert wire.sent[0].query == (("fieldSelector", "involvedObject.uid=u1"),)


def test_a_spec_that_can_not_be_understood_still_says_what_it_moves() -> None:
    """It passed the schema of a newer canary, perhaps."""
    found = canary_of(canary({"analysis": {"interval": "soon"}}, at_rest().wire()))
    assert (found.spec.version, found.spec.target_ref.name, found.spec.analysis) == ("v2", "reviews", None)
    assert found.status == at_rest()


def test_a_target_without_a_name_can_still_be_shown() -> None:
    """It was kept before definitions refused it."""
    found = canary_of(canary({"targetRef": {"kind": "VirtualService", "name": ""}}))
    assert found.spec.target_ref.name == "unknown"


def test_a_status_that_can_not_be_read_is_named_by_its_field() -> None:
    """And whose it is."""
    with pytest.raises(Rejected, match=r"Canary shop/reviews: status\.phase: .*newer canary\?"):
        canary_of(canary(status={"phase": "Dreaming"}))
