"""A state file that can't be used is refused with what is wrong, and is never overwritten."""

import json
from pathlib import Path
from typing import Any

import pytest

from canary.api.status import Status
from canary.engine.errors import Conflict, Rejected
from canary.stores.file import FileStore
from tests.engine.situations import at_20_percent


def lost() -> dict[str, Any]:
    """A status whose rollout stands at a step that its plan doesn't have."""
    rollout = at_20_percent().rollout
    return Status().but(rollout=rollout.but(step=99)).wire()


def state(**changes: Any) -> str:
    return json.dumps({"format": 1, "name": "shop", "version": 3, "status": {}, **changes})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "Expecting value", id="an empty file"),
        pytest.param("gar[bage", "Expecting value", id="no JSON"),
        pytest.param("[]", "it isn't canary's", id="JSON of someone else"),
        pytest.param(state(format=99), "newer canary", id="from a newer canary"),
        pytest.param(state(name="other"), "is the state of other, not of shop", id="of another Canary"),
        pytest.param(state(version="x"), "its version is no number", id="a version that isn't one"),
        pytest.param(state(version=None), "its version is no number", id="no version"),
        pytest.param(state(status=None), "wrong: status", id="no status"),
        pytest.param(state(status={"phase": "Foo", "rollout": 3}), "wrong: phase, rollout", id="wrong fields"),
        pytest.param(state(status=lost()), "wrong: rollout, there is no step 99 in its plan of 5", id="no such step"),
    ],
)  # fmt: skip
def test_what_is_no_state_of_this_canary(text: str, why: str, tmp_path: Path) -> None:
    """It is refused in a sentence, and left as it was."""
    path = tmp_path / "shop.state.json"
    path.write_text(text)
    with pytest.raises(Rejected, match=why):
        FileStore(path, "shop").load()
    assert path.read_text() == text


def test_saves_are_guarded_by_the_version_that_was_read(tmp_path: Path) -> None:
    """Of two writers that read the same, one saves and the other hears of it."""
    store = FileStore(tmp_path / "deep" / "shop.state.json", "shop")
    assert store.load() is None
    version = store.save(Status(), None)
    store.save(Status(), version)
    with pytest.raises(Conflict, match="another run"):
        store.save(Status(), version)
    assert [one.name for one in store.path.parent.iterdir()] == ["shop.state.json"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """It doesn't heal by itself, so a run that ends doesn't try again and again."""
    (tmp_path / "states").write_text("")
    store = FileStore(tmp_path / "states" / "shop.state.json", "shop")
    with pytest.raises(Rejected, match="can't be read: a file stands in place of a folder"):
        store.load()
    with pytest.raises(Rejected, match="can't be written: a file stands in place of a folder"):
        store.save(Status(), "1")


def test_the_store_of_whichever_canary_a_file_speaks_of(tmp_path: Path) -> None:
    """`canary status --state FILE` needs no manifest."""
    path = tmp_path / "shop.state.json"
    assert FileStore.at(path) is None
    FileStore(path, "shop").save(Status(), None)
    assert FileStore.at(path) == FileStore(path, "shop")
