"""A decrease is carried out with any damage to the files of a real `canary run`, on a real Envoy."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from canary.api.plan import Traffic
from tests.examples import one_now
from tests.parts.processes import wait_for
from tests.run.site import GATED, Run, Site


def fifo(path: Path) -> None:
    """Opening it for reading would wait for a writer."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def endless(path: Path) -> None:
    """Reading it would never end."""
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def newer(path: Path) -> None:
    """A state of a later release."""
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


def another(path: Path) -> None:
    """A whole state that another client saved."""
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))


def folder(path: Path) -> None:
    """Nothing can be renamed over it."""
    path.unlink()
    path.mkdir()


def whole_folder(path: Path) -> None:
    """State, lock and actions, and the place for them."""
    shutil.rmtree(path.parent)


def file_for_folder(path: Path) -> None:
    """A place in which nothing can be made."""
    shutil.rmtree(path.parent)
    path.parent.write_text("")


def at_half(site: Site, *options: str) -> Run:
    """A run that waits at a gate with half of the requests on v2."""
    site.write(steps=GATED)
    run = site.run(*options)
    site.until("WaitingForApproval")
    return run


@pytest.mark.parametrize(
    ("damage", "said"),
    one_now(
        [
            pytest.param(lambda path: path.write_text("gar[bage"), "can be read", id="garbage"),
            pytest.param(newer, "newer canary", id="newer format"),
            pytest.param(Path.unlink, "", id="deleted: written again"),
            pytest.param(fifo, "it is not a regular file", id="FIFO"),
            pytest.param(endless, "it is not a regular file", id="endless"),
            pytest.param(folder, "it is not a regular file", id="a folder"),
            pytest.param(whole_folder, "", id="its folder deleted"),
            pytest.param(file_for_folder, "can't be saved", id="a file in place of its folder"),
            pytest.param(another, "another run", id="overwritten"),
        ]
    ),
)
def test_a_state_that_is_damaged_in_mid_run_keeps_no_failing_canary(
    site: Site, damage: Callable[[Path], None], said: str
) -> None:
    """Code 3 with nothing on v2, and the last line says why the state wasn't saved."""
    run = at_half(site)
    damage(site.state)
    site.world.backends["v2"].error_share = 1.0
    assert run.ends() == 3
    assert site.traffic == Traffic()
    last = run.text.splitlines()[-1]
    assert said in last
    assert ("status can't be saved" in last) is bool(said)


@pytest.mark.long
def test_sigterm_rolls_back_though_the_state_is_damaged(site: Site) -> None:
    """Code 6 with nothing on v2."""
    run = at_half(site)
    site.state.write_text("gar[bage")
    run.send(signal.SIGTERM)
    assert run.ends() == 6
    assert site.traffic == Traffic()


@pytest.mark.parametrize("damage", one_now([fifo, endless]))
def test_an_action_that_cannot_be_read_hides_no_other(site: Site, damage: Callable[[Path], None]) -> None:
    """The rollback that is posted beside it is taken: code 6."""
    run = at_half(site)
    folder = site.state.with_name(f"{site.state.name}.actions")
    folder.mkdir()
    damage(folder / "0.json")
    assert site.ask("rollback").returncode == 0
    assert run.ends() == 6
    assert site.traffic == Traffic()


@pytest.mark.parametrize(
    "damage",
    one_now(
        [
            pytest.param(fifo, id="FIFO"),
            pytest.param(endless, id="endless"),
            pytest.param(lambda path: path.write_text("gar[bage"), id="garbage"),
            pytest.param(Path.unlink, id="deleted"),
        ]
    ),
)
def test_a_route_file_that_cannot_be_read_is_restored_to_lower(site: Site, damage: Callable[[Path], None]) -> None:
    """Code 3 with nothing on v2; what stood in the route file's place is kept beside it."""
    run = at_half(site)
    damage(site.world.file)
    there = os.path.lexists(site.world.file)
    site.world.backends["v2"].error_share = 1.0
    assert run.ends() == 3
    wait_for(lambda: site.traffic == Traffic(), "Envoy to load the restored file")
    assert os.path.lexists(site.world.file.with_name(f"{site.world.file.name}.unreadable")) is there


@pytest.mark.parametrize("damage", one_now([fifo, endless]))
def test_a_manifest_that_becomes_unreadable_in_mid_run_blocks_nothing(
    site: Site, damage: Callable[[Path], None]
) -> None:
    """The run says so, holds, and ends with 6 on SIGTERM."""
    run = at_half(site)
    damage(site.manifest)
    site.ask("approve", "--state", str(site.state))
    site.until("RevisionUnknown")
    assert "is not a regular file any more" in run.text
    run.send(signal.SIGTERM)
    assert run.ends() == 6
    assert site.traffic == Traffic()
