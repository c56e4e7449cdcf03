"""Which messages are alerts, of what severity, and what a person reads in one."""

from dataclasses import replace
from typing import Any

import pytest

from canary.api.analysis import Alert
from canary.api.reason import Reason
from canary.api.status import DueAlerts, Message
from canary.engine.alerts import ROUTINE, WORDS, card, command, routing
from canary.engine.decide import Decision
from canary.engine.errors import Invalid
from canary.engine.observed import Counts, Query, Sample, Shape, Value
from tests.engine.situations import NOW, Case, at_20_percent, decided, wants

ALERTS = [
    {"name": severity, "severity": severity, "providerRef": {"name": severity}}
    for severity in ("info", "warn", "error")
]


def alerting(case: Case) -> Case:
    """The case with an alert of each severity."""
    alerts = tuple(Alert.model_validate(one) for one in ALERTS)
    return replace(case, resolved=replace(case.resolved, alerts=alerts))


def failing(query: Query) -> Sample:
    """Half of the canary's requests fail."""
    return Counts(100, 50) if query.shape is Shape.COUNTS else Value(50.0)


def sent(decision: Decision) -> dict[str, list[str]]:
    """By reason, the alerts that are due."""
    return {
        one.reason: [key.partition(":")[0] for key in (one.alerts.due if one.alerts else ())]
        for one in decision.messages
    }


def test_a_rollback_is_an_error_and_a_failed_check_before_it_a_warning() -> None:
    """With the same reason: what follows from it makes the difference."""
    first = decided(alerting(at_20_percent(lambda case: replace(case, answers=failing))))
    assert first.status.canary_weight == 20
    assert sent(first) == {"SuccessRateBelowMinimum": ["info", "warn"]}
    strict = wants(threshold=1).policy
    case = at_20_percent(lambda case: replace(case, answers=failing)).but(policy=strict)
    last = decided(alerting(case))
    assert last.status.canary_weight == 0
    *_, message = last.messages
    assert sent(last)[message.reason] == ["info", "warn", "error"]
    assert message.alerts is not None
    assert message.alerts.severity == "error"
    assert message.alerts.failed_checks == 1
    assert "request-success-rate 50%" in message.alerts.evidence
    assert "failed" in message.alerts.evidence


def test_a_step_is_no_alert() -> None:
    """It is part of any rollout; a chat would be full of them."""
    assert {Reason.STEP_PASSED, Reason.CANARY_READY, Reason.CANARY_NOT_READY} <= ROUTINE
    assert not {Reason.STARTED, Reason.WAITING_FOR_APPROVAL, Reason.PROMOTED, Reason.ROLLED_BACK} & ROUTINE


def test_without_alerts_a_message_has_no_facts() -> None:
    """Status stays as small as it was."""
    decision = decided(at_20_percent(lambda case: replace(case, answers=failing)))
    assert [one.alerts for one in decision.messages] == [None]


FACTS = DueAlerts(
    severity="warn", stable="v1 (a)", canary="v2 (b)", weight=20, step="2/4", failed_checks=1,
    evidence="request-success-rate 97%, failed",
)  # fmt: skip


def said(reason: Reason = Reason.WAITING_FOR_APPROVAL, text: str = "waits for approval") -> Message:
    return Message(id="1", type="Warning", reason=reason, message=text, at=NOW, alerts=FACTS)


def test_a_card_has_flaggers_fields_and_where_the_rollout_is() -> None:
    """And the command to act."""
    found = card(said(), wants(), "web -n default", "eu-1")
    assert (found.title, found.text, found.severity) == ("web.default", "waits for approval", "warn")
    assert dict(found.fields) == {
        "Canary": "web.default",
        "Cluster": "eu-1",
        "Target": "EnvoyRoute/web.default",
        "Reason": "WaitingForApproval",
        "Versions": "v1 (a) → v2 (b)",
        "Traffic routing": "Weights: 10, 20, 50",
        "Weight": "20%",
        "Step": "2/4",
        "Failed checks threshold": "1 of 2",
        "Progress deadline": "600s",
        "Evidence": "request-success-rate 97%, failed",
        "Command": "canary approve web -n default",
    }


def test_what_is_not_known_is_not_shown() -> None:
    """At rest there is no step and no weight; a cluster may have no name."""
    found = card(said().but(alerts=DueAlerts(stable="v1")), wants(), "web -n default")
    assert dict(found.fields).keys() == {
        "Canary", "Target", "Reason", "Versions", "Traffic routing", "Failed checks threshold", "Progress deadline",
        "Command",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("analysis", "words"),
    [
        ({"steps": None, "stepWeight": 10, "maxWeight": 50}, "Weights: 10, 20, 30, 40, 50"),
        ({"steps": None, "stepWeight": 1}, "100 weights from 1 to 100"),
        ({"steps": None, "iterations": 5}, "Blue/Green"),
        (
            {"steps": None, "iterations": 5, "match": [{"headers": {"x-user": {"exact": "a"}}}]},
            "A/B testing",
        ),
    ],
)
def test_routing_is_said_in_flaggers_words(analysis: dict[str, Any], words: str) -> None:
    """Whichever form the strategy was written in."""
    assert routing(wants(**analysis).plan) == words


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.WAITING_FOR_APPROVAL, "canary approve web"),
        (Reason.PAUSED, "canary resume web"),
        (Reason.ROLLED_BACK, "canary retry web"),
        (Reason.PROMOTED, "canary undo web"),
        (Reason.STARTED, "canary rollback web"),
        (Reason.TRAFFIC_DRIFT, "canary describe web"),
    ],
)
def test_the_command_fits_the_reason(reason: Reason, words: str) -> None:
    """What a person is likely to want next."""
    assert command(reason, "web") == words


def test_a_template_by_reason_comes_before_the_default() -> None:
    """And the message stands where there is none."""
    mine = "<!here> {{ name }} waits: {{ command }}"
    templates = {"WaitingForApproval": mine, "default": "{{message}} at {{weight}}%"}
    found = card(said(), wants(), "web", templates=templates)
    assert found.text == "<!here> web waits: canary approve web"
    assert card(said(Reason.PAUSED), wants(), "web", templates=templates).text == "waits for approval at 20%"
    assert card(said(), wants(), "web", templates={"Paused": "x"}).text == "waits for approval"


def test_each_word_stands_for_something() -> None:
    """Those that lint knows are those that are filled in."""
    text = " ".join(f"{{{{ {word} }}}}" for word in WORDS)
    assert "{" not in card(said(), wants(), "web", "eu-1", {"default": text}).text
    with pytest.raises(Invalid, match="did you mean weight"):
        card(said(), wants(), "web", templates={"default": "{{ wieght }}"})
