"""Moves traffic in a cluster's VirtualServices: reads them with their DestinationRules, and patches weights.

`canary/istio` knows what the objects say; this file fetches and sends. A read takes a request for each
VirtualService and one for the DestinationRules of each namespace; a write takes a request for each VirtualService
that changes, and none where nothing does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from canary.api.canary import Canary
from canary.api.plan import Traffic
from canary.engine.errors import Conflict, Rejected
from canary.engine.observed import Cause, Missing, RouteSeen
from canary.istio import patch, reading, routes
from canary.istio.destinations import Pair, resolve, service, short, subsets, undefined
from canary.istio.scope import KIND, Ref, Scope, missing, parts, ref_of, scope_of
from canary.kube.client import Client, Object
from canary.kube.errors import Failure, Refused
from canary.kube.names import ObjectRef
from canary.kube.rbac import FOLLOWED, PRIMARY_CONTROLLER, PRIMARY_RUN, Permission
from canary.kube.requests import ApiVerb
from canary.kube.resources import SERVICES, Resource
from canary.primary.names import Names
from canary.primary.provisioning import Provisioning
from canary.primary.routes import adopted, destination_rules, noted, returned, virtual_service

from .cluster import ClusterProvider, ClusterRouter, Data, RouterPermissions, routes_of_service

_BEFORE = ("v1beta1", "v1alpha3")
"""Istio serves v1 since 1.22. A CRD without conversion gives the same fields in all of its versions."""
VIRTUAL_SERVICES = Resource("networking.istio.io", "v1", KIND, "virtualservices", _BEFORE)
DESTINATION_RULES = Resource("networking.istio.io", "v1", "DestinationRule", "destinationrules", _BEFORE)

REMEMBERED = 30.0
"""Seconds for which the selector of a Service is believed."""


REFUSED = 60.0
"""Seconds until a refused increase is tried again; a decrease is tried at each reconcile."""


@dataclass(frozen=True)
class Selector:
    """Which pods a Service sends to, and when it said so."""

    labels: Mapping[str, str]
    read_at: float


@dataclass(frozen=True)
class Refusal:
    """A write that the cluster understood and refused."""

    words: str
    token: str
    """Of the routes as they were."""
    at: float


@dataclass(frozen=True)
class Aim:
    """Whose pods a version means."""

    home: tuple[str, str]
    """Name and namespace of the Service."""
    labels: Mapping[str, str]
    """Of the subset; empty where a version is a host."""


@dataclass(frozen=True)
class Fetched:
    """The objects of one read, for a write that stands on it; and what was made of them, while they are these."""

    virtual_services: Sequence[Object]
    rules: Sequence[Object]
    token: str
    seen: dict[tuple[str | None, str], RouteSeen] = field(default_factory=dict)
    aims: dict[tuple[str | None, str, str], Aim | Missing] = field(default_factory=dict)


class IstioRouter(ClusterRouter):
    """The port Router on the VirtualServices of one target."""

    def __init__(self, client: Client, scope: Scope, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._scope = scope
        self._last: Fetched | None = None
        self._pair: tuple[str | None, str] | None = None
        """Stable and canary of the last read: only together do they determine the host of the subsets."""
        self._services: dict[tuple[str, str], Selector] = {}
        self._refusal: Refusal | None = None

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        """What the objects say; proxies follow within a fraction of a second."""
        self._pair = stable, canary
        try:
            self._last = self._fetch(self._client)
        except Failure as error:
            return error.missing
        there = self._last
        if (stable, canary) not in there.seen:
            there.seen[stable, canary] = self._seen(there, stable, canary)
        return replace(there.seen[stable, canary], rejected=self._refused(there))

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """Patches each VirtualService that doesn't say so yet. See the port for what it raises."""
        client = self._client.urgent() if traffic == Traffic() else self._client
        there = self._last if token is not None else self._fetch(client)
        if there is None or (token is not None and token != there.token):
            raise Conflict("the VirtualServices were read again since this was decided")
        pair = Pair(stable, canary)
        try:
            for one in patch.write(there.virtual_services, there.rules, self._scope, pair, traffic):
                client.patch(VIRTUAL_SERVICES, one.namespace, one.name, one.operations)
        except Rejected as error:
            self._refusal = Refusal(str(error), there.token, self._clock())
            raise
        self._refusal = None

    def _refused(self, there: Fetched) -> str | None:
        """Why the last write was refused: by an admission webhook, or for want of a permission. Tried again where
        the routes have changed since, and after a while."""
        refusal = self._refusal
        if refusal is None or refusal.token != there.token or self._clock() - refusal.at >= REFUSED:
            return None
        return refusal.words

    def selector(self, version: str) -> Mapping[str, str] | Missing:
        """Labels of a version's pods: the selector of the Service, and the subset's labels. For the workloads."""
        try:
            aim = self._aim(self._last or self._fetch(self._client), version)
            own = aim if isinstance(aim, Missing) else self._service(*aim.home)
            return own if isinstance(own, Missing) or isinstance(aim, Missing) else {**own, **aim.labels}
        except Failure as error:
            return error.missing

    @property
    def versions(self) -> Mapping[ObjectRef, str]:
        """The VirtualServices as they were read last, by resourceVersion; delegates included."""
        there = self._last.virtual_services if self._last else ()
        refs = ((ref_of(one), one) for one in there)
        return {_object(ref): str(one["metadata"].get("resourceVersion", "")) for ref, one in refs}

    def _fetch(self, client: Client) -> Fetched:
        found: list[Object] = []
        while wanted := missing(found, self._scope):
            beyond = self._scope.beyond(wanted)
            if beyond is not None:
                raise Refused(Cause.DENIED, f"the VirtualService {beyond} is in another namespace than the Canary")
            found += [client.get(VIRTUAL_SERVICES, ref.namespace, ref.name) for ref in wanted]
        namespaces = dict.fromkeys(
            (self._scope.namespace, *(part.ref.namespace for part in parts(found, self._scope)))
        )
        rules = [rule for name in namespaces for rule in client.find(DESTINATION_RULES, name)]
        last = self._last
        if last is not None and last.virtual_services == found and last.rules == rules:
            return last
        return Fetched(found, rules, reading.token_of(found, self._scope))

    def _aim(self, there: Fetched, version: str) -> Aim | Missing:
        stable, canary = self._pair if self._pair and version in self._pair else (None, version)
        if (stable, canary, version) not in there.aims:
            there.aims[stable, canary, version] = self._aimed(there, stable, canary, version)
        return there.aims[stable, canary, version]

    def _aimed(self, there: Fetched, stable: str | None, canary: str, version: str) -> Aim | Missing:
        found = routes.found(parts(there.virtual_services, self._scope), self._scope)
        why = reading.unclear(there.virtual_services, there.rules, self._scope, stable, canary)
        if why:
            return Missing(Cause.INVALID, why)
        names = routes.names_for(found, there.rules, self._scope, stable, canary)
        host = names.host or names.resolved(version)
        home = service(host, self._scope.domain)
        if home is None:
            return Missing(Cause.ABSENT, f"{host} is no service of this cluster")
        if names.host is None:
            return Aim(home, {})
        defined = subsets(there.rules, host, self._scope.namespace, self._scope.domain)
        if version not in defined:
            called = short(host, self._scope.namespace, self._scope.domain)
            return Missing(Cause.ABSENT, undefined(version, called, defined))
        return Aim(home, defined[version])

    def _service(self, name: str, namespace: str) -> Mapping[str, str] | Missing:
        """The Service's selector. Services hardly ever change theirs, so it is asked for again now and then only."""
        known = self._services.get((name, namespace))
        if known is None or self._clock() - known.read_at >= REMEMBERED:
            read_at, found = self._clock(), self._client.get(SERVICES, namespace, name)
            known = Selector((found.get("spec") or {}).get("selector") or {}, read_at)
            self._services[name, namespace] = known
        return known.labels or Missing(Cause.INVALID, f"the Service {name} has no selector")

    def _seen(self, there: Fetched, stable: str | None, canary: str) -> RouteSeen:
        state = reading.read(there.virtual_services, there.rules, self._scope, stable, canary)
        return RouteSeen(
            token=there.token,
            shares=state.shares,
            traffic=state.traffic,
            described=state.described,
            partly=state.partly,
            destinations=state.destinations,
            unmoved=state.unmoved,
            mixed=state.mixed,
            hosts=state.hosts,
        )


def _object(ref: Ref) -> ObjectRef:
    return ObjectRef(KIND, ref.namespace, ref.name)


def references(namespace: str, spec: Data) -> tuple[ObjectRef, ...]:
    """The VirtualServices that a spec names, as it is written."""
    target = str((spec.get("targetRef") or {}).get("name") or "")
    names = (target, *(str(one) for one in spec.get("virtualServices") or ()))
    return tuple(_object(ref) for ref in Scope(namespace, names).refs)


def _apex_scope(canary: Canary, namespace: str, confined: bool) -> Scope:
    return Scope(namespace, (Names.of(canary).apex,), confined=confined, personal=True)


def _named(canary: Canary) -> tuple[tuple[Resource, str], ...]:
    names = Names.of(canary)
    rules = ((DESTINATION_RULES, name) for name in (names.primary_host, names.canary_host))
    return (*rules, (VIRTUAL_SERVICES, names.apex))


def _made(canary: Canary, target: Data) -> tuple[tuple[tuple[Resource, Data], ...], Data]:
    return tuple((DESTINATION_RULES, one) for one in destination_rules(canary)), virtual_service(canary, target)


PROVISIONING = Provisioning(
    routes=VIRTUAL_SERVICES,
    beside=(DESTINATION_RULES,),
    named=_named,
    make=_made,
    adopt=adopted,
    note=noted,
    give_back=returned,
)

ISTIO = ClusterProvider(
    routes=VIRTUAL_SERVICES,
    nearby=(DESTINATION_RULES,),
    references=references,
    host=lambda namespace, host: resolve(host, namespace),
    scope=lambda canary, namespace, confined: replace(scope_of(canary, namespace), confined=confined),
    router=IstioRouter,
    permissions=RouterPermissions(
        run=(
            Permission((VIRTUAL_SERVICES,), (ApiVerb.GET, ApiVerb.PATCH), "the weights that move", "target"),
            Permission((DESTINATION_RULES,), (ApiVerb.LIST,), "the known versions"),
        ),
        controller=(
            # GET on a kind that is watched is for the time until it has been listed once.
            Permission((VIRTUAL_SERVICES,), (ApiVerb.GET, *FOLLOWED, ApiVerb.PATCH), "the weights that move"),
            Permission((DESTINATION_RULES,), FOLLOWED, "the known versions"),
        ),
        people=(
            Permission((VIRTUAL_SERVICES,), (ApiVerb.GET,), "which versions requests can be sent to"),
            Permission((DESTINATION_RULES,), (ApiVerb.LIST,), "the known versions"),
        ),
    ),
)
"""For `canary/registry.py`."""

ISTIO_WITH_PRIMARY: Mapping[str, ClusterProvider] = {
    kind: replace(
        ISTIO,
        references=routes_of_service(KIND),
        scope=_apex_scope,
        provisioning=PROVISIONING,
        permissions=RouterPermissions(
            run=(
                *ISTIO.permissions.run,
                Permission((VIRTUAL_SERVICES, DESTINATION_RULES), (ApiVerb.CREATE,), "routes to primary and canary"),
                Permission(
                    (DESTINATION_RULES,), (ApiVerb.GET, ApiVerb.PATCH), "routes to primary and canary", "beside"
                ),
                *PRIMARY_RUN[kind],
            ),
            controller=ISTIO.permissions.controller,
            people=ISTIO.permissions.people,
            primaries=(
                Permission((VIRTUAL_SERVICES,), (ApiVerb.CREATE, ApiVerb.DELETE), "routes to primary and canary"),
                Permission(
                    (DESTINATION_RULES,),
                    (ApiVerb.GET, ApiVerb.CREATE, ApiVerb.PATCH, ApiVerb.DELETE),
                    "routes to primary and canary",
                ),
                *PRIMARY_CONTROLLER[kind],
            ),
        ),
    )
    for kind in PRIMARY_RUN
}
"""For targets that have a primary, by their kind."""
