"""The desired state of a Canary object: its spec with policy, templates and guards resolved, and its problems.

Errors that the schema allows are reported in lint's sentences; nothing starts and nothing is increased meanwhile.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Lock
from typing import Any

from pydantic import ValidationError

from canary.api.canary import API_VERSION, Canary, CanaryPolicy, CanarySpec, Metadata, MetricTemplate, TargetRef
from canary.engine.errors import Invalid
from canary.engine.pairs import IN_CLUSTER, STANDALONE, listed, pair_for
from canary.engine.policy_merge import effective
from canary.engine.resolved import ResolvedSpec, resolve_spec
from canary.engine.validation import Problem, Severity, check
from canary.manifests.reading import meant, shipped, shipped_names
from canary.manifests.validation import resource
from canary.stores.projection import CanarySeen

Find = Callable[[str, str], bytes | None]
"""Of a namespace and a name, the object that is kept, as JSON."""
Data = dict[str, Any]
_STANDS_ON = ("provider", "host", "routes", "virtualServices", "service", "autoscalerRef", "metricsServer")
"""Fields of a spec that a running rollout reads again; all else that it needs is pinned."""

NOBODY_TO_ASK = (
    "is missing, and {} must be asked of a Prometheus; start the controller with --metrics-server (Helm value "
    "metricsServer), or write an address that its --allowed-metrics-servers allows"
)
NO_CLUSTERS = (
    f"spec.targetRef.kind: the controller moves {listed(f'{pair.kind}s' for pair in IN_CLUSTER)}; "
    f"`canary run` moves {listed(map(str, STANDALONE), 'or')}"
)


@dataclass(frozen=True)
class Shared:
    """What Canaries refer to, as reflectors keep it."""

    policies: Find
    cluster_policies: Find
    templates: Find
    metrics_server: str | None = None
    """The Prometheus for Canaries that name none."""
    names: Callable[[str, str], tuple[str, ...]] = lambda kind, namespace: ()
    """Of the policies that there are, by kind and namespace."""
    refusal: Callable[[str], str] = lambda url: ""
    """Why an address may not be asked, in a sentence; empty where it may."""
    hook_refusal: Callable[[str], str] = lambda url: ""
    """The same of a webhook."""


@dataclass
class Specs:
    """Of one Canary. Reading is cheap: what is worked out is kept until something that it stands on changes."""

    shared: Shared
    jitter: timedelta = timedelta()
    _stands_on: tuple[tuple[str, str, str, bytes | None], ...] = ()
    _manifest: bytes = b""
    _made: ResolvedSpec | None = None
    _lock: Lock = field(default_factory=Lock)
    """A slot asks what to measure while a reconcile may be at it."""

    def of(self, seen: CanarySeen, conflict: str = "") -> ResolvedSpec:
        """The present desired state."""
        with self._lock:
            made = self._made
            if made is None or self._manifest != seen.manifest or not self._still():
                made = self._make(seen)
        return replace(made, conflict=conflict, jitter=self.jitter)

    def forget(self) -> None:
        """It can be worked out again; what it stands on is remembered."""
        self._made = None

    def refers(self, namespace: str, name: str) -> bool:
        """Whether it stands on a policy or template of this name; those of the whole cluster have no namespace."""
        return any(name == each[2] and namespace in ("", each[1]) for each in self._stands_on)

    def _still(self) -> bool:
        return all(self._find(kind, namespace, name) == found for kind, namespace, name, found in self._stands_on)

    def _find(self, kind: str, namespace: str, name: str) -> bytes | None:
        match kind:
            case "CanaryPolicy":
                return self.shared.policies(namespace, name)
            case "ClusterCanaryPolicy":
                return self.shared.cluster_policies("", name)
            case _:
                return self.shared.templates(namespace, name)

    def _make(self, seen: CanarySeen) -> ResolvedSpec:
        self._manifest, self._stands_on = seen.manifest, ()
        data = {"apiVersion": API_VERSION, "kind": "Canary", **json.loads(seen.manifest)}
        canary, problems = _canary(data)
        if canary.spec.metrics_server is None and self.shared.metrics_server is not None:
            canary = canary.but(spec=canary.spec.but(metrics_server=self.shared.metrics_server))
        policy, absent = self._policy(canary)
        templates = dict(self._templates(canary, policy))
        pair = pair_for(canary.spec)
        if pair is not None and not pair.in_cluster:
            problems = (NO_CLUSTERS,)
        found = [] if problems else self._checked(canary, policy, templates)
        if not problems:
            errors = (str(one) for one in found if one.severity is Severity.ERROR)
            problems = (*absent, *self._refused(canary, templates), *self._uncalled(canary, policy), *errors)
        try:
            warnings = tuple(str(one) for one in found if one.severity is Severity.WARNING)
            made = resolve_spec(canary, policy, templates, problems)
            self._made = replace(made, warnings=warnings, obstacles=() if problems else _unanswered(made))
        except Invalid as error:
            bare = canary.but(spec=canary.spec.but(analysis=None, canary_analysis=None))
            self._made = resolve_spec(bare, None, {}, problems or (str(error),))
        return self._made

    def _refused(self, canary: Canary, templates: dict[str, MetricTemplate]) -> Iterator[str]:
        """Addresses that may not be asked."""
        named = {"spec.metricsServer": canary.spec.metrics_server}
        named |= {
            f"in the MetricTemplate {name}, spec.provider.address": one.spec.provider.server
            for name, one in templates.items()
        }
        for field_, url in named.items():
            if url is not None and (why := self.shared.refusal(url)):
                yield f"{field_}: {why}"

    def _uncalled(self, canary: Canary, policy: CanaryPolicy | None) -> Iterator[str]:
        """Webhooks that may not be called."""
        analysis = effective(canary.spec, policy)
        gates = [gate for step in analysis.steps or () for gate in step.gates if gate.request]
        named = [(f"the webhook {hook.name}", hook.url) for hook in analysis.webhooks or ()]
        named += [(f"the gate {gate.called}", gate.request.url) for gate in gates if gate.request]
        for what, url in named:
            if why := self.shared.hook_refusal(url):
                yield f"{what}: {why}"

    def _checked(
        self, canary: Canary, policy: CanaryPolicy | None, templates: dict[str, MetricTemplate]
    ) -> list[Problem]:
        """What lint says."""
        found, ref = check(canary, policy, templates), canary.spec.policy_ref
        if ref is not None and policy is None:
            hint = meant(ref, lambda kind: self._names(kind, canary.metadata.namespace))
            named = ("spec", "policyRef", "name")
            found = [replace(one, sentence=one.sentence + hint) if one.field == named else one for one in found]
        return found

    def _names(self, kind: str, namespace: str) -> tuple[str, ...]:
        """Of the policies that may be referred to, those that come with canary included."""
        ours = shipped_names() if kind == "CanaryPolicy" else ()
        return tuple(sorted({*self.shared.names(kind, namespace), *ours}))

    def _policy(self, canary: Canary) -> tuple[CanaryPolicy | None, tuple[str, ...]]:
        """The policy that is referred to, and what is wrong with that."""
        ref = canary.spec.policy_ref
        if ref is None:
            return None, ()
        found = self._referred(ref.kind, canary.metadata.namespace, ref.name)
        if isinstance(found, CanaryPolicy):
            return found, ()
        if found is None and ref.kind == "CanaryPolicy" and (ours := shipped(ref.name)) is not None:
            return ours, ()
        return None, () if found is None else (f"in the policy {ref.name}, {found}",)

    def _templates(self, canary: Canary, policy: CanaryPolicy | None) -> Iterator[tuple[str, MetricTemplate]]:
        for metric in effective(canary.spec, policy).metrics or ():
            if metric.template_ref is None:
                continue
            ref = metric.template_ref
            found = self._referred("MetricTemplate", ref.namespace or canary.metadata.namespace, ref.name)
            if isinstance(found, MetricTemplate):
                yield ref.key, found

    def _referred(self, kind: str, namespace: str, name: str) -> object:
        """The resource; a sentence where it can't be understood; None where it isn't there."""
        raw = self._find(kind, namespace, name)
        self._stands_on += ((kind, namespace, name, raw),)
        if raw is None:
            return None
        found, problems = resource({"apiVersion": API_VERSION, "kind": kind, **json.loads(raw)}, extra="ignore")
        return found if found is not None else "; ".join(str(one) for one in problems)


def _unanswered(wanted: ResolvedSpec) -> tuple[str, ...]:
    """That there is no Prometheus, so a rollout would wait for evidence at its first weight."""
    metrics = wanted.asks_server if wanted.manifest.spec.metrics_server is None else ()
    return (f"spec.metricsServer: {NOBODY_TO_ASK.format(' and '.join(metrics))}",) if metrics else ()


def _canary(data: Data) -> tuple[Canary, tuple[str, ...]]:
    """The Canary, and why it can't be understood: then it is one that says no more than what it moves."""
    found, problems = resource(data, extra="ignore")
    errors = tuple(str(one) for one in problems if one.severity is Severity.ERROR)
    if isinstance(found, Canary):
        return found.but(metadata=Metadata.model_validate(data["metadata"])), errors
    return Canary(metadata=Metadata.model_validate(data["metadata"]), spec=_bare(data.get("spec") or {})), errors


def _bare(spec: Data) -> CanarySpec:
    """What a rollout that is running moves and asks: it must not reach further because something else is wrong."""
    given = spec.get("targetRef") or {}
    kinds = [pair.kind for pair in IN_CLUSTER]
    kind = next((one for one in kinds if one == given.get("kind")), kinds[0])
    target = TargetRef(kind=kind, name=str(given.get("name") or "unknown"))
    bare = CanarySpec(target_ref=target)
    for name in _STANDS_ON:
        with suppress(ValidationError):  # the next one may be right
            one = CanarySpec.model_validate({name: spec.get(name), "targetRef": target})
            bare = bare.but(**{field: getattr(one, field) for field in one.model_fields_set})
    return bare
