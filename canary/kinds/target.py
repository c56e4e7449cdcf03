"""The port Target of one Canary object: what it says now, and what really runs behind the version that it wants."""

from collections.abc import Callable
from dataclasses import dataclass

from canary.api.status import Version
from canary.engine.desired import Desired
from canary.engine.errors import Unreachable
from canary.engine.observed import Missing

from .seen import CanarySeen
from .wishes import Wishes


@dataclass(frozen=True)
class CanaryTarget:
    """One Canary object."""

    seen: Callable[[], CanarySeen | None]
    wishes: Wishes
    revision: Callable[[str], str | Missing]
    """The revision that runs behind a version now."""
    conflict: Callable[[CanarySeen], str]
    """Who else moves the target, as a sentence; empty where nobody does."""

    def desired(self) -> Desired:
        """See the port. Raises Unreachable once the object is gone."""
        seen = self.seen()
        if seen is None:
            raise Unreachable("the Canary isn't there any more")
        return self.wishes.of(seen, self.conflict(seen))

    def wanted(self) -> Version | Missing:
        """See the port."""
        name = self.desired().canary.spec.version or ""
        revision = self.revision(name)
        return revision if isinstance(revision, Missing) else Version(name=name, revision=revision)
