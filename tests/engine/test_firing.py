"""What other systems say of their alerts, and which rollouts an alert asks to roll back."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.action import Verb
from canary.api.analysis import AlertMatch
from canary.api.reason import Reason
from canary.api.status import Outcome, RolloutSummary, Status, Version
from canary.engine.errors import Invalid
from canary.engine.firing import FiringAlert, asks, from_alertmanager, from_falco, from_generic, promoted_lately
from canary.engine.validation import check
from tests.engine.situations import NOW, SECOND, Case, at_20_percent, decided, manifest, paused
from tests.engine.situations import asks as a_person

ALERTMANAGER: dict[str, Any] = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighLatency", "service": "web", "severity": "page"},
            "annotations": {"summary": "p99 of web is 2 s"},
            "startsAt": "2026-03-02T09:59:30.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": "a1",
        },
        {
            "status": "resolved",
            "labels": {"alertname": "HighErrorRate", "service": "web"},
            "annotations": {},
            "startsAt": "2026-03-02T09:00:00Z",
        },
    ],
}  # fmt: skip
FALCO: dict[str, Any] = {
    "output": "09:59:59 Notice A shell was spawned\nin a container",
    "priority": "Notice",
    "rule": "Terminal shell in container",
    "time": "2026-03-02T09:59:59.5Z",
    "source": "syscall",
    "output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "web-1", "proc.pid": 7},
}


def test_alertmanagers_firing_alerts_have_name_labels_summary_and_start() -> None:
    """Resolved ones are none."""
    (found,) = from_alertmanager(ALERTMANAGER, NOW)
    assert (found.name, found.message) == ("HighLatency", "p99 of web is 2 s")
    assert found.labels["service"] == "web"
    assert timedelta() < NOW - found.at < timedelta(seconds=30)


def test_falcos_rule_is_the_alert_and_its_fields_are_labels() -> None:
    """With the priority, and the namespace under its usual name."""
    (found,) = from_falco(FALCO, NOW)
    assert found.name == "Terminal shell in container"
    assert found.message == "09:59:59 Notice A shell was spawned in a container"
    assert found.labels == {
        "k8s.ns.name": "shop", "k8s.pod.name": "web-1", "proc.pid": "7", "priority": "Notice", "source": "syscall",
        "namespace": "shop",
    }  # fmt: skip


def test_a_generic_message_has_one_alert_or_several() -> None:
    """It fires now unless it says since when, and never later."""
    one = {"alert": "Fraud", "labels": {"team": "pay"}, "message": "refunds doubled"}
    assert from_generic(one, NOW) == (FiringAlert("Fraud", {"team": "pay"}, "refunds doubled", NOW),)
    several = {
        "alerts": [{"alert": "A", "startsAt": "2026-03-02T09:00:00"}, {"alert": "B", "startsAt": "2099-01-01"}]
    }
    assert [alert.at for alert in from_generic(several, NOW)] == [NOW - timedelta(hours=1), NOW]


@pytest.mark.parametrize(
    ("read", "data", "words"),
    [
        (from_alertmanager, [], "the message must be a JSON object"),
        (from_alertmanager, {}, "alerts must be a list"),
        (from_alertmanager, {"alerts": ["x"]}, "alerts[0] must be a JSON object"),
        (from_alertmanager, {"alerts": [{"status": "firing"}]}, "alerts[0].labels must be a JSON object"),
        (
            from_alertmanager,
            {"alerts": [{"status": "firing", "labels": {}}]},
            "alerts[0]: the name of the alert is missing",
        ),
        (from_falco, {}, "rule: the name of the alert is missing"),
        (from_generic, {"alerts": [{}] * 1001}, "alerts has more than 1000 entries"),
        (from_generic, {"labels": {}}, "alert: the name of the alert is missing"),
    ],
)
def test_what_is_wrong_is_said(read: Any, data: Any, words: str) -> None:
    """To the system that sent it."""
    with pytest.raises(Invalid) as found:
        read(data, NOW)
    assert str(found.value) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = ("alerts", "alert", "labels", "status", "startsAt", "annotations", "rule", "output_fields", "time")


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_json_is_read_or_explained(data: dict[str, Any]) -> None:
    """Never another exception: a stranger wrote it."""
    for read in (from_alertmanager, from_falco, from_generic):
        try:
            found = read(data, NOW)
        except Invalid:
            continue
        assert all(alert.name and alert.at <= NOW for alert in found)


def rule(alert: str = "HighLatency", **labels: str) -> AlertMatch:
    return AlertMatch(alert=alert, labels=labels)


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        ([rule()], True),
        ([rule(service="web")], True),
        ([rule(service="web", severity="page")], True),
        ([rule(service="shop")], False),
        ([rule(team="pay")], False),
        ([rule("Other"), rule(severity="page")], True),
        ([rule("Other")], False),
        ([], False),
    ],
)
def test_name_and_labels_must_match(rules: list[AlertMatch], asked: bool) -> None:
    """All labels of one entry; labels that it doesn't name don't count."""
    alerts = from_alertmanager(ALERTMANAGER, NOW)
    assert bool(list(asks(rules, alerts, NOW - timedelta(minutes=5)))) is asked


def test_an_alert_from_before_the_rollout_is_not_its_fault() -> None:
    """An Alertmanager repeats what fires for hours."""
    alerts = from_alertmanager(ALERTMANAGER, NOW)
    assert not list(asks([rule()], alerts, NOW - 10 * SECOND))


def fired(case: Case) -> Case:
    """An alert asks for a rollback."""
    return a_person(Verb.ROLLBACK, alert="HighLatency", comment="p99 of web is 2 s", author="controller")(case)


@pytest.mark.parametrize("changes", [[fired], [paused, fired]], ids=["in mid-step", "paused"])
def test_an_alert_rolls_back_with_itself_as_the_reason(changes: list[Any]) -> None:
    """Nothing that waits is in its way. The version counts as failed, not as rejected by a person."""
    decision = decided(at_20_percent(*changes))
    assert (decision.status.canary_weight, decision.reason) == (0, "AlertFired")
    assert decision.sentence == "the alert HighLatency asked to roll back: p99 of web is 2 s"
    assert decision.status.rollout is not None
    assert decision.status.rollout.end is not None
    assert decision.status.rollout.end.outcome is Outcome.ROLLED_BACK


def test_lint_says_that_a_standalone_envoy_has_no_controller() -> None:
    """Which alone is informed of alerts."""
    found = [str(one) for one in check(manifest(rollbackOn=[{"alert": "HighLatency"}])) if "rollbackOn" in str(one)]
    assert found == ["spec.analysis.rollbackOn: isn't used for EnvoyRoute: alerts are reported to the controller"]


def test_a_watch_without_alerts_is_a_warning() -> None:
    found = [str(one) for one in check(manifest(watchAfterPromotion="30m")) if "watch" in str(one)]
    assert found == ["spec.analysis.watchAfterPromotion: has no effect without rollbackOn, which names the alerts"]


HALF_AN_HOUR = timedelta(minutes=30)


def ended(stable: str, canary: str, outcome: Outcome = Outcome.PROMOTED, ago: timedelta = SECOND) -> RolloutSummary:
    """A rollout from one version to another, as NAME:REVISION."""
    first, second = (
        Version(name=name, revision=revision) for name, revision in (one.split(":") for one in (stable, canary))
    )
    return RolloutSummary(
        number=1, stable=first, canary=second, started=NOW - ago - SECOND, ended=NOW - ago, outcome=outcome,
        reason=Reason.PROMOTED, message="",
    )  # fmt: skip


FORWARD = ended("v1:a", "v2:b")
PRIMARY = ended("web-primary:a", "web:b")


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ([FORWARD], True),
        ([], False),
        ([ended("v1:a", "v2:b", ago=HALF_AN_HOUR)], True),
        ([ended("v1:a", "v2:b", ago=HALF_AN_HOUR + SECOND)], False),
        ([ended("v1:a", "v2:b", Outcome.ROLLED_BACK), FORWARD], False),
        ([ended("v2:b", "v1:a"), FORWARD], False),
        ([ended("v2:b", "v1:c"), FORWARD], False),
        ([ended("web-primary:b", "web:a"), PRIMARY], False),
        ([ended("web-primary:b", "web:c"), PRIMARY], True),
        ([ended("web-primary:b", "web:a"), ended("web-primary:b", "web:d", Outcome.ROLLED_BACK), PRIMARY], False),
        ([ended("v2:b", "v3:c"), FORWARD], True),
    ],
)  # fmt: skip
def test_the_last_promotion_is_watched_for_a_while(history: list[RolloutSummary], found: bool) -> None:
    """One that goes back isn't: alerts would send the traffic to and fro."""
    status = Status(history=tuple(history))
    assert promoted_lately(status, HALF_AN_HOUR, NOW) == (history[0] if found else None)


def test_without_a_time_no_promotion_is_watched() -> None:
    """And none while a rollout is running."""
    assert promoted_lately(Status(history=(FORWARD,)), timedelta(), NOW) is None
    running = decided(at_20_percent()).status.but(history=(FORWARD,))
    assert promoted_lately(running, HALF_AN_HOUR, NOW) is None
