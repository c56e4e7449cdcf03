"""The exit codes of the commands that follow a rollout. The table in docs/run.md is this one.

`rollout/end.py` says which decision leads to which.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `run`, `wait` and `start --wait`."""

    PROMOTED = 0
    """Promoted, or it serves everything already and was judged."""
    ERROR = 1
    """An internal error, or nothing could be read before the first write."""
    INVALID = 2
    """Wrong usage or an invalid manifest."""
    ROLLED_BACK = 3
    """Rolled back, or this revision failed before."""
    TIMED_OUT = 4
    """Not done in time."""
    NEEDS_APPROVAL = 5
    """Waits for approval, and `--no-wait-approval` is set."""
    REJECTED = 6
    """Rejected, rolled back or interrupted with rollback by a person; or this revision was rejected before."""
    SUPERSEDED = 7
    """Another version or revision took its place."""
    UNKNOWN = 8
    """The outcome is unknown."""
    GONE = 9
    """The target is deleted or suspended."""
    LOCKED = 10
    """Another run holds the target."""
    UNANALYSED = 11
    """It serves everything, but was never judged; 0 with `--allow-unanalysed`."""
    INTERRUPTED = 130
    """Interrupted; traffic stays where it is."""
