"""The controller's account may do what canary/kube/rbac.py says, verb by verb, and nothing else.

test_rollout.py has a rollout with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from canary.istio.scope import KIND
from canary.kube.rbac import ALERTS, LEAD, METRIC_SECRETS, OF_ALL, PRIMARY_SECRETS, PROOF, Permission
from canary.kube.resources import (
    ADMISSION_POLICIES,
    CANARIES,
    CANARY_ACTIONS,
    CANARY_POLICIES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from canary.registry import LOOKED_AFTER, PRIMARIES
from canary.routers.istio import VIRTUAL_SERVICES
from canary.stores.objects import Objects
from tests.chart.asking import NO_OBJECT, Asking
from tests.chart.release import Release, installed
from tests.parts.cluster import ControlPlane
from tests.parts.kube import SLOWLY, Kube
from tests.parts.processes import wait_for

NODES = Resource("", "v1", "Node", "nodes")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "Role", "roles")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles")
OTHERS = (
    NODES,
    ROLES,
    CLUSTER_ROLES,
    Resource("", "v1", "Namespace", "namespaces"),
    Resource("", "v1", "ServiceAccount", "serviceaccounts"),
    Resource("", "v1", "Endpoints", "endpoints"),
    Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    Resource("security.istio.io", "v1", "AuthorizationPolicy", "authorizationpolicies"),
    Resource("gateway.networking.k8s.io", "v1", "Gateway", "gateways"),
)
"""None of these is in a rule."""
WITHIN = (*LOOKED_AFTER, *PRIMARIES, *PRIMARY_SECRETS, *METRIC_SECRETS, *ALERTS)
"""In the namespaces of its Canaries."""
EVERYTHING = (*dict.fromkeys(one for each in (*WITHIN, *OF_ALL, *PROOF) for one in each.resources), *OTHERS)
PARTS = [(one, "") for one in EVERYTHING]
PARTS += [(CANARIES, "status"), (CANARY_ACTIONS, "status"), (VIRTUAL_SERVICES, "status"), (DEPLOYMENTS, "scale")]


def allowed(permissions: Iterable[Permission], resource: Resource, subresource: str, own: bool = False) -> set[str]:
    """By the tables; `own` objects by name as well."""
    given = [one for one in permissions if resource in one.resources and one.subresource == subresource]
    return {str(verb) for one in given if own or not one.on for verb in one.verbs}


@dataclass(frozen=True)
class HeldLeases:
    """Leases of one namespace, as someone writes them."""

    kube: Kube
    namespace: str

    def create(self, name: str, user: str) -> requests.Response:
        body = {"metadata": {"name": name}, "spec": {"holderIdentity": user}}
        return self.kube.request("POST", self.path, body, user=user)

    def take(self, name: str, user: str) -> requests.Response:
        body = {"spec": {"holderIdentity": user}}
        kind = "application/merge-patch+json"
        return self.kube.request("PATCH", f"{self.path}/{name}", body, user=user, content_type=kind)

    @property
    def path(self) -> str:
        return f"{LEASES.root}/namespaces/{self.namespace}/{LEASES.plural}"


@dataclass(frozen=True)
class Account:
    """The controller's of one release; `watched` is a namespace that it looks after."""

    release: Release
    watched: str

    def within(self, namespace: str) -> Asking:
        return Asking(self.release.control_plane.kube, self.release.account, namespace)

    def until_bound(self) -> "Account":
        """Bindings come to the server's notice a moment after they were made."""
        leads = self.within(self.release.namespace)
        wait_for(lambda: self.within(self.watched).may("list", CANARIES), "the account to be bound", within=SLOWLY)
        wait_for(lambda: leads.may("get", LEASES, name=self.release.name), "it to lead", within=SLOWLY)
        return self


@pytest.fixture(scope="module")
def watched(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace with nothing in it."""
    name = control_plane.kube.create_namespace()
    yield name
    control_plane.kube.delete_namespace(name)


@pytest.fixture(scope="module")
def everywhere(release: Release, watched: str) -> Account:
    """As the chart comes."""
    return Account(release, watched).until_bound()


@pytest.fixture(scope="module")
def tenant(control_plane: ControlPlane, kinds: None, helm_binary: Path, watched: str) -> Iterator[Account]:
    """With a Role instead of a ClusterRole, and without targets that have a primary."""
    values = {"watch": {"namespace": watched}, "roles": {"create": False}, "primaries": {"enabled": False}}
    with installed(control_plane, helm_binary, "canary-tenant", values) as made:
        yield Account(made, watched).until_bound()


@pytest.fixture(scope="module")
def accounts(everywhere: Account, tenant: Account) -> Mapping[str, Account]:
    """Both, by their names. A fixture that is asked for by name only wouldn't mark its test as one with a cluster."""
    return {"everywhere": everywhere, "tenant": tenant}


@pytest.mark.parametrize(("resource", "part"), PARTS, ids=[f"{one.plural}/{part}".rstrip("/") for one, part in PARTS])
def test_all_namespaces(everywhere: Account, resource: Resource, part: str) -> None:
    """Each verb of the table is let through, and each other one refused."""
    wanted = allowed((*WITHIN, *OF_ALL), resource, part)
    assert everywhere.within(everywhere.watched).verbs(resource, part) == wanted


@pytest.mark.parametrize(("resource", "part"), PARTS, ids=[f"{one.plural}/{part}".rstrip("/") for one, part in PARTS])
def test_one_namespace(tenant: Account, resource: Resource, part: str) -> None:
    """The same there; in another one nothing, and in its own nothing but making Leases."""
    assert tenant.within(tenant.watched).verbs(resource, part) == allowed((*LOOKED_AFTER, *ALERTS), resource, part)
    assert tenant.within("default").verbs(resource, part) == set()
    assert tenant.within(tenant.release.namespace).verbs(resource, part) == allowed(LEAD, resource, part)


def test_the_lease_by_which_it_leads(tenant: Account) -> None:
    """By name, where it runs; no one but its owner deletes it."""
    own = tenant.within(tenant.release.namespace)
    assert own.verbs(LEASES, name=tenant.release.name) == allowed(LEAD, LEASES, "", own=True)


def test_leases_of_others_are_left_alone(everywhere: Account) -> None:
    """RBAC would let it overwrite any; who made one may go on writing it, and a target's is there to be taken."""
    leases = HeldLeases(everywhere.release.control_plane.kube, everywhere.watched)
    ours, target = everywhere.release.account, Objects(everywhere.watched, KIND, "reviews", "reviews").name
    assert leases.create("scheduler", "admin").status_code == 201
    wait_for(lambda: leases.take("scheduler", ours).status_code == 403, "the policy to be in force", within=SLOWLY)
    for refused in (leases.take("scheduler", ours), leases.create(everywhere.release.name, ours)):
        assert refused.json()["message"].endswith("the controller writes Leases of targets only, and its own")
    assert (leases.create(target, ours).status_code, leases.take(target, ours).status_code) == (201, 200)
    assert leases.take("scheduler", "admin").status_code == 200
    leading = HeldLeases(leases.kube, everywhere.release.namespace)
    assert leading.create(everywhere.release.name, ours).status_code == 201
    assert leading.take(everywhere.release.name, ours).status_code == 200


@pytest.mark.parametrize("who", ["everywhere", "tenant"])
def test_its_policy(accounts: Mapping[str, Account], who: str) -> None:
    """Is read by name, with its binding; no other one is, and no one who is proved by it changes it."""
    account = accounts[who]
    name = next(one["value"] for one in account.release.container()["env"] if one["name"] == "CANARY_ACTION_POLICY")
    asking = account.within(account.watched)
    for resource in PROOF[0].resources:
        assert asking.verbs(resource, name=name) == {"get"}
        assert asking.verbs(resource) == set()


REFUSED: dict[str, tuple[str, Resource]] = {
    "it lists no Secrets": ("list", SECRETS),
    "it watches no Secrets": ("watch", SECRETS),
    "it changes no Secret": ("patch", SECRETS),
    "it changes no ConfigMap": ("patch", CONFIG_MAPS),
    "it deletes no Canary": ("delete", CANARIES),
    "it edits no StatefulSet": ("patch", STATEFUL_SETS),
    "it approves nothing": ("create", CANARY_ACTIONS),
    "it changes no policy by which it is judged": ("patch", CANARY_POLICIES),
    "it gives itself no rights": ("create", ROLES),
    "it doesn't change who proves authors": ("patch", ADMISSION_POLICIES),
}


@pytest.mark.parametrize(("verb", "resource"), REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("who", ["everywhere", "tenant"])
def test_what_is_forbidden(accounts: Mapping[str, Account], who: str, verb: str, resource: Resource) -> None:
    """With all values of the chart, the account may do none of this."""
    account = accounts[who]
    for namespace in (account.watched, account.release.namespace):
        for name in (NO_OBJECT, account.release.name):
            assert not account.within(namespace).may(verb, resource, name=name)


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        *[("patch", DEPLOYMENTS), ("create", SERVICES), ("delete", VIRTUAL_SERVICES)],
        *[(verb, CONFIG_MAPS) for verb in ("get", "create", "delete")],
        *[(verb, SECRETS) for verb in ("create", "delete")],  # which alerts read as well
    ],
)
def test_without_primaries_nothing_else_of_the_users_is_read_or_written(
    everywhere: Account, tenant: Account, verb: str, resource: Resource
) -> None:
    """`primaries.enabled` decides."""
    assert everywhere.within(everywhere.watched).may(verb, resource)
    assert not tenant.within(tenant.watched).may(verb, resource)


def test_a_tenants_routes_are_its_own(tenant: Account) -> None:
    """A VirtualService of another namespace isn't moved."""
    assert tenant.within(tenant.watched).may("patch", VIRTUAL_SERVICES)
    assert not tenant.within("default").may("patch", VIRTUAL_SERVICES)
