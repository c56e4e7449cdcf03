"""The live view: one picture of a running rollout, redrawn four times a second, so that its countdown runs.

The only importer of rich in this package. `live_rows.py` says what the picture shows.
"""

import errno
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Any, Self

from rich import live
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.text import Text

from canary.rollout.end import Ending
from canary.rollout.reconcile import Turn

from .live_rows import Scene, rows
from .terminal import Line, Screen, in_foreground

PER_SECOND = 4


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Picture:
    """A scene at the moment and in the width in which it is drawn."""

    scene: Scene
    clock: Callable[[], datetime]
    zone: tzinfo | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.size.height - 1  # the cursor stands in the row below
        unicode = console.encoding.startswith("utf")
        screen = Screen(options.max_width, height, unicode=unicode, zone=self.zone)
        yield from (_text(row, screen) for row in rows(self.scene, self.clock(), screen))


class Live:
    """`with Live(name, howto) as view: view(turn)`; the last picture stays, and the terminal is as it was."""

    def __init__(
        self,
        name: str,
        howto: str,
        console: Console | None = None,
        clock: Callable[[], datetime] = now,
        zone: tzinfo | None = None,
    ) -> None:
        """`howto` is the command line that approves; rich's Console knows of NO_COLOR and of the encoding."""
        self.console = Console(highlight=False) if console is None else console
        self.scene = Scene(name, howto)
        self.clock, self.zone = clock, zone
        self._width = self.console.width
        self._keys = Keys(self.console.is_terminal)
        self._live = live.Live(
            console=self.console, refresh_per_second=PER_SECOND, get_renderable=self._draw, transient=False
        )

    def __call__(self, turn: Turn) -> None:
        self.scene = self.scene.then(turn)

    def extra(self, line: str) -> None:
        """A line of the caller's own under the checks."""
        self.scene = replace(self.scene, extra=line)

    def close(self, ending: Ending) -> None:
        """The end takes the place of the reason."""
        self.scene = replace(self.scene, ending=ending)

    def __enter__(self) -> Self:
        self._keys.silence()
        self._width = self.console.width
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            self._live.stop()
        finally:
            self._keys.restore()

    def _draw(self) -> Picture:
        """In another width the terminal has wrapped the old rows again: their position is unknown."""
        if self.console.width != self._width:
            self.console.control(Control.clear(), Control.home())
        self._width = self.console.width
        return Picture(self.scene, self.clock, self.zone)


class Keys:
    """Keeps what is typed from being echoed into the picture, where a terminal is typed on."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self._before: list[Any] | None = None

    def silence(self) -> None:
        if self.wanted and sys.stdin is not None and sys.stdin.isatty():
            self._before = termios.tcgetattr(sys.stdin)
            silent = [*self._before]
            silent[3] &= ~termios.ECHO
            _set_terminal(silent)

    def restore(self) -> None:
        if self._before is not None:
            _set_terminal(self._before)
            self._before = None


def _set_terminal(attributes: list[Any]) -> None:
    """At once, and again where a signal comes between: Python doesn't repeat this call, as it does others.

    Not in the background: the system would stop the job, and a stopped job holds its target.
    """
    while in_foreground(sys.stdin):
        try:
            return termios.tcsetattr(sys.stdin, termios.TCSANOW, attributes)
        except termios.error as error:
            if error.args[0] != errno.EINTR:
                raise


def _text(line: Line, screen: Screen) -> Text:
    """A row for rich, which cuts one whose letters are wider than one column."""
    painted = replace(screen, colour=True).paint(line)
    return Text.from_ansi(painted, no_wrap=True, overflow="ellipsis" if screen.unicode else "crop")
