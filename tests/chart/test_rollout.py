"""A whole rollout under the chart's own account and settings: enough rights, and each of them used."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from canary.api.plan import Traffic
from canary.kube.rbac import LEAD, OF_ALL, PROOF, Permission
from canary.registry import CLUSTER, LOOKED_AFTER
from canary.routers.istio import VIRTUAL_SERVICES
from tests.bookinfo.site import NAME
from tests.chart.release import Release, installed, person, username
from tests.chart.test_permissions import Account
from tests.incluster.objects import reported
from tests.incluster.site import API, Replica, Site
from tests.parts.cluster import ControlPlane

pytestmark = pytest.mark.long

FOUR_EYES = [{"weight": 30, "gates": [{"approval": {"count": 2}, "timeout": "1h"}]}]
SELDOM = {
    "get Canary": "after another one wrote the object first",
    "delete CanaryAction": "an hour after it was taken",
    "get VirtualService": "until all are listed once, and after another one wrote it first",
    "get Service": "until all are listed once",
    "get Deployment": "until all are listed once",
    "get StatefulSet": "until all are listed once, of a version that is one",
    "get DaemonSet": "until all are listed once, of a version that is one",
    "list Pod": "while a build rolls out",
    "list ControllerRevision": "for a version that is a StatefulSet or a DaemonSet",
}
"""What this rollout may do without, and when it is needed; test_permissions.py asks for each of them."""


def rules(permissions: tuple[Permission, ...]) -> set[str]:
    """Verbs and kinds, as canary_api_requests_total has them."""
    return {f"{verb} {one.kind}" for each in permissions for one in each.resources for verb in each.verbs}


OF_OTHER_ROUTERS = rules(
    tuple(each for one in CLUSTER if one.routes != VIRTUAL_SERVICES for each in one.permissions.controller)
)
"""What the routes of other targets need."""


def made(replica: Replica) -> set[str]:
    """The requests of a controller."""
    answer = requests.get(f"http://127.0.0.1:{replica.port}/metrics", timeout=30)
    found = [one for family in text_string_to_metric_families(answer.text) for one in family.samples]
    ours = [one.labels for one in found if one.name == "canary_api_requests_total"]
    return {f"{one['verb']} {one['kind']}" for one in ours}


@pytest.fixture(params=["all namespaces", "one namespace"])
def account(
    request: pytest.FixtureRequest, site: Site, control_plane: ControlPlane, helm_binary: Path
) -> Iterator[Account]:
    """Of a chart for all namespaces, and of one for bookinfo's."""
    space = site.mesh.namespace
    values: dict[str, Any] = {"lease": {"duration": "6s"}, "metricsServer": site.mesh.prometheus.url}
    values |= {"watch": {"namespace": space}} if request.param == "one namespace" else {}
    name = f"canary-{request.param.partition(' ')[0]}"
    with installed(control_plane, helm_binary, name, values) as release:
        yield Account(release, space).until_bound()
        site.stop()


def approve(site: Site, release: Release, name: str) -> str:
    """An approver does so in the own name."""
    space, kube = site.mesh.namespace, site.mesh.kube
    user = person(release.control_plane, space, f"{release.name}-{name}", f"{release.name}-approver")
    author = username(space, f"{release.name}-{name}")
    spec = {"canary": NAME, "verb": "approve", "author": author}
    body = {"apiVersion": API, "kind": "CanaryAction", "metadata": {"generateName": "approve-"}, "spec": spec}
    path = site.path("CanaryAction")
    site.when(lambda: kube.request("POST", path, body, user=user).status_code == 201, f"{name} to be let in")
    return author


def test_a_rollout_needs_every_right_and_no_other(account: Account, site: Site) -> None:
    """v1 to v2 through a gate for two people, whose names the policy proves; nothing that it asks is refused."""
    release = account.release
    replica = release.controller(site)
    site.apply(steps=FOUR_EYES)
    site.until("WaitingForApproval")
    authors = [approve(site, release, name) for name in ("ann", "bob")]
    site.until_phase("Succeeded")
    assert site.traffic == Traffic(weight=100)
    assert [message for _, message in reported(site, "ActionRefused")] == []
    approvals = [message.partition(" asked")[0] for _, message in reported(site, "ApproveAsked")]
    assert sorted(approvals) == authors
    given = rules((*LOOKED_AFTER, *LEAD, *PROOF, *(() if account.release.name.endswith("one") else OF_ALL)))
    asked = made(replica)
    assert asked - given == set()
    assert given - asked <= set(SELDOM) | OF_OTHER_ROUTERS
    assert set(SELDOM) <= given
    assert refusals(replica) == []


def refusals(replica: Replica) -> list[str]:
    """What it logged of permissions that it lacks."""
    lines = [json.loads(line) for line in replica.text.splitlines()]
    assert lines
    return [str(line) for line in lines if "may not" in str(line) or "cannot" in str(line)]
