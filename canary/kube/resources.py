"""The kinds that we ask the API server about, and where it serves them. `requests.py` builds on this."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """One kind, in one version."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str

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
PODS = Resource("", "v1", "Pod", "pods")
SERVICES = Resource("", "v1", "Service", "services")
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")
REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets")
STATEFUL_SETS = Resource("apps", "v1", "StatefulSet", "statefulsets")
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets")
CONTROLLER_REVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions")
EVENTS = Resource("", "v1", "Event", "events")
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
SELF_SUBJECT_REVIEWS = Resource("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews")
VIRTUAL_SERVICES = Resource("networking.istio.io", "v1", "VirtualService", "virtualservices")
DESTINATION_RULES = Resource("networking.istio.io", "v1", "DestinationRule", "destinationrules")
CANARIES = Resource("canary-controller.dev", "v1beta1", "Canary", "canaries")
CANARY_ACTIONS = Resource("canary-controller.dev", "v1beta1", "CanaryAction", "canaryactions")
CANARY_POLICIES = Resource("canary-controller.dev", "v1beta1", "CanaryPolicy", "canarypolicies")
CLUSTER_CANARY_POLICIES = Resource("canary-controller.dev", "v1beta1", "ClusterCanaryPolicy", "clustercanarypolicies")
METRIC_TEMPLATES = Resource("canary-controller.dev", "v1beta1", "MetricTemplate", "metrictemplates")
ADMISSION_POLICIES = Resource(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"
)
ADMISSION_POLICY_BINDINGS = Resource(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"
)
