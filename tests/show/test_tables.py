"""The tables of `canary list` and `canary history`, and what `canary describe` tells of a spec and of Events."""

from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.reason import Reason
from canary.api.status import Message, Status
from canary.show.summary import event_lines, spec_lines
from canary.show.tables import ListRow, history_lines, list_table
from canary.show.terminal import Screen

from .turns import NOON, Play

SCREEN = Screen(width=72)


def test_the_list_tells_who_moves_what() -> None:
    """A Canary object and a run's target side by side; in all namespaces each with its own."""
    play = Play()
    play.turns(0, 5)
    rows = [
        ListRow("shop", "web", "controller", play.status),
        ListRow("pay", "till", "run", Status(message="serves everything")),
    ]
    assert list_table(rows, NOON, SCREEN) == [
        "name  by          phase         weight  canary  since  message",
        "web   controller  Progressing   10%     v2      0s     v2 is available;…",
        "till  run         Initializing  –       –       –      serves everything",
    ]
    assert [line.split()[0] for line in list_table(rows, NOON, SCREEN, everywhere=True)] == [
        "namespace",
        "shop",
        "pay",
    ]


def test_the_history_tells_from_where_to_where() -> None:
    """When, how long, how, how far and why; wide in the whole sentence."""
    play = Play()
    play.whole()
    short, wide = (
        history_lines(play.status.history, NOON, Screen(zone=NOON.tzinfo)),
        history_lines(play.status.history, NOON, Screen(zone=NOON.tzinfo), wide=True),
    )
    assert short[0].split() == ["#", "versions", "started", "took", "outcome", "reached", "reason"]
    assert short[1].split()[:5] == ["1", "v1", "→", "v2", "12:00:00"]
    assert short[1].split()[-3:] == ["Promoted", "100%", "Promoted"]
    assert wide[1].endswith("v2 serves everything")
    assert history_lines((), NOON) == []


ANALYSES: dict[str, tuple[dict[str, Any], str]] = {
    "its own": ({"analysis": {"interval": "1m", "stepWeights": [50]}}, "its own"),
    "Flagger's older name of it": ({"canaryAnalysis": {"interval": "1m"}}, "its own"),
    "a policy's": ({"policyRef": {"name": "standard"}}, "CanaryPolicy standard"),
    "a policy's, but for what it writes itself": (
        {
            "policyRef": {"name": "careful", "kind": "ClusterCanaryPolicy"},
            "analysis": {"threshold": 2, "interval": "5s"},
        },
        "ClusterCanaryPolicy careful, its own interval, threshold",
    ),
    "no one's": ({}, "none"),
    "guarded": (
        {"policyRef": {"name": "fast"}, "guards": [{"name": "g", "expression": "true", "message": "never"}]},
        "CanaryPolicy fast, 1 guard",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "reported"), ANALYSES.values(), ids=ANALYSES)
def test_where_the_analysis_comes_from(spec: dict[str, Any], reported: str) -> None:
    """In one line."""
    assert f"analysis         {reported}" in spec_lines(canary(**spec), Status())


def test_what_is_wanted_is_shown_in_short() -> None:
    """Only what is written; a spec that the controller hasn't seen yet is said to be that."""
    found = spec_lines(
        canary(stable="v1", host="web", routes=["default"], suspend=True, virtualServices=["edge.gate"]), Status()
    )
    assert found == [
        "Canary           shop/web",
        "target           VirtualService web edge.gate",
        "version          v2 (suspended)",
        "stable           v1",
        "host             web",
        "routes           default",
        "analysis         none",
        "                 the controller hasn't seen this spec yet",
        "",
    ]  # fmt: skip
    assert "the controller" not in "".join(spec_lines(canary(), Status(observed_generation=1)))


def test_the_latest_events_are_shown() -> None:
    """Ten of them, oldest first."""
    events = [
        Message(id=str(at), reason=Reason(f"Reason{at}"), message="reported", at=NOON + timedelta(seconds=at))
        for at in range(12)
    ]
    found = event_lines(events, NOON, Screen(zone=NOON.tzinfo))
    assert found[:3] == ["", "events", "12:00:02  Reason2  reported"]
    assert found[-1] == "12:00:11  Reason11  reported"
    assert event_lines((), NOON) == []


def canary(**spec: Any) -> Canary:
    """A Canary of generation 1."""
    target = {"kind": "VirtualService", "name": "web"}
    return Canary.model_validate(
        {
            "metadata": {"name": "web", "namespace": "shop", "generation": 1},
            "spec": {"targetRef": target, "version": "v2", **spec},
        }
    )
