"""The kinds that we ask the API server about, and where it serves them. `requests.py` builds on this."""

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Resource:
    """One kind, in the version that is asked for first."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str
    older: tuple[str, ...] = ()
    """Versions that mean the same objects, newest first, for servers that don't have the first one."""

    def variants(self) -> Iterator["Resource"]:
        """Itself in each version, the first one first."""
        for version in (self.version, *self.older):
            yield replace(self, version=version)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def full_name(self) -> str:
        """As kubectl and error messages have it: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")
SECRETS = Resource("", "v1", "Secret", "secrets")
PODS = Resource("", "v1", "Pod", "pods")
SERVICES = Resource("", "v1", "Service", "services")
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")
REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets")
STATEFUL_SETS = Resource("apps", "v1", "StatefulSet", "statefulsets")
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets")
CONTROLLER_REVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions")
SCALERS = {
    "HorizontalPodAutoscaler": Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    "ScaledObject": Resource("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
}
"""By the kind in `autoscalerRef`."""
EVENTS = Resource("", "v1", "Event", "events")
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
SELF_SUBJECT_REVIEWS = Resource("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews")
CANARIES = Resource("canary-controller.dev", "v1beta1", "Canary", "canaries")
CANARY_ACTIONS = Resource("canary-controller.dev", "v1beta1", "CanaryAction", "canaryactions")
CANARY_POLICIES = Resource("canary-controller.dev", "v1beta1", "CanaryPolicy", "canarypolicies")
CLUSTER_CANARY_POLICIES = Resource("canary-controller.dev", "v1beta1", "ClusterCanaryPolicy", "clustercanarypolicies")
EXTERNAL_METRICS = Resource("external.metrics.k8s.io", "v1beta1", "ExternalMetricValueList", "*")
"""Each metric is a resource of its own name."""
KEPTN_METRICS = Resource("metrics.keptn.sh", "v1", "KeptnMetric", "keptnmetrics", ("v1beta1", "v1alpha3"))
FLAGGERS = (
    Resource("flagger.app", "v1beta1", "MetricTemplate", "metrictemplates"),
    Resource("flagger.app", "v1beta1", "AlertProvider", "alertproviders"),
    Resource("flagger.app", "v1beta1", "Canary", "canaries"),
)
"""Flagger's kinds; what a Canary refers to comes before it."""
METRIC_TEMPLATES = Resource("canary-controller.dev", "v1beta1", "MetricTemplate", "metrictemplates")
ALERT_PROVIDERS = Resource("canary-controller.dev", "v1beta1", "AlertProvider", "alertproviders")
ADMISSION_POLICIES = Resource(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"
)
ADMISSION_POLICY_BINDINGS = Resource(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"
)
