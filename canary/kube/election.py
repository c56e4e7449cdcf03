"""One leads: candidates for one Lease, of which one works, and the next begins when that one is done or gone.

    candidate ──free, or expired──► leads: work(lease, over) ──► releases ──► candidate
                                      │
                                      └── taken by another, or not renewed in time: `over`, and `check` raises

A term ends for good when it wasn't renewed in time, even if no other replica took over: a client that saw no renewal
may have taken Leases of targets. The next term has another identity, so it must take them again. `lease.py` carries
out the rest.
"""

import logging
import threading
from collections.abc import Callable, Mapping

from canary.engine.errors import CanaryError

from .client import Client, Object
from .lease import USUAL, Claim, Identity, Lease, LeaseTerms, holder_of, renewing
from .rate_limiter import Backoff

Work = Callable[["Leadership", threading.Event], None]
"""Returns soon after the event is set; before each write it asks the lease's `check`."""

log = logging.getLogger(__name__)


class Leadership(Lease):
    """One term."""

    past = ""
    """Our identity in the term before: it has ended, so no client has to wait for it."""

    def renew(self) -> bool:
        """As a lease's, but what came too late once doesn't count any more."""
        overdue = self.overdue()
        if overdue and self._taken is None:
            self._taken = f"the lease wasn't renewed for {overdue:.0f}s; another may lead"
        return self._taken is None and super().renew()

    def yields(self, found: Object) -> bool:
        return super().yields(found) or holder_of(found) == self.past


class Election:
    """One candidate."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        labels: Mapping[str, str],
        terms: LeaseTerms = USUAL,
    ) -> None:
        """`name` of the Lease, which all candidates share; `labels` for a new one."""
        metadata = {"name": name, "namespace": namespace, "labels": dict(labels)}
        self.trouble: str | None = None
        """Why the leader isn't known, as a sentence."""
        self._claim = Claim(namespace, name, "the lead", metadata)
        self._client, self._terms = client, terms
        self._stopped, self._over = threading.Event(), threading.Event()
        self._past = ""
        self._lease: Leadership | None = None

    @property
    def leading(self) -> bool:
        """Whether we may write now."""
        lease = self._lease
        return lease is not None and not lease.lost and not lease.overdue()

    def lead(self, work: Work) -> None:
        """Calls `work` for each term, in this thread, until `stop`. What it raises ends the term and comes out."""
        while not self._stopped.is_set():
            lease = Leadership(self._client, self._claim, Identity.mine(), self._terms)
            lease.past = self._past
            if self._elected(lease):
                self._serve(lease, work)

    def stop(self) -> None:
        """Ends the term, when the work in hand is done, and the candidacy. From any thread."""
        self._stopped.set()
        self._over.set()

    def _elected(self, lease: Leadership) -> bool:
        """False where it was stopped before."""
        failures = Backoff(self._terms.every / 2, self._terms.duration)
        while not self._stopped.is_set():
            pause = self._terms.every
            try:
                if lease.attempt():
                    self.trouble = None
                    return True
                self.trouble = None
                failures.reset()
            except CanaryError as error:
                pause = failures.next()
                if self.trouble != str(error):
                    log.warning("no lead: %s", error)
                self.trouble = str(error)
            self._stopped.wait(pause)
        return False

    def _serve(self, lease: Leadership, work: Work) -> None:
        self._over, finished = threading.Event(), threading.Event()
        self._lease = lease
        if self._stopped.is_set():
            self._over.set()
        arguments = (lease, finished, self._over.set)
        thread = threading.Thread(target=renewing, args=arguments, name="lead", daemon=True)
        thread.start()
        log.info("leading as %s", lease.identity)
        try:
            work(lease, self._over)
        finally:
            finished.set()
            thread.join(1.0)
            lease.release()
            self._lease, self._past = None, str(lease.identity)
            log.info("no longer leading")
