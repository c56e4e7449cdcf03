"""What the controller logs: decisions that are reported, once each; trouble, every ten minutes; never a secret."""

import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from canary.api.action import Verb
from canary.api.reason import Reason
from canary.api.status import Message
from canary.controller.logs import REPEAT, Decisions, Format, Level, scrubbed, set_up
from canary.rollout.reconcile import Turn
from tests.show.turns import BAD, NOON, Play


class Lines:
    """What was logged in this test."""

    def __init__(self) -> None:
        self.stream = StringIO()
        self.decisions = Decisions()

    def decided(self, *turns: Turn, name: str = "reviews") -> list[str]:
        """The lines of these turns, without their time."""
        begin = len(self.stream.getvalue())
        for turn in turns:
            self.decisions.reconciled(("shop", name), turn, 0.01, 0.0)
        return [line.partition(" ")[2] for line in self.stream.getvalue()[begin:].splitlines()]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The test's own logging afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def text() -> Lines:
    lines = Lines()
    set_up(Format.TEXT, Level.INFO, lines.stream)
    return lines


def objects(level: Level = Level.INFO) -> Lines:
    lines = Lines()
    set_up(Format.JSON, level, lines.stream)
    return lines


def parsed(lines: Lines) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.stream.getvalue().splitlines()]


def test_a_good_rollout_is_a_line_for_each_decision(text: Lines) -> None:
    """Quiet reconciles between them aren't logged."""
    turns = Play().whole()
    assert len(turns) > 6
    assert text.decided(*turns) == [
        "INFO shop/reviews Waiting 0% Started: rolling out v2, replacing v1",
        "INFO shop/reviews Progressing 10% CanaryReady: v2 is available; on to 10%",
        "INFO shop/reviews Progressing 50% StepPassed: 10% passed 2 evaluations; on to 50%",
        "INFO shop/reviews Promoting 100% Promoting: all steps passed; on to 100%",
        "INFO shop/reviews Succeeded Promoted: v2 serves everything",
    ]


def test_what_went_wrong_is_a_warning(text: Lines) -> None:
    """With what was measured."""
    play = Play()
    play.canary = BAD
    lines = text.decided(*play.whole())
    rolled_back = [line for line in lines if line.startswith("WARNING shop/reviews Finalising 0% SuccessRateBelow")]
    assert len(rolled_back) == 1
    assert "request-success-rate 88% is below 99%" in rolled_back[0]


def test_what_people_ask_is_logged_with_who_it_was(text: Lines) -> None:
    """Beside the decision that follows from it."""
    play = Play()
    text.decided(*play.turns(0, 5))
    play.ask(Verb.PAUSE, comment="lunch")
    assert text.decided(play.turn(1)) == [
        "INFO shop/reviews Progressing 10% PauseAsked: alice asked to pause: lunch",
        "WARNING shop/reviews Progressing 10% Paused: paused by alice at 10% until resumed (lunch)",
    ]


def test_what_was_unknown_at_first_is_logged_once(text: Lines) -> None:
    """The outbox holds it until it is reported, and then it is in a turn again."""
    play = Play()
    first = play.turn()
    waiting = first.decision.messages
    undelivered = replace(first, record=replace(first.record, status=first.record.status.but(outbox=waiting)))
    again = replace(play.turn(0.1), delivered=())
    still = replace(again, record=undelivered.record)
    reported = replace(play.turn(0.1), delivered=waiting)
    assert len(text.decided(undelivered)) == 1
    assert [line for line in text.decided(still, reported) if "Started" in line] == []


def test_what_an_earlier_process_could_not_tell_is_logged(text: Lines) -> None:
    """It may have died before it could log."""
    left = Message(id="9", reason=Reason.PROMOTED, message="promoted: v1 serves everything", at=NOON)
    assert "Promoted: v1 serves everything" in text.decided(replace(Play().turn(), delivered=(left,)))[0]


def test_the_same_trouble_is_logged_once_in_ten_minutes(text: Lines) -> None:
    """For each Canary and each sentence."""
    play, away, late = Play(), "the store is away", "notification failed, retrying: timed out"
    text.decided(*play.turns(0, 1))
    first = text.decided(play.turn(1, trouble=[away]))
    assert first == [f"WARNING shop/reviews Progressing 10% Trouble: {away}"]
    assert text.decided(play.turn(1, trouble=[away])) == []
    assert text.decided(play.turn(1, trouble=[away, late])) == [first[0].replace(away, late)]
    assert text.decided(replace(play.turn(1), trouble=(away,)), name="ratings") == [
        f"WARNING shop/ratings Progressing 10% Trouble: {away}"
    ]
    soon = replace(play.turn(0), at=play.now + REPEAT, trouble=(away,))
    assert text.decided(soon) == first


def test_trouble_that_is_over_is_forgotten() -> None:
    """Sentences with changing words in them must not pile up."""
    decisions, play = Decisions(), Play()
    for number in range(300):
        turn = replace(play.turn(0), at=NOON + REPEAT * number, trouble=(f"{number}",))
        decisions.reconciled(("shop", "reviews"), turn, 0.01, 0.0)
    assert len(decisions.said["shop", "reviews"].trouble) == 1
    decisions.forgot(("shop", "reviews"))
    decisions.forgot(("shop", "reviews"))
    assert decisions.said == {}


def test_a_json_line_has_what_a_query_asks_for() -> None:
    """At rest there is no weight."""
    lines = objects()
    lines.decided(*Play().whole())
    found = parsed(lines)
    assert list(found[1]) == ["time", "level", "namespace", "name", "phase", "weight", "reason", "logger", "message"]
    assert found[1]["time"].endswith("Z")
    assert {**found[1], "time": ""} == {
        "time": "",
        "level": "info",
        "namespace": "shop",
        "name": "reviews",
        "phase": "Progressing",
        "weight": 10,
        "reason": "CanaryReady",
        "logger": "canary.decisions",
        "message": "v2 is available; on to 10%",
    }
    assert "weight" not in found[-1]


def test_debug_has_every_decision() -> None:
    """Also those of quiet reconciles, once each."""
    lines, turns = objects(Level.DEBUG), Play().whole()
    lines.decided(*turns)
    found = parsed(lines)
    assert len(found) == len(turns)
    assert {one["level"] for one in found} == {"debug", "info"}


def test_warnings_only_when_only_they_are_asked_for() -> None:
    """Information of libraries is never more than that."""
    lines = Lines()
    set_up(Format.TEXT, Level.WARNING, lines.stream)
    assert lines.decided(Play().turn()) == []
    set_up(Format.TEXT, Level.DEBUG, lines.stream)
    logging.getLogger("urllib3.connectionpool").info("Starting new connection")
    assert lines.stream.getvalue() == ""


@pytest.mark.parametrize("format_", Format)
def test_a_traceback_is_logged_whole_and_without_secrets(format_: Format) -> None:
    """A password in the URL of a Prometheus is in many an error of many a library."""
    stream = StringIO()
    set_up(format_, Level.INFO, stream)
    try:
        raise ValueError("GET http://alice:s3cret@prometheus:9090/api")
    except ValueError as error:
        Decisions().crashed(("shop", "web"), error)
    logged = stream.getvalue()
    assert "s3cret" not in logged
    assert "alice" not in logged
    assert "ValueError: GET http://prometheus:9090/api" in logged
    assert ("shop/web: reconcile failed" if format_ is Format.TEXT else '"name": "web"') in logged


@pytest.mark.parametrize("format_", Format)
def test_no_text_makes_a_line_that_looks_like_ours(format_: Format) -> None:
    """A comment with a line break in it, or with what steers a terminal."""
    lines = Lines()
    set_up(format_, Level.INFO, lines.stream)
    play = Play()
    lines.decided(*play.turns(0, 5))
    begin = len(lines.stream.getvalue().splitlines())
    play.ask(Verb.ROLLBACK, comment="no\n2026-01-01T00:00:00.000Z INFO shop/reviews Succeeded\x1b[2J")
    lines.decided(play.turn(1))
    logged = lines.stream.getvalue()
    assert len(logged.splitlines()) == begin + 2
    assert "\x1b" not in logged


def test_warnings_of_python_are_logged_as_well() -> None:
    """Not written to standard error in another form."""
    stream = StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        set_up(Format.TEXT, Level.INFO, stream)
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "DeprecationWarning: soon gone" in stream.getvalue()


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("http://prometheus:9090/api?x=a@b", "http://prometheus:9090/api?x=a@b"),
        ("https://a:b@p.example/x", "https://p.example/x"),
        ("https://token@p.example", "https://p.example"),
        ("https://a:p@ss@p.example/x", "https://p.example/x"),
        ("redis+tls://:pw@host:1", "redis+tls://host:1"),
        ("Authorization: Bearer eyJhbGciOi.J9x-_1 sent", "Authorization: Bearer … sent"),
        ("the bearer of authentication", "the bearer of authentication"),
        ("mail bob@example.com, see http://docs", "mail bob@example.com, see http://docs"),
    ],
    ids=lambda said: said,
)
def test_urls_are_shown_without_user_info(said: str, logged: str) -> None:
    """What isn't one stays as it is."""
    assert scrubbed(said) == logged
