"""What is read of ConfigMaps and Secrets, and what follows where that isn't possible."""

import logging
from typing import Any

import pytest

from canary.engine.observed import Cause
from canary.kube.client import Client
from canary.kube.errors import Forbidden, NotFound, Unavailable
from canary.primary.configs import Config, ConfigRef
from canary.workloads import configs
from canary.workloads.configs import Configs
from tests.controller.objects import Wire

SETTINGS, TOKEN = ConfigRef("ConfigMap", "settings", optional=False), ConfigRef("Secret", "token", optional=False)
FOUND: dict[str, Any] = {"metadata": {"name": "x"}, "data": {"a": "c2VjcmV0"}}


def answering(*answers: Any) -> tuple[Configs, Wire]:
    wire = Wire(list(answers))
    return Configs(Client(wire), "test"), wire


def test_a_mandatory_one_that_is_missing_is_named() -> None:
    made, _ = answering(404)
    with pytest.raises(NotFound, match="its pods need the ConfigMap settings, which doesn't exist"):
        made.seen([SETTINGS])


def test_an_optional_one_that_is_missing_is_left_out() -> None:
    made, _ = answering(404, FOUND)
    assert list(made.seen([SETTINGS._replace(optional=True), TOKEN])) == [Config("Secret", "token")]


def test_no_answer_is_not_an_absence() -> None:
    """Else each hiccup of the server would start a rollout."""
    made, _ = answering(500)
    with pytest.raises(Unavailable):
        made.seen([SETTINGS._replace(optional=True)])


def test_what_may_not_be_read_is_not_tracked_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configs, "_warned", set())
    denied = Forbidden(Cause.DENIED, "we may not get secrets")
    made, _ = answering(denied, denied)
    with caplog.at_level(logging.WARNING):
        assert (made.seen([TOKEN]), made.seen([TOKEN]), made.blind) == ({}, {}, True)
    assert [one.getMessage() for one in caplog.records] == [
        "edits of Secrets of namespace test aren't seen: we may not get secrets"
    ]


def test_a_secret_is_remembered_for_a_while_and_without_its_contents() -> None:
    made, wire = answering(FOUND, FOUND, FOUND)
    made.remembered, now = 10.0, [0.0]
    made.clock = lambda: now[0]
    first = made.seen([TOKEN])
    now[0] = 9.0
    assert made.seen([TOKEN]) == first
    assert len(wire.sent) == 1
    assert "c2VjcmV0" not in str({name: value for name, value in vars(made).items() if name != "client"})
    assert made.fresh([TOKEN])[TOKEN.config]["data"] == FOUND["data"]
    now[0] = 19.0
    made.seen([TOKEN])
    assert wire.asked == ["get Secret"] * 3
