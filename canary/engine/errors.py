"""The few ways in which writing can fail; adapters translate theirs at the edge.

CanaryError
├── Invalid       what the user wrote is wrong; no retry helps
├── Conflict      another client wrote in between: gather and decide again
├── Rejected      the other side understood and refused, with its words
│   └── Unreadable  what was kept isn't what we can read: a person has to mend it
└── Unreachable   no answer in time: try again later
"""

from canary.api.reason import Reason


class CanaryError(Exception):
    """The message is one sentence for a person."""


class Invalid(CanaryError):
    """What the user wrote is wrong."""


class Conflict(CanaryError):
    """Another client wrote in between."""


class Rejected(CanaryError):
    """The other side understood and refused; the message holds its words."""


class Unreadable(Rejected):
    """What was kept can't be read; the message names the field, and how it is mended."""

    reason = Reason.STATUS_UNREADABLE


class Unreachable(CanaryError):
    """No answer in time."""
