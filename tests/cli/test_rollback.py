"""`canary rollback --to`, `canary undo` and `canary history` of a Canary for a Deployment."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from canary.api.action import CanaryAction
from canary.api.canary import Canary, CanarySpec, Metadata, TargetRef
from canary.api.revision import PromotedRevision
from canary.api.service import Service
from canary.api.status import Status, Version
from canary.bootstrap import Followed, Memory
from canary.cli import going_back, history, rollback, start, undo
from canary.cli.app import run
from canary.engine.errors import Rejected
from canary.engine.observed import Stored
from tests.cli.test_version_before import past

from .awaited import World, running

A, B, C = (Version(name="podinfo-primary", revision=one) for one in "abc")
PROMOTED = Status(stable=B, history=(past(A, B.but(name="podinfo-canary")),), rollouts=1)
KEPT = (
    PromotedRevision(number=2, revision="b", images=("podinfo:2",), serving=True),
    PromotedRevision(number=1, revision="a", images=("podinfo:1",)),
)
DEPLOYMENT = CanarySpec(
    target_ref=TargetRef(api_version="apps/v1", kind="Deployment", name="podinfo"), service=Service(port=80)
)


@dataclass
class Target:
    """A Canary object for a Deployment, whose controller begins a rollout at the second look."""

    status: Status = PROMOTED
    spec: CanarySpec = DEPLOYMENT
    kept: Sequence[PromotedRevision] = KEPT
    asked: list[str] = field(default_factory=list)
    looks: int = 0
    changes: bool = True
    """Whether the template isn't the one that is put back."""

    def load(self) -> Stored:
        self.looks += 1
        began = running(B.but(name="podinfo-canary", revision="a"), number=2, actions_taken=("uid",))
        return Stored(began if self.looks > 1 else self.status, "1")

    def put_back(self, revision: str) -> bool:
        self.asked.append(f"template of {revision}")
        return self.changes

    def post(self, action: CanaryAction) -> str:
        self.asked.append(f"{action.verb}" + (f" #{action.rollout}" if action.rollout else ""))
        return "uid"

    def memory(self, *_: object) -> Memory:
        world = World(running())
        canary = Canary(metadata=Metadata(name="podinfo", namespace="shop"), spec=self.spec, status=self.status)
        followed = Followed(
            world.read, world.desired_version, self.post, lambda _: canary, list, lambda _: frozenset(), canary,
            put_back=self.put_back,
        )  # fmt: skip
        return Memory(
            "podinfo", self, self.post, lambda: None, "ada", "podinfo", self.status, object=followed,
            promoted=lambda: self.kept,
        )  # fmt: skip


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Target:
    """The object that commands find."""
    found = Target()
    for module in (undo, rollback):
        monkeypatch.setattr(module, "remembered", found.memory)
    for module in (history, rollback):
        monkeypatch.setattr(module, "steered", found.memory)
    monkeypatch.setattr(going_back, "EVERY", 0.0)
    monkeypatch.setattr(going_back, "BEGINS", 5.0)
    return found


GOES_BACK = "podinfo goes back from podinfo-primary (b) to revision 1 (a) with podinfo:1"


@pytest.mark.parametrize("argv", ["rollback podinfo --to 1", "rollback podinfo --to a", "undo podinfo"])
def test_it_writes_the_template(there: Target, argv: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And asks for nothing else: the rollout back has its steps and checks."""
    assert run(argv.split()) == 0
    assert there.asked == ["template of a"]
    assert capsys.readouterr().out == f"{GOES_BACK}\n"


def test_now_promotes_as_soon_as_the_rollout_has_begun(there: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rollback", "podinfo", "--to", "1", "--now"]) == 0
    assert there.asked == ["template of a", "promote #2"]
    assert capsys.readouterr().out.splitlines()[-1].endswith("; taken")


def test_a_revision_that_failed_since_is_tried_again(there: Target) -> None:
    """The user has named it."""
    there.status = PROMOTED.but(failed=A.but(name="podinfo-canary"))
    assert run(["rollback", "podinfo", "--to", "1"]) == 0
    assert there.asked == ["template of a", "retry"]


@pytest.mark.parametrize(("changes", "retries"), [(False, ["retry"]), (True, [])])
def test_a_revision_that_failed_with_the_copy_of_its_configuration_is_tried_again(
    there: Target, changes: bool, retries: list[str]
) -> None:
    """It has another name then, and the target has its template; what failed of another template stays so."""
    there.status, there.changes = PROMOTED.but(failed=C.but(name="podinfo-canary")), changes
    assert run(["rollback", "podinfo", "--to", "1"]) == 0
    assert there.asked == ["template of a", *retries]


def test_what_serves_gets_no_rollout(there: Target, capsys: pytest.CaptureFixture[str]) -> None:
    """The template of a build that failed is replaced by the one that serves; nothing is waited for."""
    there.status = PROMOTED.but(failed=C)
    assert run(["rollback", "podinfo", "--to", "2", "--now", "--wait"]) == 0
    assert there.asked == ["template of b"]
    assert "the primary serves b already; the target is set back to it" in capsys.readouterr().out


VERSIONS = CanarySpec(target_ref=TargetRef(kind="VirtualService", name="reviews"), version="v2")


@pytest.mark.parametrize(
    ("change", "argv", "sentence"),
    [
        ({}, ["--to", "7"], "revision 7 isn't kept; there are 2 (b), 1 (a)"),
        ({}, ["--to", " "], "--to is empty"),
        ({}, ["--now"], "--now needs --to REVISION"),
        ({}, ["--wait"], "--wait needs --to REVISION"),
        ({}, ["--to", "1", "-m", "x"], "--comment is for a rollback without --to"),
        ({"status": running()}, ["--to", "1"], "a rollout from v1 (s) to v2 (a) is running; canary rollback sends"),
        ({"spec": VERSIONS}, ["--to", "1"], "podinfo has no primary, so no earlier revision of it is kept"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    there: Target, change: dict[str, Any], argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in change.items():
        setattr(there, name, value)
    assert run(["rollback", "podinfo", *argv]) == 2
    assert there.asked == []
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (PROMOTED.but(history=()), "the version before podinfo-primary (b) isn't known"),
        (PROMOTED.but(history=(past(C, B),)), "revision c isn't kept; there are 2 (b), 1 (a)"),
    ],
)
def test_an_undo_of_what_is_not_known(
    there: Target, change: Status, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there.status = change
    assert run(["undo", "podinfo"]) == 2
    assert sentence in capsys.readouterr().err


def test_start_is_for_versions_and_for_retries(
    there: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Deployment has none; what failed of it is known by the name of its Service."""
    there.status = PROMOTED.but(failed=A.but(name="podinfo-canary"))
    monkeypatch.setattr(start, "remembered_object", there.memory)
    assert run(["start", "podinfo", "--version", "v2"]) == 2
    assert "--version isn't for a Deployment: change its pod template" in capsys.readouterr().err
    assert run(["start", "podinfo", "--retry"]) == 0
    assert there.asked == ["retry"]


def test_undone_twice_it_is_as_it_was(there: Target) -> None:
    """Names of both versions are those of Services, so revisions tell which was replaced."""
    there.status = PROMOTED.but(stable=A, history=(past(B, A), past(A, B)))
    assert run(["undo", "podinfo"]) == 0
    assert there.asked == ["template of b"]


def test_the_history_lists_the_kept_revisions(there: Target, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the rollouts, or alone; JSON of the rollouts stays a list of rollouts."""
    assert run(["history", "podinfo", "--revisions"]) == 0
    alone = capsys.readouterr().out
    assert [line.split() for line in alone.splitlines()] == [
        ["revision", "name", "promoted", "serves", "images"],
        ["2", "b", "–", "yes", "podinfo:2"],
        ["1", "a", "–", "podinfo:1"],
    ]
    assert run(["history", "podinfo"]) == 0
    whole = capsys.readouterr().out
    assert whole.endswith(f"\n\n{alone}")
    assert run(["history", "podinfo", "--revisions", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[1] == {
        "number": 1, "revision": "a", "images": ["podinfo:1"], "serving": False,
    }  # fmt: skip
    assert run(["history", "podinfo", "-o", "json"]) == 0
    assert [one["number"] for one in json.loads(capsys.readouterr().out)] == [1]


def test_the_history_is_shown_to_who_may_not_list_revisions(
    there: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> Sequence[PromotedRevision]:
        raise Rejected("ada may not list controllerrevisions.apps")

    memory = replace(there.memory(), promoted=refused)
    monkeypatch.setattr(history, "steered", lambda *_: memory)
    assert run(["history", "podinfo"]) == 0
    found = capsys.readouterr()
    assert "podinfo-canary (b)" in found.out
    assert "can't be listed: ada may not list" in found.err
