"""`canary describe`: all that is known of a rollout, its Canary's spec and Events included."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from canary.api.status import Message
from canary.bootstrap import Memory, Place
from canary.engine.errors import CanaryError
from canary.show.records import described
from canary.show.summary import event_lines, spec_lines, status_lines
from canary.show.terminal import screen_of

from .options import Form, data_form, presence_lines, reading


def _show(memory: Memory, output: Form, place: Place) -> None:
    """Show the spec, the source of the analysis, conditions, checks, gates, Events and earlier rollouts."""
    canary, events = memory.object.canary if memory.object else None, _events(memory)
    form = data_form(output)
    print(described(canary, memory.status, events, form) if form else "\n".join(_lines(memory, events)))


def _lines(memory: Memory, events: Sequence[Message]) -> list[str]:
    now, screen, howto = datetime.now(UTC), screen_of(sys.stdout), f"canary approve {memory.howto}"
    spec = spec_lines(memory.object.canary, memory.status, screen) if memory.object else []
    known = status_lines(memory.status, memory.name, now, screen, wide=True, howto=howto)
    return [*presence_lines(memory, now, screen), *spec, *known, *event_lines(events, now, screen)]


def _events(memory: Memory) -> Sequence[Message]:
    """None where a run drives it, which tells on its own output; Events that may not be read hide nothing else."""
    if memory.object is None:
        return ()
    try:
        return memory.object.events()
    except CanaryError as error:
        print(f"warning: {error}", file=sys.stderr)
        return ()


command = reading(_show)
