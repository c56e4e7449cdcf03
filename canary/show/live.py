"""The live view: one picture of a running rollout, drawn anew four times a second, so that its countdown runs.

The only importer of rich in this package, with `svg.py`. `panel.py` says what the picture shows.
"""

import sys
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Any, Self

from rich import live
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.control import Control
from rich.text import Text

from canary.rollout.ending import Ending
from canary.rollout.tick import Turn

from .panel import rows
from .scene import Scene
from .screen import Line, Screen, Tone

STYLES: dict[Tone, str] = {
    "strong": "bold", "dim": "dim", "good": "green", "warn": "yellow", "bad": "red", "accent": "cyan",
}  # fmt: skip
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
        yield texts(rows(self.scene, self.clock(), screen), screen)


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
        self._extra: RenderableType | None = None
        self._width = self.console.width
        self._keys = Keys(self.console.is_terminal)
        self._live = live.Live(
            console=self.console, refresh_per_second=PER_SECOND, get_renderable=self._draw, transient=False
        )

    def __call__(self, turn: Turn) -> None:
        self.scene = self.scene.then(turn)

    def extra(self, what: RenderableType) -> None:
        """A line of the caller's own under the checks, or below everything a renderable of rich's."""
        text = isinstance(what, str)
        self._extra = None if text else what
        self.scene = replace(self.scene, extra=what if isinstance(what, str) else "")

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

    def _draw(self) -> RenderableType:
        self._wipe()
        picture = Picture(self.scene, self.clock, self.zone)
        return picture if self._extra is None else Group(picture, self._extra)

    def _wipe(self) -> None:
        """In another width the terminal has broken the old rows anew: nobody knows where they are."""
        if self.console.width != self._width:
            self.console.control(Control.clear(), Control.home())
        self._width = self.console.width


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
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)

    def restore(self) -> None:
        if self._before is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)
            self._before = None


def texts(lines: Sequence[Line], screen: Screen) -> Group:
    """Rows for rich; it cuts those whose letters are wider than one column."""
    return Group(*(_text(line, screen) for line in lines))


def _text(line: Line, screen: Screen) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis" if screen.unicode else "crop")
    for span in line:
        text.append(screen.known(span.text), STYLES.get(span.tone))
    return text
