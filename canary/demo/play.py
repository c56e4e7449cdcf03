"""The whole demo, from a temporary folder to an exit code: each act is a rollout on the same stage."""

import errno
import os
import shutil
import signal
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from canary.api.exit_codes import Exit
from canary.rollout.drive import Interrupts
from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn
from canary.sandbox.scenarios import HEALTHY, SCENARIOS
from canary.show.lines import Lines
from canary.show.live_view import Live
from canary.show.outputs import discard_output

from .judges import JudgesStory, results, roll_out, sites
from .load import Tally
from .proxy import ROUTE
from .stage import DemoStage, Pace, stage, stages
from .story import Act, Story

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNWATCHED = (errno.EPIPE, errno.EIO)
"""Errors of writing to a pipe without a reader, and to a closed terminal."""


@dataclass(frozen=True)
class DemoSettings:
    """What a user may choose, and how fast it goes."""

    scenarios: Sequence[str] = ("good", "bad")
    rate: float = 150.0
    """Requests a second."""
    keep: bool = False
    judge: str = ""
    """One to compare with `threshold`, on the same scenario at the same time; empty for none."""
    pace: Pace = field(default_factory=Pace)


def play(settings: DemoSettings) -> int:
    """0 if each rollout ended as its scenario says, 1 if one didn't, 130 if the demo was interrupted.

    Raises Failed where a part doesn't start.
    """
    with _interrupts() as interrupts:
        try:
            return (_compare if settings.judge else _play)(settings, interrupts)
        except (OSError, termios.error) as error:
            if error.args[0] not in UNWATCHED:
                raise
            discard_output()
            return Exit.INTERRUPTED


def _play(settings: DemoSettings, interrupts: Interrupts) -> int:
    acts = tuple(Act(f"v{number}", name) for number, name in enumerate(settings.scenarios, 2))
    story = Story(sys.stdout, settings.pace, acts)
    versions = {"v1": HEALTHY} | {act.version: act.scenario.canary for act in acts}
    with _folder(settings.keep) as folder:
        story.opening(settings.rate, folder, settings.keep)
        with stage(folder, versions, settings.rate, settings.pace, interrupts) as running:
            code = _perform(running, story)
    if code == Exit.INTERRUPTED:
        story.interrupted()
    if settings.keep:
        story.kept(folder)
    return code


def _compare(settings: DemoSettings, interrupts: Interrupts) -> int:
    scenario = SCENARIOS[settings.scenarios[0]]
    story = JudgesStory(sys.stdout, settings.pace, scenario)
    with _folder(settings.keep) as folder:
        story.opening(settings.rate, folder, settings.keep)
        with stages(folder, sites(scenario.canary), settings.rate, settings.pace, interrupts) as running:
            seen = roll_out(running, interrupts, story.evaluated)
            counted = running[0].count()
    rollouts = tuple(results(seen, counted))
    code = Exit.INTERRUPTED if any(one.ending.code is Exit.INTERRUPTED for one in rollouts) else Exit.PROMOTED
    if code is Exit.INTERRUPTED:
        story.interrupted()
    else:
        story.summary(rollouts, counted)
    if settings.keep:
        story.kept(folder)
    due = Exit.PROMOTED if scenario.promoted else Exit.ROLLED_BACK
    wrong = [one for one in rollouts if one.ending.code is not due]
    if code is Exit.INTERRUPTED or not wrong:
        return code
    for one in wrong:
        story.surprise(one)
    return 1


def _perform(running: DemoStage, story: Story) -> int:
    endings: dict[str, Ending] = {}
    for act in story.acts:
        if running.interrupts.count:
            return Exit.INTERRUPTED
        story.chapter(act)
        running.want(act.version)
        with _reporting(running, story) as report:
            over = running.roll_out(report)
        if over.code is Exit.INTERRUPTED:
            return over.code
        endings[act.version] = over
    counted = running.count()
    story.summary(counted, endings)
    return _judged(story, endings, counted.load.get("v1"))


def _judged(story: Story, endings: dict[str, Ending], first: Tally | None) -> int:
    code = 0
    for act in story.acts:
        if endings[act.version].code is not (Exit.PROMOTED if act.scenario.promoted else Exit.ROLLED_BACK):
            story.surprise(act, endings[act.version], first)
            code = 1
    return code


@contextmanager
def _reporting(running: DemoStage, story: Story) -> Iterator[Callable[[Turn], None]]:
    """The live view with the load's own count on a terminal, else plain lines."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        yield Lines(sys.stdout)
        return
    with Live(ROUTE, f"canary approve -f {running.manifest}") as view:

        def report(turn: Turn) -> None:
            view(turn)
            view.extra(story.meanwhile(running.load.tally()))

        yield report


@contextmanager
def _interrupts() -> Iterator[Interrupts]:
    """Signals are counted, and acted upon where nothing is half done: so nothing is left behind."""
    interrupts = Interrupts()
    before = {number: signal.signal(number, interrupts) for number in SIGNALS}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="canary-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
