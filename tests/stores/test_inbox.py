"""People's actions beside a state file: when they were asked, how long they lie there, and what makes room."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from canary.api.action import CanaryAction, Verb
from canary.api.status import Status
from canary.engine.verbs import KEPT, SHOWN
from canary.stores.file import FileInbox

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def posted(inbox: FileInbox, id_: str, at: datetime = NOW) -> None:
    """An action whose file was written then."""
    inbox.post(CanaryAction(id=id_, target="shop", verb=Verb.PAUSE, at=NOW))
    os.utime(inbox.folder / f"{id_}.json", (at.timestamp(), at.timestamp()))


def test_the_file_says_when_an_action_was_asked_not_its_author(tmp_path: Path) -> None:
    """The clocks of those who ask differ; the order of what they ask must not hang on them."""
    inbox = FileInbox(tmp_path / "shop.state.json")
    posted(inbox, "a", NOW + timedelta(seconds=3))
    assert [one.at for one in inbox.read()] == [NOW + timedelta(seconds=3)]


def test_what_was_taken_is_removed_and_what_waits_is_not(tmp_path: Path) -> None:
    """After an hour; of many the oldest at once, which makes room for those that wait."""
    inbox = FileInbox(tmp_path / "shop.state.json")
    for number in range(SHOWN + 5):
        posted(inbox, f"a{number:02}", NOW + timedelta(seconds=number))
    posted(inbox, "waits", NOW - 5 * KEPT)
    status = Status(actions_taken=tuple(f"a{number:02}" for number in range(SHOWN + 5)))
    assert inbox.remove_taken(status, NOW) == 5
    assert "a04" not in {one.id for one in inbox.read()}
    assert inbox.remove_taken(status, NOW + KEPT + timedelta(minutes=1)) == SHOWN
    assert [one.id for one in inbox.read()] == ["waits"]


def test_an_inbox_that_can_not_be_written_loses_nothing(tmp_path: Path) -> None:
    """An action that can't be removed stays known by its id."""
    inbox = FileInbox(tmp_path / "shop.state.json")
    assert inbox.remove_taken(Status(actions_taken=("gone",)), NOW) == 0
