"""The kinds that people write, each with its model: `canary/manifests` reads them, `canary/crds` describes them to
the API server."""

from .action_resource import ActionResource
from .canary import Canary, CanaryPolicy, ClusterCanaryPolicy, MetricTemplate

Resource = Canary | CanaryPolicy | ClusterCanaryPolicy | MetricTemplate | ActionResource

KINDS: dict[str, type[Resource]] = {
    "Canary": Canary,
    "CanaryPolicy": CanaryPolicy,
    "ClusterCanaryPolicy": ClusterCanaryPolicy,
    "MetricTemplate": MetricTemplate,
    "CanaryAction": ActionResource,
}
