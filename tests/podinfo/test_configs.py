"""Edits of a ConfigMap and a Secret that podinfo's pods use: what the primary's pods read, and when."""

from base64 import b64encode
from collections import Counter
from typing import Any

import pytest

from canary.api.plan import Traffic
from canary.primary.configs import Config, references
from tests.incluster.test_costs import resync, sent
from tests.metrics.mesh import now
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for
from tests.podinfo.controlled import ControlledSite
from tests.podinfo.site import NAME, PRIMARY, PodinfoSite

pytestmark = pytest.mark.cluster
FULL = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
"""No pod can be made any more: what is copied to the primary doesn't get ready."""
SETTINGS, TOKEN = Config("ConfigMap", "settings"), Config("Secret", "token")


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def edit(site: PodinfoSite, color: str = "blue", token: str = "t0") -> None:
    """The user's own objects."""
    site.mesh.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "labels": {"argocd": "shop"}},
            "data": {"color": color},
            "binaryData": {"logo": encoded(color)},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "data": {"token": encoded(token)}},
    )


def push(site: PodinfoSite, tag: str, replicas: int = 2) -> None:
    """A Deployment that reads both, in its environment and in a volume."""
    given = {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}}
    absent = {"configMapRef": {"name": "none", "optional": True}}
    container = {"name": "main", "image": f"podinfo:{tag}", "env": [given], "envFrom": [absent]}
    volume = {"name": "token", "projected": {"sources": [{"secret": {"name": "token"}}]}}
    template = {
        "metadata": {"labels": {"app": NAME}},
        "spec": {
            "containers": [{**container, "volumeMounts": [{"name": "token", "mountPath": "/token"}]}],
            "volumes": [volume],
        },
    }
    site.mesh.deploy(NAME, {"app": NAME}, replicas, template=template, progressDeadlineSeconds=5)
    if replicas:
        site.mesh.ready(NAME)


def read(site: PodinfoSite, one: Config) -> Any:
    path = site.mesh.path("v1", one.kind, one.name)
    return site.mesh.kube.read(path)


def copies(site: PodinfoSite) -> dict[str, Any]:
    """All there are, by name."""
    chosen = {"labelSelector": f"canary-controller.dev/primary={PRIMARY}"}
    found = [
        one
        for kind in ("ConfigMap", "Secret")
        for one in site.mesh.kube.request("GET", site.mesh.path("v1", kind), **chosen).json()["items"]
    ]
    return {one["metadata"]["name"]: one for one in found}


def used(site: PodinfoSite, workload: str = PRIMARY) -> tuple[str, str, set[str]]:
    """Color and token that the pods of a workload read, and the names of what holds them."""
    refers = references(site.deployment(workload)["spec"]["template"])
    settings, token = (
        read(site, one.config)
        for kind in ("ConfigMap", "Secret")
        for one in refers
        if one.kind == kind and not one.optional
    )
    assert settings["binaryData"]["logo"] == encoded(settings["data"]["color"])
    names = {settings["metadata"]["name"], token["metadata"]["name"]}
    return settings["data"]["color"], token["data"]["token"], names


def pods(site: PodinfoSite) -> set[str]:
    """Names of the target's pods."""
    found = site.mesh.kube.request("GET", site.mesh.path("v1", "Pod"), labelSelector=f"app={NAME}").json()["items"]
    return {one["metadata"]["name"] for one in found if not one["metadata"].get("deletionTimestamp")}


@pytest.fixture
def provisioned(site: PodinfoSite) -> PodinfoSite:
    """The primary has copies of the first ConfigMap and Secret."""
    edit(site)
    push(site, "1")
    site.provisioned()
    site.at_rest("1")
    return site


def test_an_edit_of_a_config_map_or_a_secret_is_a_rollout(provisioned: PodinfoSite) -> None:
    """Pods of the old primary never see it; nothing happens without one; the target itself stays as it is."""
    site = provisioned
    color, token, first = used(site)
    assert (color, token, set(copies(site))) == ("blue", encoded("t0"), first)
    assert all(one["immutable"] for one in copies(site).values())
    run = site.run()
    assert (run.ends(), used(site)[2]) == (0, first), run.text
    before = site.deployment()["spec"]["template"]
    for change, expected in (
        ({"color": "red"}, ("red", encoded("t0"))),
        ({"color": "red", "token": "t1"}, ("red", encoded("t1"))),
    ):
        edit(site, **change)
        assert used(site)[2] <= set(copies(site))
        run = site.run()
        assert run.ends() == 0, run.text
        site.at_rest("1")
        assert used(site)[:2] == expected
    assert {one["data"]["color"] for one in copies(site).values() if "color" in one["data"]} == {"blue", "red"}
    assert site.deployment()["spec"]["template"] == before
    assert site.failed == 0


def test_a_bad_configuration_goes_back(provisioned: PodinfoSite) -> None:
    """Its copies are removed, and the primary's are as they were; nothing is tried again."""
    site = provisioned
    _, _, first = used(site)
    site.mesh.behave(NAME, errors=1.0)
    edit(site, color="red")
    run = site.run()
    try:
        assert run.ends() == 3, run.text
    finally:
        site.mesh.behave(NAME)
    site.at_rest("1")
    assert (used(site)[0], set(copies(site))) == ("blue", first)
    run = site.run()
    assert run.ends() == 3, run.text
    edit(site)
    run = site.run()
    assert run.ends() == 0, run.text


def test_an_edit_during_the_analysis_starts_again(provisioned: PodinfoSite) -> None:
    """Pods that were started with the first edit are gone before the second is analysed."""
    site = provisioned
    site.write(steps=[{"weight": 20, "hold": "1h"}])
    edit(site, color="red")
    run = site.run()
    wait_for(lambda: site.traffic == Traffic(weight=20), "the first step")
    old = pods(site)
    edit(site, color="green")
    assert run.ends() == 7, run.text
    site.write(steps=[{"weight": 20, "hold": "1h"}])
    run = site.run()
    wait_for(lambda: site.traffic == Traffic(weight=20), "the second rollout's first step")
    new = pods(site)
    run.process.terminate()
    assert old
    assert new
    assert not old & new
    assert site.failed == 0


def test_a_failed_promotion_restores_the_configuration(provisioned: PodinfoSite) -> None:
    """The primary gets its old template with its old copies, though the originals are other ones by then."""
    site = provisioned
    _, _, first = used(site)
    site.write(spec={"progressDeadlineSeconds": 5}, steps=[{"weight": 50, "hold": "1h"}])
    edit(site, color="red", token="t1")
    run = site.run()
    wait_for(lambda: site.traffic == Traffic(weight=50), "the step")
    site.mesh.apply(FULL)
    try:
        assert site.ask("promote").returncode == 0
        wait_for(lambda: used(site)[0] == "red", "the copy to the primary")
        edit(site, color="green", token="t2")
        assert run.ends(SLOWLY) == 3, run.text
    finally:
        site.mesh.kube.request("DELETE", site.mesh.path("v1", "ResourceQuota", "full"))
    site.at_rest("1")
    assert used(site) == ("blue", encoded("t0"), first)
    assert site.failed == 0


def test_a_controller_sees_edits_and_asks_for_nothing_but_secrets_at_rest(bare: ControlledSite) -> None:
    """An edit of a ConfigMap wakes it; Secrets are read by name when it looks at the Canary again."""
    site = bare.podinfo
    edit(site)
    push(site, "1")
    replica = bare.controller("--resync", "10s")
    bare.settle()
    bare.until("AlreadyServing")
    bare.when(lambda: resync(bare, replica) == Counter({"get Secret": 1}), "a resync that reads the Secret only")
    edit(site, color="red")
    bare.ends("Succeeded", 1)
    edit(site, color="red", token="t1")
    bare.ends("Succeeded", 2)
    assert used(site)[:2] == ("red", encoded("t1"))
    assert sent(replica)["list Secret"] == 0
    assert sent(replica)["list ConfigMap"] == 1
    assert site.failed == 0


def test_a_deletion_gives_the_promoted_configuration_back(bare: ControlledSite) -> None:
    """An edit that failed doesn't serve: the target refers to the copy instead, which is all that stays."""
    site = bare.podinfo
    edit(site)
    push(site, "1")
    bare.controller()
    bare.settle(spec={"revertOnDeletion": True})
    bare.until("AlreadyServing")
    site.mesh.behave(NAME, errors=1.0)
    edit(site, color="red")
    bare.ends("Failed", 1)
    site.mesh.behave(NAME)
    since = now()
    site.mesh.kube.request("DELETE", bare.path("Canary", NAME))
    wait_for(lambda: not bare.there(PRIMARY), "the primary to be removed", within=SLOWLY)
    color, token, names = used(site, NAME)
    assert (color, token, "token" in names) == ("blue", encoded("t0"), True)
    assert set(copies(site)) == names - {"token"}
    assert site.mesh.measured(since).failed == 0
