"""The block that `canary status` prints."""

from collections.abc import Callable
from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.action import Verb
from canary.api.reason import Reason
from canary.api.status import Condition, Phase, Status
from canary.engine.observed import HookAnswer
from canary.show.summary import status_lines
from canary.show.terminal import PLAIN, Screen
from tests.rollout.wired import ask, driven
from tests.show.turns import BAD, NOON, Play, wanted

SCREEN = Screen(width=80, zone=UTC)
GATES = [{"name": "release", "approval": {"count": 2}, "timeout": "4h"}]


def untouched() -> Play:
    return Play()


def waiting() -> Play:
    play = Play(wanted(steps=[{"weight": 50, "gates": GATES}]))
    play.turns(0, 5, 5, 5)
    play.ask(Verb.APPROVE, "bob", comment="looks fine")
    play.turn(1)
    return play


def early() -> Play:
    play = Play(wanted(steps=[{"weight": 50, "gates": GATES}]))
    play.turns(0, 5)
    play.ask(Verb.PAUSE, comment="lunch")
    play.turn(1)
    return play


def over() -> Play:
    play = Play(canary=dict(BAD))
    play.whole()
    return play


def later() -> Play:
    play = over()
    play.ask(Verb.RETRY)
    play.canary = {"request-success-rate": 100.0, "request-duration": 40.0}
    play.now += timedelta(hours=20)
    play.whole()
    return play


@pytest.mark.parametrize(
    ("play", "lines"),
    [
        pytest.param(untouched, ["web              Initializing"], id="nothing has happened yet"),
        pytest.param(
            waiting,
            ["web              WaitingPromotion since 12:00:15 (2s ago)",
             "                 at 50%, release waits for 1 of 2 approvals, until 16:00:15 UTC",
             "rollout #1       v1 → v2, started 12:00:00 (17s ago)",
             "traffic          ━━━━━━━━━━━━━━━───────────────  50%  step 1 of 2",
             "failed checks    ○○○ 0 of 3",
             "last evaluation  12:00:15  all checks passed",
             "                      canary    stable     allowed",
             "  success rate         99.8%      100%       ≥ 99%  ✔",
             "  p99 latency           41ms      40ms     ≤ 500ms  ✔",
             "gate             release: 1 of 2 approvals, until 16:00:15 (3h59m left)",
             "                 approved by bob: looks fine",
             "                 opens with canary approve web"],
            id="a gate says who approved, and what opens it",
        ),
        pytest.param(
            early,
            ["web              Progressing since 12:00:05 (2s ago)",
             "                 paused by alice at 50% until resumed (lunch)",
             "rollout #1       v1 → v2, started 12:00:00 (7s ago)",
             "traffic          ━━━━━━━━━━━━━━━───────────────  50%  step 1 of 2",
             "failed checks    ○○○ 0 of 3",
             "paused           by alice since 12:00:06: lunch",
             "gate             release: 0 of 2 approvals, asked once the step is done"],
            id="a gate that isn't asked yet is announced, and a pause says whose it is",
        ),
        pytest.param(
            over,
            ["web              Failed since 12:00:45 (1s ago)",
             "                 rolled back at 10%: request-success-rate 88% is below 99%,",
             "                 stable 100% (3 of 3 failed checks)",
             "serves           v1",
             "failed last      v2",
             "",
             "#  canary  outcome     reached  took  ended     reason",
             "1  v2      RolledBack  10%      45s   12:00:45  SuccessRateBelowMinimum"],
            id="after a rollback: what serves, what failed, and why",
        ),
        pytest.param(
            later,
            ["web              Succeeded since 08:01:30 (1s ago)",
             "                 promoted: v2 serves everything",
             "serves           v2",
             "",
             "#  canary  outcome     reached  took  ended             reason",
             "2  v2      Promoted    100%     45s   08:01:30          Promoted",
             "1  v2      RolledBack  10%      45s   2025-06-02 12:00  SuccessRateBelowMinimum"],
            id="the history is newest first, and other days have a date",
        ),
    ],
)  # fmt: skip
def test_a_status(play: Callable[[], Play], lines: list[str]) -> None:
    """All of it, a second after the last decision."""
    made = play()
    assert status_lines(made.status, "web", made.now + timedelta(seconds=1), SCREEN) == lines


def test_wide_explains_more() -> None:
    """The route, the evaluations, the deadline and the conditions."""
    play = waiting()
    more = status_lines(play.status, "web", play.now, SCREEN, wide=True)
    assert [line for line in more if line not in status_lines(play.status, "web", play.now, SCREEN)] == [
        "route            in place since 12:00:10",
        "evaluations      every 10s by threshold, next in 9s",
        "deadline         2025-06-03 12:00 (23h59m left)",
        "Ready            False   since 12:00:00  WaitingForApproval",
        "Reconciling      True    since 12:00:00  WaitingForApproval",
        "Stalled          False   since 12:00:00  WaitingForApproval",
        "Promoted         Unknown since 12:00:00  WaitingForApproval",
    ]


def test_the_howto_is_the_callers() -> None:
    """Beside a state file, other words open a gate than in a cluster."""
    play = waiting()
    shown = status_lines(play.status, "web", play.now, PLAIN, howto="canary approve -f web.yaml")
    assert shown[-1] == "                 opens with canary approve -f web.yaml"


@given(width=st.integers(30, 120), ticks=st.integers(0, 20), unicode=st.booleans(), comment=st.text(max_size=200))
def test_no_line_is_wider_than_the_screen(width: int, ticks: int, unicode: bool, comment: str) -> None:
    """For any text of people."""
    play = Play(wanted(steps=[{"weight": 50, "gates": GATES}]))
    for tick in range(ticks):
        if tick == 3:
            play.ask(Verb.APPROVE, comment, comment=comment)
        play.turn(5)
    lines = status_lines(play.status, "web", play.now, Screen(width, unicode=unicode, zone=UTC))
    assert all(len(line) <= width for line in lines)


def test_nothing_is_shown_of_a_status_that_has_nothing() -> None:
    """An empty status has a phase, and no more."""
    assert status_lines(Status(), "a-rather-long-name", NOON, SCREEN) == ["a-rather-long-name Initializing"]


def test_an_earlier_success_is_not_shown_beside_an_error() -> None:
    """What is asked for now can't be had; a failure stays a failure."""
    stalled = Condition(type="Stalled", status="True", reason=Reason.INVALID_SPEC, last_transition_time=NOON)
    for phase, word in ((Phase.SUCCEEDED, "Stalled"), (Phase.INITIALIZED, "Stalled"), (Phase.FAILED, "Failed")):
        status = Status(phase=phase, message="spec.version: v22 is no version", conditions=(stalled,))
        assert status_lines(status, "web", NOON, SCREEN)[0].split()[1] == word
    calm = Status(phase=Phase.SUCCEEDED, conditions=(stalled.but(status="False"),))
    assert status_lines(calm, "web", NOON, SCREEN)[0].split()[1] == "Succeeded"


def test_a_bar_of_a_route_that_was_changed_says_what_it_shows() -> None:
    """The status knows what is desired; where the route stands instead is in its sentence."""
    play = early()
    drifted = play.status.but(reason=Reason.TRAFFIC_DRIFT, message="the route was changed: at 50%, not 20%")
    lines = status_lines(drifted, "web", NOON, SCREEN)
    assert [line.split()[0] for line in lines if " of " in line and "%" in line] == ["desired"]
    assert any("the route was changed and is not there" in line for line in lines)
    assert not any(line.startswith("desired") for line in status_lines(play.status, "web", NOON, SCREEN))


def test_hooks() -> None:
    """The last answer of each, and what a gate of a hook waits for; no one can approve it."""
    hooks = [{"name": "qa", "type": one, "url": "http://x/"} for one in ("rollout", "confirm-promotion")]
    run = driven(webhooks=hooks)
    run.box.hooks.answers["confirm-promotion"] = HookAnswer(passed=False, detail="HTTP 403")
    run.at(120, lambda: run.box.hooks.answers.update({"confirm-promotion": None}))
    run.at(200, lambda: ask(run.box, Verb.ROLLBACK))
    run.run()
    shown = [
        status_lines(one.decision.status, "web", one.at, SCREEN, howto="canary approve web") for one in run.turns
    ]
    closed = next(lines for turn, lines in zip(run.turns, shown, strict=True) if turn.decision.reason == "GateClosed")
    rows = [line for line in closed if "qa" in line and line[0] != " "]
    assert rows[0].startswith("hooks            rollout qa passed at 12:0")
    assert rows[-1] == "gate             confirm-promotion qa: HTTP 403, without a time limit"
    assert any("confirm-promotion qa failed at 12:" in line and line.endswith(": HTTP 403") for line in closed)
    assert not any("approve" in line for line in closed)
    assert any("called at 12:03" in line for lines in shown for line in lines)
