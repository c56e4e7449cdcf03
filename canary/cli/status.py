"""`canary status`: where a rollout stands, and what it waits for."""

import sys
from datetime import UTC, datetime

from canary.bootstrap import Memory, Place
from canary.show.records import document
from canary.show.summary import status_lines
from canary.show.terminal import screen_of

from .options import Form, absence, data_form, presence_lines, reading


def _show(memory: Memory, output: Form, place: Place) -> None:
    """Show the state of a rollout, what it waits for, and earlier rollouts."""
    away = absence(memory)
    if form := data_form(output):
        if away:
            print(f"warning: {away}", file=sys.stderr)
        print(document(memory.status, form))
        return
    named = place.manifests and place.state is None
    howto = f"canary approve {f'-f {place.manifests[0]}' if named else memory.howto}"
    now, screen = datetime.now(UTC), screen_of(sys.stdout)
    lines = status_lines(memory.status, memory.name, now, screen, output is Form.WIDE, howto)
    print("\n".join((*presence_lines(memory, now, screen), *lines)))


command = reading(_show)
