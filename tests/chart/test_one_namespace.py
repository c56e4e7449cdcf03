"""A chart for one namespace judges the actions of that namespace, and no one else's."""

from pathlib import Path

from canary.api.canary import API_VERSION
from tests.chart.release import installed
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for


def test_its_policy_ends_at_its_namespace(
    control_plane: ControlPlane, kinds: None, helm_binary: Path, namespace: str
) -> None:
    """A forged author is refused there; elsewhere it is for others to say."""
    kube, spec = control_plane.kube, {"canary": "shop", "verb": "pause", "author": "ada"}
    body = {"apiVersion": API_VERSION, "kind": "CanaryAction", "metadata": {"generateName": "shop-"}, "spec": spec}

    def forged(space: str) -> int:
        return kube.request("POST", f"/apis/{API_VERSION}/namespaces/{space}/canaryactions", body).status_code

    with installed(control_plane, helm_binary, "canary-tenant", {"watch": {"namespace": namespace}}) as release:
        wait_for(lambda: forged(namespace) == 403, "the policy to be in force", within=SLOWLY)
        assert forged(release.namespace) == 201
