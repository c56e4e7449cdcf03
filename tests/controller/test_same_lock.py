"""A run and a controller know a target by the same object, so that they take the same Lease."""

import pytest

from canary.api.canary import CanarySpec
from canary.bootstrap.cluster import objects_of, routed
from canary.registry import cluster_for

ISTIO = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "name": "podinfo"}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}


@pytest.mark.parametrize(
    ("spec", "known"),
    [
        ({"targetRef": ISTIO}, "podinfo"),
        ({"targetRef": ISTIO, "service": {"port": 80, "name": "web"}}, "podinfo"),
        ({"targetRef": DEPLOYMENT, "service": {"port": 80}}, "podinfo"),
        ({"targetRef": DEPLOYMENT, "service": {"port": 80, "name": "web"}}, "web"),
    ],
)
def test_the_object_that_has_the_weights(spec: dict[str, object], known: str) -> None:
    """With a name of its own, the Service of a Deployment is what the routes are called."""
    given = CanarySpec.model_validate(spec)
    provider = cluster_for(given)
    assert provider is not None
    assert provider.references("shop", spec)[0].name == known
    assert objects_of(provider, routed(given), "shop", "podinfo").target == known
