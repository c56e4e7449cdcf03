"""`canary history`: the rollouts that are over."""

import sys
from datetime import UTC, datetime

from canary.bootstrap import Memory, Place
from canary.show.history import lines
from canary.show.records import summaries
from canary.show.screen import screen_of

from .places import Form, reading


def _show(memory: Memory, output: Form, place: Place) -> None:
    """List the last ten rollouts that are over, newest first: from where to where, when, how, and why."""
    history = memory.status.history
    match output:
        case Form.JSON:
            print(summaries(history, "json"))
        case Form.YAML:
            print(summaries(history, "yaml"))
        case _:
            found = lines(history, datetime.now(UTC), screen_of(sys.stdout), output is Form.WIDE)
            print(*found, sep="\n", end="\n" if history else "")
            if not history:
                print("no rollout is over yet", file=sys.stderr)


command = reading(_show)
