"""`canary status`: where a rollout stands, and what it waits for."""

import sys
from datetime import UTC, datetime

from canary.bootstrap import Memory, Place
from canary.show.records import document
from canary.show.screen import screen_of
from canary.show.summary import status_lines

from .places import Form, reading


def _show(memory: Memory, output: Form, place: Place) -> None:
    """Show where a rollout stands, what it waits for, and the rollouts before it."""
    match output:
        case Form.JSON:
            print(document(memory.status, "json"))
        case Form.YAML:
            print(document(memory.status, "yaml"))
        case _:
            named = place.manifests and place.state is None
            howto = f"canary approve {f'-f {place.manifests[0]}' if named else memory.howto}"
            wide = output is Form.WIDE
            lines = status_lines(memory.status, memory.name, datetime.now(UTC), screen_of(sys.stdout), wide, howto)
            print("\n".join(lines))


command = reading(_show)
