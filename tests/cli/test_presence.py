"""Who is at work on a rollout: said before anything that reads as if a process were."""

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from canary.api.exit_codes import Exit
from canary.api.reason import Reason
from canary.api.status import Status
from canary.bootstrap import Memory, Place, canaries, cluster
from canary.cli import following, options
from canary.cli import run as run_command
from canary.cli.options import absence, presence_lines
from canary.cli.problems import CommandProblem
from canary.cli.start import _want
from canary.engine.errors import Conflict
from canary.engine.observed import Stored
from canary.kube.lease import Identity
from canary.rollout.end import Ending
from canary.routers.istio import ISTIO
from canary.show.outputs import Output
from canary.show.tables import ListRow, list_table
from canary.show.terminal import Screen
from canary.stores.lease import RunLease
from canary.stores.presence import Presence, of_lease
from canary.waiting.wait import WaitTerms
from tests.cli.awaited import World, at_rest, running
from tests.controller.objects import Wire, client

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
AWAY = Presence(False, "no run is active since 2026-03-02 09:58:00 UTC", "canary run with the same manifest")


class Kept:
    """A store without a file."""

    def load(self) -> Stored | None:
        return None


def memory(status: Status, presence: Presence | None = AWAY, **more: Any) -> Memory:
    known = {"proves": True, "presence": lambda: presence, **more}
    return Memory(
        "web", Kept(), lambda action: "", lambda: "a run holds the target", "ada", "-f web.yaml", status, **known
    )


def lease(holder: str, seconds_ago: float, duration: int = 15) -> dict[str, Any]:
    """A Lease as the API server has it, renewed so long ago by this machine's clock."""
    renewed = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": holder, "leaseDurationSeconds": duration, "renewTime": renewed, "acquireTime": renewed}
    return {"metadata": {"name": "canary-virtualservice-web", "namespace": "shop"}, "spec": spec}


def at_work(*answers: Any) -> Presence | None:
    """What is said of a target whose Lease, and then the leader's, are these."""
    wire = Wire(list(answers))
    lock = RunLease(client(wire), cluster.objects_of(ISTIO, "web", "shop", "web"), Identity.mine())
    return of_lease(lock)


@pytest.mark.parametrize(
    ("leases", "active", "says"),
    [
        pytest.param([("ci_4711_ab", 1)], True, "process 4711 on ci runs it", id="a run"),
        pytest.param([("ci_4711_ab", 99)], False, "(the last was process 4711 on ci)", id="a killed run"),
        pytest.param([("", 99)], False, "no run is active since ", id="a run that has ended"),
        pytest.param(
            [("old_1_ab@ops/canary", 999), ("new_1_cd", 1)], True, "the controller new leads", id="a leader"
        ),
        pytest.param(
            [("old_1_ab@ops/canary", 999), ("old_1_ab", 99)],
            False,
            "no controller is the leader since ",
            id="a controller that was killed",
        ),
        pytest.param(
            [("old_1_ab@ops/canary", 1), ("", 1)], False, "no controller is the leader", id="a leader that resigned"
        ),
    ],
)
def test_the_targets_lease_tells_who_is_at_work(leases: list[tuple[str, int]], active: bool, says: str) -> None:
    found = at_work(*(lease(*each) for each in leases))  # made now: a Lease ages while other tests run
    assert found is not None
    assert (found.active, bool(found.howto)) == (active, not active)
    assert says in found.sentence


def test_what_goes_on_is_named_by_who_had_it() -> None:
    """A controller is looked for where its Lease is."""
    controller = at_work(lease("old_1_ab@ops/canary", 999), lease("old_1_ab", 99))
    assert controller is not None
    assert controller.howto == "kubectl -n ops get pods -l app.kubernetes.io/name=canary"


def test_a_lease_that_may_not_be_read_says_nothing() -> None:
    assert at_work(403) is None


def test_status_says_first_that_no_process_is_at_work() -> None:
    """Since when, how to go on, and how old what follows is; at rest none of it."""
    found = memory(running(), saved=NOW - timedelta(seconds=50))
    lines = presence_lines(found, NOW, Screen(width=80, zone=UTC))
    assert lines[0].split(maxsplit=1)[1] == AWAY.sentence
    assert lines[1].endswith("continue with canary run with the same manifest")
    assert "09:59:10 (50s ago)" in lines[2]
    assert absence(found) == str(AWAY)
    assert (presence_lines(memory(at_rest()), NOW, Screen()), absence(memory(at_rest()))) == ([], "")
    assert presence_lines(replace(found, saved=NOW), NOW, Screen())[2:] == []


@pytest.mark.parametrize("over", ["Wait", "WatchRun"])
def test_who_waits_is_warned_first(
    over: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`wait`, `watch`, `start --wait` and `undo --wait`, of an object and of a run: nothing moves meanwhile."""
    ends = SimpleNamespace(run=lambda: Ending(Exit.TIMED_OUT, Reason.STARTED, "stopped waiting"))
    monkeypatch.setattr(following, over, lambda *_: ends)
    monkeypatch.setattr(following, "object_of", lambda *_: None)
    found = memory(running())
    code = (
        following.follow(found, WaitTerms(), Output.TEXT)
        if over == "Wait"
        else following.watch(found, Output.TEXT, live=False)
    )
    assert (code, capsys.readouterr().err) == (4, f"warning: {AWAY}\n")


def test_a_wait_for_a_target_names_its_holder(capsys: pytest.CaptureFixture[str]) -> None:
    """And how long; without patience it is an error."""
    tried: list[float] = []

    @contextmanager
    def lock(patience: float) -> Iterator[None]:
        tried.append(patience)
        if not patience:
            raise Conflict("process 7 on ci has it")
        yield

    held: Any = SimpleNamespace(lock=lock)
    with run_command.held(held, timedelta(minutes=30)):
        said = "process 7 on ci has it; waiting up to 30m for its end\n"
        assert (tried, capsys.readouterr().err) == ([0.0, 1800.0], said)
    with pytest.raises(Conflict), run_command.held(held, timedelta()):
        raise AssertionError("the target is another's")


def test_a_list_says_that_no_process_moves_it() -> None:
    row = ListRow("shop", "web", "run", running(), absence(memory(running())))
    line = list_table([row], NOW, Screen(width=200, zone=UTC), wide=True)[1]
    assert line.split()[1] == "none"
    assert str(AWAY) in line


def test_a_wait_warns_while_no_process_is_at_work() -> None:
    """It reads as if the rollout went on otherwise."""
    world = World(running(), at_work=AWAY)
    world.later[3] = lambda it: setattr(it, "gone", True)
    world.wait_for_it()
    assert world.turns[0].trouble == (str(AWAY),)


# ---- a run beside a Canary object ------------------------------------------------------------------------------


def object_at_rest() -> dict[str, Any]:
    """The Canary web, whose target a run holds."""
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1}
    spec = {"targetRef": {"kind": "VirtualService", "name": "shop-routes"}, "version": "v1"}
    status = at_rest().wire()
    return {"metadata": {**metadata, "creationTimestamp": "2026-03-01T10:00:00Z"}, "spec": spec, "status": status}


def state(status: Status) -> dict[str, Any]:
    """The ConfigMap of the run."""
    from canary.stores import status_json

    data = {"format": "1", "canary": "shop-run", "status": status_json.text(status)}
    return {"metadata": {"name": "canary-virtualservice-shop-routes", "resourceVersion": "7"}, "data": data}


def beside(answers: Sequence[Any]) -> Memory | None:
    wire = Wire(list(answers))
    there = canaries._memory(client(wire), object_at_rest(), asks=False)
    return canaries._run_beside(client(wire), there)


def test_commands_go_to_the_run_that_holds_the_target() -> None:
    """The object is at rest and `serves v1`, while 30% are on v2."""
    status = running()
    found = beside(
        [lease("ci_4711_ab", 1), state(status), state(status), {"status": {"userInfo": {"username": "ada"}}}]
    )
    assert found is not None
    assert (found.object, found.status.canary_weight, found.howto) == (None, 30, "shop-routes -n shop")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([lease("ci_4711_ab", 99)], id="a run that is dead"),
        pytest.param([lease("old_1_ab@ops/canary", 1), lease("old_1_ab", 1)], id="the controller"),
        pytest.param([404], id="no Lease"),
        pytest.param([403], id="a Lease that may not be read"),
    ],
)
def test_without_a_run_commands_go_to_the_object(answers: list[Any]) -> None:
    assert beside(answers) is None


def test_a_command_says_that_it_goes_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a user who named the object would believe that it is about that."""
    run = memory(running())
    monkeypatch.setattr(options, "memory", lambda place, target: memory(at_rest(), run=run))
    monkeypatch.setattr(sys, "stderr", said := io.StringIO())
    assert options.steered("web", Place()) is run
    assert (
        said.getvalue()
        == "note: a run holds the target; this command is about that run, not about the Canary object web\n"
    )


# ---- start -----------------------------------------------------------------------------------------------------


def test_start_refuses_a_version_that_does_not_exist() -> None:
    """`v22` was set, and the status said Succeeded; a pipeline that creates it later forces it."""
    from canary.bootstrap import Followed

    world, wanted = World(at_rest()), []
    canary = world.read()
    assert canary is not None
    followed = Followed(
        world.read, world.desired_version, world.post, lambda version: wanted.append(version) or canary, list,  # type: ignore[func-returns-value]
        lambda _: frozenset({"v1", "v2"}), canary,
    )  # fmt: skip
    with pytest.raises(CommandProblem, match=r"v22.*\nNothing was changed"):
        _want(followed, "v22", force=False)
    assert wanted == []
    _want(followed, "v22", force=True)
    assert wanted == ["v22"]
