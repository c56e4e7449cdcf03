"""One run at a time moves a route file, under any name: lock and state belong to the file that Envoy reads."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.cli.app import run
from canary.stores import lock
from tests.run.site import CANARY, GATED, Run, Site


def copied(site: Site, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The manifest under another name, in another folder."""
    folder.mkdir()
    return Path(shutil.copy(site.manifest, folder / "other.yaml")), ()


def relative(site: Site, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """A copy that names the route file relative to itself, by way of a symbolic link to its folder."""
    folder.mkdir()
    (folder / "linked").symlink_to(site.world.file.parent)
    return _naming(site, folder, f"linked/{site.world.file.name}"), ()


def linked(site: Site, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """A copy that names a symbolic link to the route file."""
    folder.mkdir()
    (folder / "link.json").symlink_to(site.world.file)
    return _naming(site, folder, "link.json"), ()


def elsewhere(site: Site, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The same manifest, with its state in another place."""
    return site.manifest, ("--state", str(folder / "state.json"))


def renamed(site: Site, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """A copy whose Canary has another name."""
    folder.mkdir()
    data = json.loads(site.manifest.read_text())
    data["metadata"]["name"] = "another"
    copy = folder / "another.yaml"
    copy.write_text(json.dumps(data))
    return copy, ()


def _naming(site: Site, folder: Path, routes: str) -> Path:
    data = json.loads(site.manifest.read_text())
    data["spec"]["envoy"]["routes"] = routes
    copy = folder / "shop.yaml"
    copy.write_text(json.dumps(data))
    return copy


def run_of(site: Site, manifest: Path, *options: str) -> Run:
    return Run((*CANARY, "run", "-f", str(manifest), *options), site.folder / "second.log")


def test_a_second_run_of_the_route_file_ends_with_10(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """From a copy, another folder, through links, with --state elsewhere, under another name; the first goes on."""
    site.write(steps=GATED)
    first = site.run()
    site.until("WaitingForApproval")
    ways = (copied, relative, linked, elsewhere, renamed)
    others = [(way, *way(site, site.folder / way.__name__)) for way in ways]
    ended = {}
    for way, manifest, options in others:
        ended[way.__name__] = run(("run", "-f", str(manifest), *options))
    assert ended == dict.fromkeys((way.__name__ for way in ways), Exit.LOCKED)
    said = capsys.readouterr().err
    assert said.count(f"process {first.process.pid} ") == len(ways)
    assert said.count(f"with its state in {site.state}") == len(ways)
    assert site.traffic == Traffic(weight=50)
    site.ask("approve")
    assert first.ends() == 0


@pytest.mark.long
@pytest.mark.parametrize("way", [copied, relative, linked])
def test_a_run_from_a_copy_goes_on_where_another_was_killed(
    site: Site, way: Callable[[Site, Path], tuple[Path, tuple[str, ...]]]
) -> None:
    """The state belongs to the route file: the copy finds the rollout at its gate, and the approval ends it."""
    site.write(steps=GATED)
    first = site.run()
    site.until("WaitingForApproval")
    first.send(signal.SIGKILL)
    assert first.ends() == -9
    manifest, _ = way(site, site.folder / "copy")
    second = run_of(site, manifest)
    site.ask("approve")
    assert second.ends() == 0
    assert [site.status.rollouts, site.status.history[0].number] == [1, 1]


@pytest.mark.long
def test_commands_reach_a_run_whose_state_is_elsewhere(site: Site) -> None:
    """The lock of the route file says where: `rollback -f` is taken by the run that was given --state."""
    site.write(steps=GATED)
    state = site.folder / "elsewhere.json"
    run = site.run("--state", str(state))
    site.until_weight(50)
    assert lock.holder(state) is not None
    asked = site.ask("rollback")
    assert (asked.returncode, "taken" in asked.stdout) == (0, True)
    assert run.ends() == 6
    assert site.traffic == Traffic()


def test_a_broken_manifest_says_how_to_name_the_state(site: Site) -> None:
    """Code 1 with the option and the folder."""
    site.write(steps=GATED)
    site.manifest.write_text("spec: [")
    refused = site.ask("rollback")
    assert refused.returncode == 1
    assert "name the state file with --state; it is in .canary beside the route file" in refused.stderr


@pytest.mark.long
def test_lock_and_state_wake_no_envoy(site: Site) -> None:
    """They lie in a folder of their own: saving the state makes Envoy read nothing again."""
    site.write(steps=GATED)
    run = site.run()
    site.until("WaitingForApproval")
    name = "http.in.rds.shop.update_attempt"
    before = site.world.admin.stats(f"^{name}$")
    site.ask("pause")
    site.ask("resume")
    assert site.status.rollout is not None
    assert site.world.admin.stats(f"^{name}$") == before
    run.send(signal.SIGTERM)
    assert run.ends() == 6
