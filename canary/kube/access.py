"""How a cluster is reached, apart from the client that reaches it: importing this file is cheap."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ClusterAccess:
    """Which cluster, as whom, and in which namespace, in kubectl's words."""

    kubeconfig: str | None = None
    """A path, or several joined by colons; else KUBECONFIG, else ~/.kube/config, else the pod's own account."""
    context: str | None = None
    namespace: str | None = None
    """Else the context's, else the pod's, else `default`."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Where a pod finds its token, certificate and namespace."""
