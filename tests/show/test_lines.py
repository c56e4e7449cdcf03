"""A run as text: whole lines, and when there are none."""

from collections.abc import Callable
from datetime import UTC
from io import StringIO

import pytest

from canary.api.action import Verb
from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.engine.observed import Cause, Missing
from canary.rollout.end import Ending, ending
from canary.rollout.reconcile import Turn
from canary.show.lines import Lines
from canary.show.terminal import ASCII, Screen
from tests.show.turns import BAD, GOOD, NOON, Play, wanted

SCREEN = Screen(zone=UTC)
GATED = wanted(steps=[{"weight": 50, "gates": [{"name": "release", "approval": {"count": 2}}]}])


def shown(*turns: Turn, screen: Screen = SCREEN) -> list[str]:
    """What is printed of these turns."""
    stream = StringIO()
    lines = Lines(stream, screen)
    for turn in turns:
        lines(turn)
    return stream.getvalue().splitlines()


def good() -> list[Turn]:
    return Play().whole()


def failing() -> list[Turn]:
    return Play(canary=dict(BAD)).whole()


def without_data() -> list[Turn]:
    return Play(canary=Missing(Cause.EMPTY, "no request in 10s")).turns(0, *[5] * 16)


def at_a_gate() -> list[Turn]:
    play = Play(GATED)
    turns = play.turns(0, *[5] * 5)
    play.ask(Verb.APPROVE, "bob", comment="looks fine")
    return [*turns, *play.turns(1, 4, 5)]


def paused() -> list[Turn]:
    play = Play()
    turns = play.turns(0, 5)
    play.ask(Verb.PAUSE, comment="lunch")
    turns += play.turns(1, 5)
    play.ask(Verb.RESUME)
    return [*turns, *play.turns(1, 1)]


def in_trouble() -> list[Turn]:
    play, full = Play(), "saving: disk full"
    return [play.turn(), play.turn(5, [full]), play.turn(1, [full + ", 3 kB left"]), play.turn(1)]


@pytest.mark.parametrize(
    ("turns", "lines"),
    [
        pytest.param(
            good,
            ["12:00:00   0% Waiting      rolling out v2, replacing v1",
             "12:00:05  10% Progressing  v2 is available; on to 10%",
             "12:00:15  10% Progressing  all checks passed  success 99.8% (stable 100%)  p99 41ms (stable 40ms)",
             "12:00:25  50% Progressing  10% passed 2 evaluations; on to 50%  success 99.8%  p99 41ms",
             "12:00:35 100% Promoting    all steps passed; on to 100%  success 99.8%  p99 41ms",
             "12:00:40 100% Finalising   v2 serves everything",
             "12:00:45 100% Succeeded    promoted: v2 serves everything"],
            id="a good rollout is seven lines: each evaluation and each change, and nothing between evaluations",
        ),
        pytest.param(
            failing,
            ["12:00:00   0% Waiting      rolling out v2, replacing v1",
             "12:00:05  10% Progressing  v2 is available; on to 10%",
             "12:00:15  10% Progressing  request-success-rate 88% is below 99%, stable 100% (1 of 3 failed checks)",
             "12:00:25  10% Progressing  request-success-rate 88% is below 99%, stable 100% (2 of 3 failed checks)",
             "12:00:35   0% Finalising   request-success-rate 88% is below 99%, stable 100% (3 of 3 failed checks)",
             "12:00:40   0% Finalising   v2 drains for 5s",
             "12:00:45   0% Failed       rolled back at 10%: request-success-rate 88% is below 99%, stable 100% "
             "(3 of 3 failed checks)"],
            id="a reason is never cut, and checks give way to it",
        ),
        pytest.param(
            without_data,
            ["12:00:00   0% Waiting      rolling out v2, replacing v1",
             "12:00:05  10% Progressing  v2 is available; on to 10%",
             "12:00:15  10% Progressing  no evidence of request-success-rate: no data (no request in 10s), "
             "since 12:00:15 UTC, to be rolled back at 12:15:15 UTC",
             "12:01:15  10% Progressing  no evidence of request-success-rate: no data (no request in 10s), "
             "since 12:00:15 UTC, to be rolled back at 12:15:15 UTC"],
            id="an evaluation that says the same as the last one is reported once a minute",
        ),
        pytest.param(
            at_a_gate,
            ["12:00:00   0% Waiting      rolling out v2, replacing v1",
             "12:00:05  50% Progressing  v2 is available; on to 50%",
             "12:00:15  50% WaitingPromotion  at 50%, release waits for 0 of 2 approvals, until tomorrow 12:00 UTC",
             "12:00:26  50% WaitingPromotion  bob asked to approve: looks fine"],
            id="a gate is reported once, and so is each person's approval",
        ),
        pytest.param(
            paused,
            ["12:00:00   0% Waiting      rolling out v2, replacing v1",
             "12:00:05  10% Progressing  v2 is available; on to 10%",
             "12:00:06  10% Progressing  alice asked to pause: lunch",
             "12:00:06  10% Progressing  paused by alice at 10% until resumed (lunch)",
             "12:00:12  10% Progressing  alice asked to resume",
             "12:00:12  10% Progressing  holding at 10%: 2 evaluations to go"],
            id="after a pause, that the rollout goes on is news",
        ),
        pytest.param(
            in_trouble,
            ["12:00:00   0% Waiting      rolling out v2, replacing v1",
             "12:00:05  10% Progressing  v2 is available; on to 10%",
             "warning: saving: disk full",
             "warning is over: saving: disk full"],
            id="trouble is reported when it begins and when it ends, with any changes of details meanwhile",
        ),
    ],
)  # fmt: skip
def test_a_run(turns: Callable[[], list[Turn]], lines: list[str]) -> None:
    """All that is printed of a run."""
    assert shown(*turns()) == lines


def test_a_long_wait_at_a_gate_is_reported_every_five_minutes() -> None:
    """People are waited for: what is printed says so, and a night at a gate doesn't fill a log."""
    play, turns = Play(GATED), []
    for number in range(68):
        play.canary = {**GOOD, "request-duration": 40.0 + number}
        turns.append(play.turn(10))
    waits = [line for line in shown(*turns) if "WaitingPromotion" in line]
    assert [line[:8] for line in waits] == ["12:00:40", "12:05:40", "12:10:40"]
    assert all("release waits for 0 of 2 approvals" in line for line in waits)


def test_an_evaluation_that_does_not_pass_is_reported_at_a_gate() -> None:
    """A failed check while people are waited for is news at once."""
    play = Play(GATED)
    turns = play.turns(*[10] * 4)
    play.canary = dict(BAD)
    assert "(1 of 3 failed checks)" in shown(*turns, play.turn(10))[-1]


def test_a_new_day_has_a_line_of_its_own() -> None:
    """Times without dates would seem to run backwards at midnight."""
    play = Play(now=NOON.replace(hour=23, minute=59, second=58))
    lines = shown(*play.turns(0, 5))
    assert lines[1:] == ["2025-06-03", "00:00:03  10% Progressing  v2 is available; on to 10%"]


def test_a_route_that_is_slow_is_reported_and_a_quick_one_is_not() -> None:
    """Waiting for the route is news after two seconds."""
    play = Play()
    turns = play.turns(0)
    play.obeys = False
    turns += play.turns(5, 0.2, 3, 1)
    assert shown(*turns)[2:] == ["12:00:08  10% Progressing  waiting for the route to be at 10%"]


def test_no_line_is_longer_than_a_hundred_where_the_sentence_leaves_room() -> None:
    """Checks are what is left away."""
    for turns in (good(), at_a_gate(), without_data()):
        assert all(len(line) <= 100 or line.endswith("UTC") for line in shown(*turns))  # or the sentence has no room


def test_colours_are_only_added() -> None:
    """With colours a line says the same."""
    coloured = shown(*failing(), screen=Screen(colour=True, zone=UTC))
    assert "\x1b[31mFailed" in coloured[-1]
    assert coloured[-1].count("\x1b[") == 2 * coloured[-1].count("\x1b[0m")


def test_ascii_and_control_characters() -> None:
    """Nothing that people write can move the cursor, or stop a stream that is not in UTF-8."""
    play = Play()
    turns = play.turns(0, 5)
    play.ask(Verb.PAUSE, author="zoë", comment="one\n\x1b[2Jtwo")
    lines = shown(*turns, play.turn(1), screen=Screen(unicode=False, zone=UTC))
    assert lines[2] == "12:00:06  10% Progressing  zo? asked to pause: one  [2Jtwo"
    assert "".join(lines).isascii()
    assert "".join(str(sign) for sign in vars(ASCII).values()).isascii()


@pytest.mark.parametrize(
    ("over", "lines"),
    [
        pytest.param(
            Ending(Exit.INTERRUPTED, Reason.INTERRUPTED, "interrupted; traffic stays at 10%"),
            ["interrupted; traffic stays at 10% (exit code 130)"],
            id="an end that no decision reported has a line of its own",
        ),
        pytest.param(None, [], id="an end that the last decision reported is not reported again"),
    ],
)
def test_the_end(over: Ending | None, lines: list[str]) -> None:
    """The last line says why the run ends."""
    stream, turns = StringIO(), good()
    reported = Lines(stream, SCREEN)
    for turn in turns:
        reported(turn)
    before = len(stream.getvalue())
    last = ending(turns[-1].decision)
    assert last is not None
    reported.close(over or last)
    assert stream.getvalue()[before:].splitlines() == lines
    assert turns[0].at == NOON
