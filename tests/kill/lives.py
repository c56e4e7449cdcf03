"""Lives that are lived side by side, each in a process of its own that may be given a point at which to die.

The process that bears them has no threads, so that it may fork. A site is where one life after the other is lived.
"""

import json
import os
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from canary.kube.lease import boottime

KILLED, FAILED = -9, 70
AT_ONCE = 6

Left = dict[str, Any]
"""What a life has left behind, for comparing; `code` is how its process ended, and alone there for a killed one."""


class Placed(Protocol):
    """A site."""

    @property
    def folder(self) -> Path: ...


S = TypeVar("S", bound=Placed)


class Hurried:
    """A lease's clock that goes ahead for anyone who waits: the holder before is dead, or has let go."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return boottime() + self.ahead

    def wait(self, seconds: float) -> None:
        self.ahead += seconds


def deaths(
    at: Callable[[int, Path], S], live: Callable[[S, str], Left], deadly: Callable[[list[str]], list[str]]
) -> None:
    """Prints one JSON line a life: the undisturbed one first, then what is left after a death at each moment.

    `at` makes the site of a number and a folder; `deadly` chooses of the moments that the first life has passed.
    """
    with tempfile.TemporaryDirectory() as root:

        def site(number: int) -> S:
            folder = Path(root) / str(number)
            folder.mkdir()
            return at(number, folder)

        [whole] = lives({site(0): ""}, live)
        print(json.dumps(whole), flush=True)
        fatal = {site(number): moment for number, moment in enumerate(deadly(whole["passed"]), 1)}
        for left in resumed(fatal, live):
            print(json.dumps(left), flush=True)


def batched(sites: Iterable[S]) -> Iterator[list[S]]:
    """Few enough to live at once: most of a life is waiting for the API server."""
    left = list(sites)
    while left:
        yield left[:AT_ONCE]
        del left[:AT_ONCE]


def resumed(fatal: Mapping[S, str], live: Callable[[S, str], Left]) -> Iterator[Left]:
    """What is left where each site's first life ends at its moment (`fatal`), and another one goes on from there."""
    for some in batched(fatal):
        died = lives({one: fatal[one] for one in some}, live)
        for one, first, second in zip(some, died, lives(dict.fromkeys(some, ""), live), strict=True):
            yield {**second, "fatal": fatal[one], "died": first["code"]}


def lives(fatal: Mapping[S, str], live: Callable[[S, str], Left]) -> list[Left]:
    """What each has left, lived side by side; `live` gets the moment at which to die."""
    born = {site: _born(site, moment, live) for site, moment in fatal.items()}
    return [_left_by(site, pid) for site, pid in born.items()]


def _born(site: S, moment: str, live: Callable[[S, str], Left]) -> int:
    pid = os.fork()
    if pid == 0:
        code = FAILED
        try:
            left = live(site, moment)
            (site.folder / "left").write_text(json.dumps(left))
            code = left.get("code", 0)
        except Exception:  # noqa: BLE001 # the copy of the parent that this is must not go on as the parent
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def _left_by(site: Placed, pid: int) -> Left:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found: Left = json.loads((site.folder / "left").read_text()) if code not in (KILLED, FAILED) else {}
    return {**found, "code": code}
