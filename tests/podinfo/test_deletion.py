"""What is left of a deleted Canary: with `revertOnDeletion` what was there before it, else what serves."""

from typing import Any

import pytest

from tests.mesh import bookinfo
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME

pytestmark = pytest.mark.cluster
KINDS = {
    "Deployment": "apps/v1",
    "Service": "v1",
    "VirtualService": bookinfo.ISTIO,
    "DestinationRule": bookinfo.ISTIO,
}
VOLATILE = ("resourceVersion", "generation", "managedFields", "uid", "creationTimestamp")


def objects(site: ControlledSite) -> dict[str, Any]:
    """All that users and canary have made, without what the API server counts in it."""
    found = {}
    for kind, version in {**KINDS, "ControllerRevision": "apps/v1"}.items():
        for one in site.mesh.kube.read(site.mesh.path(version, kind))["items"]:
            about = {key: value for key, value in one["metadata"].items() if key not in VOLATILE}
            about.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
            about = {key: value for key, value in about.items() if value}
            found[f"{kind} {about['name']}"] = {"metadata": about, "spec": one.get("spec")}
    return found


def gone(site: ControlledSite) -> bool:
    return site.mesh.kube.request("GET", site.path("Canary", NAME)).status_code == 404


@pytest.mark.parametrize("routed", [False, True], ids=["no routes before", "adopted routes"])
def test_all_is_as_before(bare: ControlledSite, routed: bool) -> None:
    """After a promotion and a failed rollout the target serves the promoted build; no user meets an error of ours."""
    if routed:
        route = {"timeout": "7s", "route": [{"destination": {"host": NAME}}]}
        special = {"match": [{"uri": {"prefix": "/special"}}], "route": [{"destination": {"host": "elsewhere"}}]}
        bare.mesh.apply(bookinfo.virtual_service(NAME, special, route, hosts=[NAME, "podinfo.example"]))
        bare.mesh.wait_loaded()
    bare.controller()
    before = objects(bare)
    bare.settle(spec={"revertOnDeletion": True}, drain="1s")
    bare.push(errors=1.0)
    bare.ends("Failed", 1)
    failed = bare.failed
    bare.delete()
    wait_for(lambda: gone(bare), "the Canary to be gone", within=SLOWLY)
    after = objects(bare)
    assert after.keys() == before.keys()
    assert after == before
    bare.mesh.ready(NAME)
    assert bare.failed == failed


def test_what_serves_goes_on_to_serve(bare: ControlledSite) -> None:
    """Without `revertOnDeletion`; a Canary of the same name takes it over again."""
    bare.controller()
    bare.settle()
    before = objects(bare)
    bare.delete()
    wait_for(lambda: gone(bare), "the Canary to be gone", within=SLOWLY)
    assert objects(bare) == before
    bare.settle()
    assert (objects(bare), bare.failed) == (before, 0)
