"""The live view: its rows, what is drawn at 80 and at 60 columns, and that the terminal is left as it was."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from canary.api.action import Verb
from canary.api.plan import Traffic
from canary.api.reason import Reason
from canary.engine.observed import Cause, Missing, RouteSeen
from canary.rollout.end import Ending, ending
from canary.rollout.reconcile import Turn
from canary.show.live_rows import ROWS, Scene, rows
from canary.show.live_view import Live
from canary.show.terminal import Screen, length
from tests.show.turns import BAD, METRICS, Play, wanted
from tests.svg import picture

HOWTO = "canary approve -f web.yaml"


def scene(turns: list[Turn]) -> Scene:
    """What is remembered of these turns."""
    seen = Scene("web", HOWTO)
    for turn in turns:
        seen = seen.then(turn)
    return seen


def drawn(turns: list[Turn], width: int, later: float = 1.2, over: Ending | None = None) -> list[str]:
    """The last picture in a terminal of this width, a moment after the last turn."""
    console = Console(width=width, height=24, record=True, file=StringIO(), force_terminal=True, _environ={})
    now = turns[-1].at + timedelta(seconds=later)
    with Live("web", HOWTO, console, clock=lambda: now, zone=UTC) as view:
        for turn in turns:
            view(turn)
        console.export_text(clear=True)
        if over is not None:
            view.close(over)
    return [line.rstrip() for line in console.export_text().splitlines()]


def looking() -> list[Turn]:
    return Play(resolved=wanted(minRequests=10)).turns(0, 5, 5, 5)


def failing() -> list[Turn]:
    return Play(canary=dict(BAD)).turns(0, 5, 5, 5, 5, 5)


def gated() -> list[Turn]:
    gates = [{"name": "release", "approval": {"count": 2}, "timeout": "4h"}]
    play = Play(wanted(steps=[{"weight": 50, "gates": gates}]))
    turns = play.turns(0, 5, 5, 5)
    play.ask(Verb.APPROVE, "bob")
    return [*turns, play.turn(1, ["notification failed, retrying: connection refused"])]


@pytest.mark.parametrize(
    ("turns", "width", "lines"),
    [
        pytest.param(
            looking, 80,
            ["web  v1 → v2  #1                                                Progressing  16s",
             "━━━━━━────────────────────────┼─────────────────────────────   10%   step 1 of 3",
             "holding at 10%: 1 evaluation to go",
             "",
             "                    canary    stable     allowed",
             "success rate         99.8%      100%       ≥ 99%  ✔",
             "p99 latency           41ms      40ms     ≤ 500ms  ✔",
             "requests               412",
             "",
             "failed checks   ○○○ 0 of 3                                 next evaluation in 9s",
             "",
             "12:00:00   0%  rolling out v2, replacing v1",
             "12:00:05  10%  v2 is available; on to 10%"],
            id="after an evaluation: where it stands, what was seen, what comes next, how it came here",
        ),
        pytest.param(
            failing, 60,
            ["web  v1 → v2  #1                            Progressing  26s",
             "━━━━────────────────┼───────────────────   10%   step 1 of 3",
             "holding at 10%: request-success-rate 88% is below 99%,",
             "stable 100% (2 of 3 failed checks)",
             "",
             "                    canary    stable     allowed",
             "success rate           88%      100%       ≥ 99%  ✘",
             "p99 latency          450ms      40ms     ≤ 500ms  ✔",
             "",
             "failed checks   ●●○ 2 of 3             next evaluation in 9s",
             "",
             "12:00:00   0%  rolling out v2, replacing v1",
             "12:00:05  10%  v2 is available; on to 10%"],
            id="a failing canary in a narrow terminal",
        ),
        pytest.param(
            gated, 60,
            ["web  v1 → v2  #1                       WaitingPromotion  17s",
             "━━━━━━━━━━━━━━━━━━━━────────────────────   50%   step 1 of 2",
             "at 50%, release waits for 1 of 2 approvals, until 16:00:15",
             "UTC",
             "",
             "                    canary    stable     allowed",
             "success rate         99.8%      100%       ≥ 99%  ✔",
             "p99 latency           41ms      40ms     ≤ 500ms  ✔",
             "",
             "failed checks   ○○○ 0 of 3             next evaluation in 8s",
             "release         1 of 2 approvals, 3h59m left",
             "                canary approve -f web.yaml",
             "warning: notification failed, retrying: connection refused",
             "",
             "12:00:15  50%  at 50%, release waits for 0 of 2 approvals, …",
             "12:00:16  50%  bob asked to approve"],
            id="a gate says what is missing and how to approve, and trouble stands below",
        ),
    ],
)  # fmt: skip
def test_the_picture(turns: Callable[[], list[Turn]], width: int, lines: list[str]) -> None:
    """All of it."""
    assert drawn(turns(), width)[: len(lines)] == lines


def test_the_last_picture_stays_and_says_how_it_ended() -> None:
    """The end takes the place of the reason, and the bar is full after a promotion."""
    turns = Play().whole()
    shown = drawn(turns, 80, over=ending(turns[-1].decision))
    assert shown[-14:] == [
        "web  v1 → v2  #1                                                  Succeeded  45s",
        "━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  100%   step 3 of 3",
        "promoted: v2 serves everything (exit code 0)",
        "",
        "                    canary    stable     allowed",
        "success rate         99.8%      100%       ≥ 99%  ✔",
        "p99 latency           41ms      40ms     ≤ 500ms  ✔",
        "",
        "failed checks   ○○○ 0 of 3",
        "",
        "12:00:00   0%  rolling out v2, replacing v1",
        "12:00:05  10%  v2 is available; on to 10%",
        "12:00:25  50%  10% passed 2 evaluations; on to 50%",
        "12:00:35 100%  all steps passed; on to 100%",
    ]


def test_an_exception_leaves_the_terminal_as_it_was() -> None:
    """The cursor is shown again."""
    stream = StringIO()
    console = Console(width=80, file=stream, force_terminal=True, _environ={})
    with pytest.raises(RuntimeError), Live("web", HOWTO, console):
        raise RuntimeError
    assert stream.getvalue().rstrip().endswith("\x1b[?25h")


def test_another_width_begins_on_a_clean_screen() -> None:
    """The terminal has broken the old rows again, and no one knows where they are."""
    stream = StringIO()
    console = Console(width=80, file=stream, force_terminal=True, _environ={})
    with Live("web", HOWTO, console, clock=lambda: datetime(2025, 6, 2, 12, tzinfo=UTC)) as view:
        assert "\x1b[2J" not in stream.getvalue()
        console.width = 60
        view(Play().turn())
    assert "\x1b[2J" in stream.getvalue()


def test_a_line_of_the_callers_own() -> None:
    """Such as the demo's requests per second."""
    console = Console(width=80, record=True, file=StringIO(), force_terminal=True, _environ={})
    turn = Play().turn()
    with Live("web", HOWTO, console, clock=lambda: turn.at) as view:
        view(turn)
        view.extra("load  206 requests/s")
    assert "load  206 requests/s" in console.export_text()


MANY = [
    {"name": f"a-metric-with-a-long-name-{n}", "query": "1", "thresholdRange": {"min": 1, "max": 5}} for n in range(8)
]


@given(
    width=st.integers(30, 120),
    height=st.integers(5, 40),
    ticks=st.integers(1, 25),
    world=st.sampled_from(["good", "bad", "none", "many", "gate", "mirror"]),
    unicode=st.booleans(),
    extra=st.text(max_size=200),
)
def test_no_row_is_wider_and_no_picture_higher_than_the_screen(
    width: int, height: int, ticks: int, world: str, unicode: bool, extra: str
) -> None:
    """With any event of a rollout."""
    plays: dict[str, Callable[[], Play]] = {
        "good": Play,
        "bad": lambda: Play(canary=dict(BAD)),
        "none": lambda: Play(canary=Missing(Cause.REFUSED, "http://prometheus.example.com:9090 " * 3)),
        "many": lambda: Play(wanted(metrics=[*METRICS, *MANY], threshold=100)),
        "gate": lambda: Play(wanted(steps=[{"weight": 5, "gates": [{"approval": {}}]}])),
        "mirror": lambda: Play(wanted(steps=None, iterations=5, mirror=True)),
    }
    play = plays[world]()
    turns = [play.turn(4, [extra]) for _ in range(ticks)]
    screen = Screen(width, height, unicode=unicode, zone=UTC)
    shown = rows(scene(turns), play.now + timedelta(seconds=2), screen)
    assert all(length(row) <= width for row in shown)
    assert len(shown) <= min(ROWS, height)
    assert all(len(screen.paint(row)) <= width for row in shown)


def test_the_svg_is_the_same_each_time() -> None:
    """A picture for documents changes only where the view does."""
    assert picture(looking()) == picture(looking())
    assert "holding" in picture(looking())


def test_the_bar_shows_where_the_route_stands_while_it_is_drifted() -> None:
    """Not what was decided: users meet what the route says."""
    turn = looking()[-1]
    drift = replace(turn.decision, reason=Reason.TRAFFIC_DRIFT, sentence="the route was changed: at 50%, not 20%")
    seen = RouteSeen("1", {"v1": 50.0, "v2": 50.0}, Traffic(weight=50))
    drifted = replace(turn, decision=drift, observed=replace(turn.observed, route=seen))
    assert turn.decision.status.canary_weight != 50
    assert " 50%   step" in drawn([drifted], 80)[1]
