"""CanaryActions as people's requests: whose they are, in which order, and when they are put away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from canary.api.action import CanaryAction, Verb
from canary.api.status import Status
from canary.engine.observed import Cause
from canary.engine.verbs import KEPT
from canary.kube.errors import Unavailable
from canary.stores.canary import ActionInbox, asked
from tests.controller.objects import NOW, Wire, client, later

CREATED = NOW - timedelta(days=1)
"""When the Canary was."""


def created(name: str = "yes", at: str = "2026-03-02T10:00:00Z", **spec: Any) -> dict[str, Any]:
    """A CanaryAction object, as the API server has it."""
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": at}
    return {"metadata": metadata, "spec": {"canary": "reviews", "verb": "approve", "author": "ada", **spec}}


@dataclass
class Lying:
    """In place of a reflector."""

    objects: Sequence[dict[str, Any]]

    def items(self, namespace: str | None = None) -> Sequence[tuple[tuple[str, str], CanaryAction]]:
        found = [(one["metadata"], asked(one)) for one in self.objects if one["metadata"]["namespace"] == namespace]
        return [((about["namespace"], about["name"]), action) for about, action in found if action is not None]


def inbox(*objects: dict[str, Any], wire: Wire | None = None, since: datetime | None = None) -> ActionInbox:
    """Authors are proved since then; by no one unless given."""
    proved = (lambda at: False) if since is None else (lambda at: at >= since)
    return ActionInbox(client(wire or Wire()), Lying(objects), ("shop", "reviews"), CREATED, proved)


def test_actions_are_read_in_the_order_in_which_they_were_made() -> None:
    """Only those for this Canary; of one second, by their ids, so that every replica reads them alike."""
    other = created("other", canary="ratings")
    late, early = created("a", "2026-03-02T10:00:01Z"), created("z", "2026-03-02T09:59:59Z")
    found = inbox(late, created("c"), other, created("b"), early).read()
    assert [one.id for one in found] == ["uid-z", "uid-b", "uid-c", "uid-a"]


def test_an_action_is_what_was_asked() -> None:
    """For the rollout, version, revision and step that its author saw."""
    seen: dict[str, Any] = {"rollout": 3, "version": "v2", "revision": "7d9f", "step": 2, "comment": "looks good"}
    [found] = inbox(created(**seen)).read()
    assert found == CanaryAction(
        id="uid-yes",
        target="reviews",
        verb=Verb.APPROVE,
        author="ada",
        at=NOW,
        **seen,
    )


def test_an_author_is_verified_where_that_was_proved_when_the_action_was_made() -> None:
    """Not before, and no one is who gives no name."""
    before, after = created("before", "2026-03-02T09:59:59Z"), created("after")
    unnamed = created("nobody", author="")
    found = {one.id: one.verified for one in inbox(before, after, unnamed, since=NOW).read()}
    assert found == {"uid-before": False, "uid-after": True, "uid-nobody": False}
    assert not any(one.verified for one in inbox(before, after).read())


def test_an_approval_waits_until_its_author_can_be_looked_into() -> None:
    """What is refused is refused for good. Nothing else waits for that: least of all a rollback."""

    def unanswered(at: datetime) -> bool:
        raise Unavailable(Cause.TIMED_OUT, "no answer")

    objects = Lying([created("yes"), created("back", verb="rollback"), created("nobody", author="")])
    found = ActionInbox(client(Wire()), objects, ("shop", "reviews"), CREATED, unanswered).read()
    assert [(one.id, one.verified) for one in found] == [("uid-back", False), ("uid-nobody", False)]


@pytest.mark.parametrize(
    "broken",
    [
        created(verb="aprove"),
        {**created(), "spec": {"verb": "approve"}},
        {**created(), "metadata": {"name": "yes", "namespace": "shop"}},
        {"metadata": created()["metadata"]},
    ],
    ids=["an unknown verb", "no canary", "never kept by a server", "no spec"],
)
def test_what_can_not_be_understood_is_no_request(broken: dict[str, Any]) -> None:
    """The schema refuses it; an object from elsewhere must not stop those beside it."""
    assert asked(broken) is None


def test_fields_of_a_newer_canary_are_no_reason_not_to_hear() -> None:
    """What is known of it counts."""
    found = asked(created(urgency="high"))
    assert found is not None
    assert found.verb is Verb.APPROVE


def test_what_was_made_for_an_earlier_canary_of_the_name_is_not_read() -> None:
    """It may say `promote`. API servers' clocks differ: within that it is for this one, and nothing is lost."""
    before, skewed = created("before", "2026-03-01T09:59:29Z"), created("skewed", "2026-03-01T09:59:30Z")
    assert [one.id for one in inbox(before, skewed).read()] == ["uid-skewed"]


def test_what_was_made_for_an_earlier_canary_of_the_name_is_removed() -> None:
    """After the same while, with any status; another Canary's stays."""
    wire = Wire([{}])
    before, other = "2026-03-01T09:59:00Z", created("other", "2026-03-01T09:00:00Z", canary="ratings")
    lying = inbox(created("before", before), other, created("new", "2026-03-01T10:00:00Z"), wire=wire)
    assert lying.remove_taken(Status(), CREATED + KEPT - timedelta(seconds=62)) == 0
    assert lying.remove_taken(Status(), CREATED + KEPT) == 1
    assert [one.name for one in wire.sent] == ["before"]


def test_what_was_taken_lies_there_for_a_while_and_is_removed_then() -> None:
    """What is for this Canary and not taken yet stays, however old it is."""
    wire = Wire([{}])
    old = created("old", "2026-03-02T09:00:00Z")
    lying = inbox(old, created("young", "2026-03-02T09:30:00Z"), created("new", "2026-03-02T08:00:00Z"), wire=wire)
    taken = Status(actions_taken=("uid-old", "uid-young"))
    assert lying.remove_taken(taken, later(seconds=-1)) == 0
    assert lying.remove_taken(taken, later()) == 1
    assert [(one.name, one.method) for one in wire.sent] == [("old", "DELETE")]
    assert later() - later(hours=-1) == KEPT


def test_those_whose_ids_are_forgotten_were_taken_as_well() -> None:
    """Status keeps a time in their place."""
    wire = Wire([{}])
    lying = inbox(created("old", "2026-03-02T08:00:00Z"), created("new", "2026-03-02T08:30:00Z"), wire=wire)
    assert lying.remove_taken(Status(actions_before=later(hours=-2)), later()) == 1
    assert [one.name for one in wire.sent] == ["old"]


@pytest.mark.parametrize("answer", [404, 403, 409])
def test_one_that_can_not_be_removed_stops_nothing(answer: int) -> None:
    """Someone else removed it, or we may not: the next one is removed all the same."""
    wire = Wire([answer, {}])
    lying = inbox(created("a", "2026-03-02T08:00:00Z"), created("b", "2026-03-02T08:00:00Z"), wire=wire)
    lying.remove_taken(Status(actions_taken=("uid-a", "uid-b")), later())
    assert [one.name for one in wire.sent] == ["a", "b"]
