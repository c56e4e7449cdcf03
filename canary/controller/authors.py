"""Whether the author of a CanaryAction is who created it: only where an admission policy lets no other author pass.

The chart installs a ValidatingAdmissionPolicy and its binding, both of one name. Authors are proved as long as both
are there, judge every action that is created in the namespace, and deny. What was made before both were as they are
stays unproved: `_standing_since` says when that was. What the policy's expressions say is taken on the word of its
name.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from canary.engine.errors import Rejected, Unreachable
from canary.kube.client import Client
from canary.kube.resources import ADMISSION_POLICIES, ADMISSION_POLICY_BINDINGS, CANARY_ACTIONS

FRESH = 30.0
"""Seconds for which what was read holds."""
AGAIN = 5.0
"""Seconds after which it is read again where there was no answer; what was known holds until there is one."""
SPREAD = timedelta(seconds=5)
"""Until API servers apply a changed policy: they process their watches once a second."""
NAMESPACE = "kubernetes.io/metadata.name"
"""The label by which the server itself names each namespace."""

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Proof:
    """What a policy and its binding amount to."""

    since: datetime
    selectors: tuple[Data, ...]
    """Of namespaces; what both select is judged."""

    def holds(self, namespace: str, at: datetime) -> bool:
        """For an action that was made there and then. The server's times are whole seconds."""
        return at > self.since and all(_selects(each, namespace) for each in self.selectors)


@dataclass
class Authors:
    """Safe to share between threads: at worst it is read twice."""

    client: Client
    policy: str
    """Name of the policy and of its binding; empty if authors aren't verified."""
    clock: Callable[[], float] = time.monotonic
    _proof: Proof | None = None
    _read_at: float | None = field(default=None)

    def proved(self, namespace: str, at: datetime) -> bool:
        """Whether the author of an action that was made there at `at` is proved. Raises Unreachable: ask later."""
        if self.policy and (self._read_at is None or self.clock() - self._read_at >= FRESH):
            self._refresh()
        return self._proof is not None and self._proof.holds(namespace, at)

    def _refresh(self) -> None:
        try:
            self._proof, self._read_at = self._read(), self.clock()
        except Unreachable:
            if self._read_at is None:
                raise
            self._read_at = self.clock() - FRESH + AGAIN

    def _read(self) -> Proof | None:
        """None where authors aren't proved, or where we may not know. Raises Unreachable."""
        try:
            policy = self.client.get(ADMISSION_POLICIES, "", self.policy)
            binding = self.client.get(ADMISSION_POLICY_BINDINGS, "", self.policy)
        except Rejected:
            return None
        rules, bound = policy.get("spec") or {}, binding.get("spec") or {}
        times = [_standing_since(each) for each in (policy, binding)]
        known = [each for each in times if each is not None]
        if len(known) < len(times) or not (_judges(rules) and _denies(bound, self.policy)):
            return None
        matches = (rules.get("matchConstraints") or {}, bound.get("matchResources") or {})
        return Proof(max(known) + SPREAD, tuple(each.get("namespaceSelector") or {} for each in matches))


def _judges(policy: Data) -> bool:
    """Whether every action that is created meets the policy, and passes only if it could be judged."""
    match = policy.get("matchConstraints") or {}
    evaded = policy.get("matchConditions") or policy.get("paramKind") or policy.get("failurePolicy", "Fail") != "Fail"
    rules = match.get("resourceRules") or ()
    return (
        bool(policy.get("validations")) and not evaded and _leaves_none_out(match) and any(map(_names_actions, rules))
    )


def _denies(binding: Data, policy: str) -> bool:
    """Whether the binding refuses all that the policy judges."""
    match = binding.get("matchResources") or {}
    rules = match.get("resourceRules") or ()
    aimed = binding.get("policyName") == policy and "Deny" in (binding.get("validationActions") or ())
    return aimed and _leaves_none_out(match) and (not rules or any(map(_names_actions, rules)))


def _leaves_none_out(match: Data) -> bool:
    return not (match.get("objectSelector") or match.get("excludeResourceRules"))


def _names_actions(rule: Data) -> bool:
    """Whether a rule is about whichever CanaryAction is created."""
    wanted = {
        "apiGroups": {CANARY_ACTIONS.group},
        "apiVersions": {CANARY_ACTIONS.version},
        "operations": {"CREATE"},
        "resources": {CANARY_ACTIONS.plural, "*/*"},
    }
    named = all({"*", *names} & set(rule.get(field) or ()) for field, names in wanted.items())
    return named and not rule.get("resourceNames") and rule.get("scope", "*") in ("*", "Namespaced")


def _selects(selector: Data, namespace: str) -> bool:
    """All namespaces, or one by its own name as the chart has it; other selectors go by labels that people change."""
    return not selector or selector == {"matchLabels": {NAMESPACE: namespace}}


def _standing_since(found: Data) -> datetime | None:
    """When the spec was written as it is; None if that isn't known.

    A spec that was never changed is as old as its object. Else it is as old as the last change that the server has
    noted, of any field: it notes what was added or changed, and for a policy, in its status, each generation.
    The removal of a part of a binding leaves no time in the object.
    """
    about = found["metadata"]
    made, generation = about["creationTimestamp"], about.get("generation", 1)
    if generation == 1:
        return datetime.fromisoformat(made)
    noted = [one["time"] for one in about.get("managedFields") or () if "time" in one]
    judged = (found.get("status") or {}).get("observedGeneration", generation)
    return max(map(datetime.fromisoformat, (made, *noted))) if noted and judged == generation else None
