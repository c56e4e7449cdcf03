"""What a shell offers where the name of a Canary is due."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from canary import bootstrap
from canary.cli import options
from canary.cli.app import run
from canary.engine.errors import Unreachable

NAMES = ("reviews", "ratings", "reviews", "details")
CLUSTER: dict[str, Any] = {"namespace": "shop", "context": "prod", "kubeconfig": "config"}


def offered(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], running: Callable[..., Any]
) -> list[str]:
    """What bash gets for this line, whose last word is being typed."""
    monkeypatch.setattr(bootstrap, "running", running)
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
    monkeypatch.setenv("_CANARY_COMPLETE", "complete_bash")
    with pytest.raises(SystemExit):
        run([])
    found = capsys.readouterr()
    assert found.err == ""
    return found.out.split()


@pytest.mark.parametrize("command", ["status", "approve", "watch", "wait", "start", "undo", "history"])
def test_names_of_the_cluster_and_namespace_that_the_line_names(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Canary and a run's target of one name are one word."""
    asked: list[bootstrap.Place] = []

    def running(place: bootstrap.Place) -> list[Any]:
        asked.append(place)
        return [SimpleNamespace(name=name) for name in NAMES]

    typed = f"canary {command} -n shop --context prod --kubeconfig config r"
    assert offered(typed, monkeypatch, capsys, running) == ["ratings", "reviews"]
    assert asked == [bootstrap.Place(**CLUSTER)]


@pytest.mark.parametrize("error", [Unreachable("no way"), ModuleNotFoundError("kubernetes"), RuntimeError("what")])
def test_errors_are_silent(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell has no place for them."""

    def running(_: bootstrap.Place) -> list[Any]:
        raise error

    assert offered("canary status ", monkeypatch, capsys, running) == []


def test_a_cluster_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person who pressed TAB types on."""
    over = threading.Event()
    monkeypatch.setattr(options, "PATIENCE", 0.05)
    assert offered("canary status ", monkeypatch, capsys, lambda _: over.wait(60)) == []
    over.set()
