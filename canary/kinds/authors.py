"""Whether the author of a CanaryAction is who created it: only where an admission policy lets no other author pass.

The chart installs a ValidatingAdmissionPolicy and its binding, both of one name. Authors are proved as long as both
are there and the binding denies; actions that were made before the binding stay unproved.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from canary.kube.client import Client
from canary.kube.errors import Failure
from canary.kube.resources import ADMISSION_POLICIES, ADMISSION_POLICY_BINDINGS

FRESH = 30.0
"""Seconds for which what was read holds."""


@dataclass
class Authors:
    """Safe to share between threads: at worst it is read twice."""

    client: Client
    policy: str
    """Name of the policy and of its binding; empty where nobody proves authors."""
    clock: Callable[[], float] = time.monotonic
    _since: datetime | None = None
    _read_at: float | None = field(default=None)

    def proved(self, at: datetime) -> bool:
        """Whether the author of an action that was made at `at` is proved."""
        if self.policy and (self._read_at is None or self.clock() - self._read_at >= FRESH):
            self._since, self._read_at = self._read(), self.clock()
        return self._since is not None and at >= self._since

    def _read(self) -> datetime | None:
        """Since when authors are proved; None where they aren't, or where it can't be told."""
        try:
            policy = self.client.get(ADMISSION_POLICIES, "", self.policy)
            binding = self.client.get(ADMISSION_POLICY_BINDINGS, "", self.policy)
        except Failure:
            return None
        spec = binding.get("spec") or {}
        if spec.get("policyName") != self.policy or "Deny" not in (spec.get("validationActions") or ()):
            return None
        made = (one["metadata"]["creationTimestamp"] for one in (policy, binding))
        return max(datetime.fromisoformat(each) for each in made)
