"""`canary undo` of a Canary object: what is asked of the controller, and when."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from canary.api.action import CanaryAction
from canary.api.canary import Canary
from canary.api.status import Status
from canary.bootstrap import Followed, Memory
from canary.cli import going_back, undo
from canary.cli.app import run
from canary.engine.observed import Stored
from tests.cli.test_version_before import V1, V2, past

from .awaited import World, running

PROMOTED = Status(stable=V2, history=(past(V1, V2),), rollouts=1)


@dataclass
class Object:
    """A Canary object whose controller begins what is asked of it at the second evaluation."""

    begins: bool = True
    asked: list[str] = field(default_factory=list)
    iterations: int = 0

    def load(self) -> Stored:
        self.iterations += 1
        began = running(actions_taken=("uid",))
        assert began.rollout is not None
        began = began.but(rollout=began.rollout.but(canary_version=V1, stable_version=V2))
        return Stored(began if self.begins and self.iterations > 1 else PROMOTED, "1")

    def want(self, version: str) -> Canary:
        self.asked.append(f"version {version}")
        return self.canary

    def post(self, action: CanaryAction) -> str:
        self.asked.append(f"{action.verb} {action.version} of #{action.rollout}")
        return "uid"

    @property
    def canary(self) -> Canary:
        canary = World(running()).read()
        assert canary is not None
        return canary

    def memory(self, *_: object) -> Memory:
        world = World(running())
        followed = Followed(
            world.read, world.desired_version, self.post, self.want, list, lambda _: frozenset(), self.canary,
        )  # fmt: skip
        return Memory("reviews", self, self.post, lambda: None, "ada", "reviews", PROMOTED, object=followed)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Object:
    """The object that commands find."""
    found = Object()
    monkeypatch.setattr(undo, "remembered", found.memory)
    monkeypatch.setattr(going_back, "EVERY", 0.0)
    monkeypatch.setattr(going_back, "BEGINS", 5.0)
    return found


def test_it_wants_the_version_before(there: Object, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else: the rollout back has its steps and checks."""
    assert run(["undo", "reviews"]) == 0
    assert there.asked == ["version v1"]
    assert capsys.readouterr().out == "reviews goes back from v2 (a) to v1 (a)\n"


def test_now_promotes_as_soon_as_the_rollout_has_begun(there: Object, capsys: pytest.CaptureFixture[str]) -> None:
    """An action is for a rollout that runs: not before."""
    assert run(["undo", "reviews", "--now"]) == 0
    assert there.asked == ["version v1", "promote v1 of #1"]
    assert capsys.readouterr().out.splitlines()[-1].endswith("; taken")


def test_now_says_where_no_rollout_begins(
    there: Object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is asked for all the same; why nothing begins is in the status."""
    there.begins = False
    monkeypatch.setattr(going_back, "BEGINS", 0.05)
    assert run(["undo", "reviews", "--now"]) == 1
    assert there.asked == ["version v1"]
    assert "hasn't begun the rollout to v1" in capsys.readouterr().err


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("of_a_run", [True, False], ids=["a run", "a Canary object"])
def test_an_unanalysed_build_may_be_allowed(
    there: Object, of_a_run: bool, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version before may have got another build meanwhile; whether that ends with 0 is said as for `run`."""
    passed: list[Any] = []

    def end(*given: Any) -> int:
        passed.extend(one.allow_unanalysed for one in given if hasattr(one, "allow_unanalysed"))
        return 0

    monkeypatch.setattr(undo, "driven", end)
    monkeypatch.setattr(undo, "follow", end)
    memory = replace(there.memory(), object=None) if of_a_run else there.memory()
    monkeypatch.setattr(undo, "remembered", lambda *_: memory)
    monkeypatch.setattr(undo, "has_primary", lambda *_: False)
    options = ["--allow-unanalysed"] if allowed else []
    assert run(["undo", "-f", "reviews.yaml", "--wait", *options]) == 0
    assert passed == [allowed]
