"""The resolved spec of a Canary: the plan and the policy that a rollout would pin if it started now."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from canary.api.analysis import Alert, AlertMatch
from canary.api.canary import Canary, CanaryPolicy, Guard, MetricTemplate
from canary.api.pinned import MetricPolicy, Policy
from canary.api.plan import Plan
from canary.api.providers import PROVIDERS
from canary.api.webhooks import NOTIFY, Webhook

from .pairs import TargetType, pair_for
from .policy_merge import effective, resolve
from .strategies import plan_of, without_labels


@dataclass(frozen=True)
class ResolvedSpec:
    """A Canary with its plan and policy; `problems` are sentences, and nothing starts while there are any."""

    manifest: Canary
    """The Canary object: what its author wrote, and its status."""
    plan: Plan
    policy: Policy
    problems: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    """As `problems`, but only nothing starts: a rollout that runs goes on by what it has pinned."""
    warnings: tuple[str, ...] = ()
    """Fields that aren't used or are probably mistakes: reported when a rollout starts, which continues."""
    guards: tuple[Guard, ...] = ()
    """The Canary's and the policy's; not pinned, so that one that is added holds a running rollout, too."""
    alerts: tuple[Alert, ...] = ()
    """The receivers of messages; not pinned."""
    webhooks: tuple[Webhook, ...] = ()
    """Those that are notifications; the others are pinned in the policy."""
    rollback_on: tuple[AlertMatch, ...] = ()
    """Alerts that roll back; not pinned."""
    watch_after_promotion: timedelta = timedelta()
    """How long they are heard after a promotion."""
    conflict: str = ""
    """The Canary or run that also moves this target, in a sentence; meanwhile nothing starts or increases."""
    jitter: timedelta = timedelta()
    """Added to the first evaluation, so rollouts that start together don't all evaluate at once."""

    templates: Mapping[str, MetricTemplate] = field(default_factory=dict, compare=False, repr=False)
    """Those that it refers to, by `TemplateRef.key`."""

    @property
    def asks_server(self) -> tuple[str, ...]:
        """The metrics that are asked of the Canary's own `metricsServer`."""
        if self.manifest.spec.skip_analysis:
            return ()
        always = bool(self.policy.min_requests)
        return tuple(one.name for one in self.policy.metrics if always or _asks_home(one))


def _asks_home(metric: MetricPolicy) -> bool:
    """Whether the Canary's own Prometheus answers."""
    return metric.server is None and not (metric.provider and PROVIDERS[metric.provider.type].in_cluster)


def resolve_spec(
    canary: Canary,
    policy: CanaryPolicy | None = None,
    templates: Mapping[str, MetricTemplate] | None = None,
    problems: tuple[str, ...] = (),
) -> ResolvedSpec:
    """Resolves a Canary. Raises Invalid where it refers to a template that isn't there."""
    analysis = effective(canary.spec, policy)
    pair = pair_for(canary.spec)
    target = TargetType.VERSIONS if pair is None else pair.type
    if target is TargetType.PRIMARY and canary.spec.service is not None and canary.spec.service.by_gateways_only:
        plan = plan_of(without_labels(analysis), canary.spec.skip_analysis, target)
    else:
        plan = plan_of(analysis, canary.spec.skip_analysis, target)
    guards = (*canary.spec.guards, *(policy.spec.guards if policy is not None else ()))
    given, alerts = templates or {}, analysis.alerts or ()
    pinned = resolve(canary.spec, analysis, given)
    sent = tuple(hook for hook in analysis.webhooks or () if hook.type in NOTIFY)
    found = ResolvedSpec(canary, plan, pinned, problems, guards=guards, alerts=alerts, templates=given, webhooks=sent)
    watch = analysis.watch_after_promotion or timedelta()
    return replace(found, rollback_on=analysis.rollback_on or (), watch_after_promotion=watch)
