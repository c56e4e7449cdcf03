"""The kinds that people write, each with its model: `canary/manifests` reads them, `canary/crds` describes them to
the API server."""

from .action import ActionResource
from .canary import AlertProvider, Canary, CanaryPolicy, ClusterCanaryPolicy, MetricTemplate

Resource = Canary | CanaryPolicy | ClusterCanaryPolicy | MetricTemplate | AlertProvider | ActionResource

KINDS: dict[str, type[Resource]] = {
    "Canary": Canary,
    "CanaryPolicy": CanaryPolicy,
    "ClusterCanaryPolicy": ClusterCanaryPolicy,
    "MetricTemplate": MetricTemplate,
    "AlertProvider": AlertProvider,
    "CanaryAction": ActionResource,
}
