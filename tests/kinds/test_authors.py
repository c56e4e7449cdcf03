"""Whether an action's author is proved: by an admission policy and a binding that denies."""

from typing import Any

import pytest

from canary.engine.errors import CanaryError
from canary.engine.observed import Kind
from canary.kinds.authors import FRESH, Authors
from canary.kube.errors import Away

from .objects import NOW, Wire, client, later

NAME = "canary-actions"


def policy(at: str = "2026-03-02T09:00:00Z") -> dict[str, Any]:
    return {"metadata": {"name": NAME, "creationTimestamp": at}, "spec": {}}


def binding(at: str = "2026-03-02T10:00:00Z", of: str = NAME, actions: tuple[str, ...] = ("Deny",)) -> dict[str, Any]:
    spec = {"policyName": of, "validationActions": list(actions)}
    return {"metadata": {"name": NAME, "creationTimestamp": at}, "spec": spec}


def test_authors_are_proved_since_both_are_there() -> None:
    """What was made before the later of the two stays unproved."""
    authors = Authors(client(Wire([policy(), binding()])), NAME)
    assert authors.proved(NOW)
    assert not authors.proved(later(seconds=-1))
    other = Authors(client(Wire([policy("2026-03-02T11:00:00Z"), binding()])), NAME)
    assert not other.proved(NOW)
    assert other.proved(later(hours=1))


def test_it_is_read_once_in_a_while_and_never_where_nobody_proves() -> None:
    """Every action of every Canary asks."""
    time = [0.0]
    wire = Wire([policy(), binding(), policy(), 404])
    authors = Authors(client(wire), NAME, lambda: time[0])
    assert authors.proved(NOW)
    time[0] = FRESH - 0.1
    assert authors.proved(NOW)
    assert len(wire.sent) == 2
    time[0] = FRESH
    assert not authors.proved(NOW)
    assert len(wire.sent) == 4
    silent = Wire()
    assert not Authors(client(silent), "").proved(NOW)
    assert silent.sent == []


ANSWERS: dict[str, list[dict[str, Any] | int | CanaryError]] = {
    "no policy": [404],
    "no binding": [policy(), 404],
    "it may not be read": [403],
    "the server is away": [Away(Kind.REFUSED, "connection refused")],
    "a binding that only warns": [policy(), binding(actions=("Warn", "Audit"))],
    "a binding of another policy": [policy(), binding(of="another")],
    "a binding without actions": [policy(), {**binding(), "spec": {"policyName": NAME}}],
}


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
def test_whatever_is_in_doubt_proves_nobody(answers: list[dict[str, Any] | int | CanaryError]) -> None:
    """An approval of one too few costs time, one too many costs users."""
    assert not Authors(client(Wire(list(answers))), NAME).proved(later(days=1))
