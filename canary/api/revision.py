"""The revision of a target that has a primary: `<build>`, or `<build>-<configuration>` where its pods read some.

The build is what the target's controller calls its pod template; it has no hyphen. `PromotedRevision` is what
commands show of the revisions that a primary has had, and whose pod templates are kept.
"""

from datetime import datetime

from .model import Model


class PromotedRevision(Model):
    """A revision that a primary has had; `canary rollback --to` goes back to it."""

    number: int
    """Its number, in the order of the promotions."""
    revision: str
    """Its name in status and messages."""
    images: tuple[str, ...] = ()
    """The images of its containers."""
    promoted: datetime | None = None
    """When it was first copied to the primary."""
    serving: bool = False
    """Whether the primary has it now."""


def revision_of(build: str, configuration: str) -> str:
    """Of a build with what its pods read; the configuration is empty where that is nothing."""
    return f"{build}-{configuration}" if build and configuration else build


def build_of(revision: str) -> str:
    """Without the configuration."""
    return revision.partition("-")[0]


def rest_of(revision: str) -> str:
    """The configuration; of a target that is a Service, the build of the pods that it selects."""
    return revision.partition("-")[2]


def configured(revision: str) -> bool:
    """Whether its pods read configuration, which is that of the time at which they were started."""
    return "-" in revision
