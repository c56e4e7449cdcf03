"""Checks of what moves: `targetRef`, `version`, `envoy`, and the policy referred to."""

import re
from collections.abc import Iterator

from canary.api import names
from canary.api.names import ADDRESS
from canary.engine.did_you_mean import did_you_mean, nearest

from ..pairs import KINDS, LATER, PAIRS, PROVIDER_NAMES, STANDALONE, Pairing, TargetType, listed, pair_for
from .names import is_name
from .problem import Case, Field, Problem, Severity

NO_KIND = "is no kind that can be moved"
NO_ENVOY = "is missing: {} needs `envoy: {{admin: http://127.0.0.1:9901, routes: routes.yaml}}`"
ENVOY_ELSEWHERE = f"is for {listed(map(str, STANDALONE), 'or')}; {{}} is found in the cluster"
NO_ADDRESS = "is no URL such as http://127.0.0.1:9090, without a query"
NO_OBJECT = "can't be {}; write its name"
NO_HOST = "letters, digits, '-' and '.', without a port"
NO_PROVIDER = "is no router that canary supports"
NO_VERSION = "isn't used: {} is no object of an API server"
_HOST = re.compile(rf"(?=.{{1,254}}$){names.PATTERN}\.?", re.IGNORECASE)
"""Istio's rule for destinations; subsets are held to it as well."""


def kind(case: Case) -> Iterator[Problem]:
    """Only what can be moved may be asked for."""
    given = case.spec.target_ref.kind
    if given in KINDS:
        return
    field = ("spec", "targetRef", "kind")
    if given in LATER:
        yield Problem(field, f"{given} isn't supported as a target yet; write {listed(KINDS, 'or')}")
    else:
        meant = nearest(given, (*KINDS, *LATER))
        hint = f"did you mean {meant}?" if meant else f"there are {listed(KINDS)}"
        yield Problem(field, f"{given!r} {NO_KIND}; {hint}")


def standalone(case: Case) -> Iterator[Problem]:
    """What is in no cluster needs an Envoy and a version to go to."""
    spec, pair = case.spec, pair_for(case.spec)
    if pair is None or pair.in_cluster:
        return
    if spec.envoy is None:
        yield Problem(("spec", "envoy"), NO_ENVOY.format(pair))
    if spec.target_ref.api_version is not None:
        yield Problem(("spec", "targetRef", "apiVersion"), NO_VERSION.format(pair), Severity.WARNING)
    if not spec.version:
        yield Problem(("spec", "version"), pair.no_version)


def in_cluster(case: Case) -> Iterator[Problem]:
    """An object moves to a version, unless it has its versions itself, and is found in a cluster."""
    spec, pair = case.spec, pair_for(case.spec)
    if pair is None or not pair.in_cluster:
        return
    if not spec.version and pair.no_version:
        yield Problem(("spec", "version"), pair.no_version)
    if spec.envoy is not None:
        yield Problem(("spec", "envoy"), ENVOY_ELSEWHERE.format(pair))
    if spec.revision:
        sentence = "isn't used: what runs behind a version is read from its workload"
        yield Problem(("spec", "revision"), sentence, Severity.WARNING)


def object_names(case: Case) -> Iterator[Problem]:
    """What no object in a cluster can be called is never found there. Names of routes are free text."""
    spec, pair = case.spec, pair_for(case.spec)
    if pair is None or not pair.in_cluster:
        return
    given = spec.target_ref.api_version
    if given is not None and given not in pair.api_versions:
        # Flagger doesn't read it, and so its users' manifests have anything here.
        severity = Severity.WARNING if pair.type is TargetType.PRIMARY else Severity.ERROR
        yield Problem(("spec", "targetRef", "apiVersion"), f"{given!r} {not_served(pair)}", severity)
    objects: dict[Field, str] = {("spec", "targetRef", "name"): spec.target_ref.name}
    if pair.type is TargetType.VERSIONS:
        objects |= {("spec", "virtualServices", index): name for index, name in enumerate(spec.virtual_services)}
    for field, name in objects.items():
        if not is_name(name):
            yield Problem(field, f"{name!r} {no_object(pair)}")
    if pair.type is not TargetType.VERSIONS:
        return
    for wire, host in (("version", spec.version), ("stable", spec.stable), ("host", spec.host)):
        if host and not _HOST.fullmatch(host):
            yield _no_host(wire, host)


def no_object(pair: Pairing) -> str:
    """What is wrong with a name. One of another namespace can be named where only routes are changed there."""
    return NO_OBJECT.format(pair) + (", or `name.namespace`" if pair.type is TargetType.VERSIONS else "")


def not_served(pair: Pairing) -> str:
    """What is wrong with another API version. Those of the pair mean the same objects: the newest that the API server
    has is asked for, whichever is written."""
    return f"has no {pair.kind}; write {pair.api_versions[0]}"


def _no_host(wire: str, name: str) -> Problem:
    what = "a host" if wire == "host" else "a subset or a host"
    found = re.fullmatch(r"(?:\w+://)?([^/:]+)(?::\d*)?/?", name.strip())
    hint = f"; did you mean {found[1]}?" if found and _HOST.fullmatch(found[1]) else ""
    return Problem(("spec", wire), f"{name!r} can't be {what}: {NO_HOST}{hint}")


def version(case: Case) -> Iterator[Problem]:
    """A version that is stable already is the way to ask for the way back, so this is no error."""
    spec = case.spec
    if spec.version and spec.version == spec.stable:
        yield Problem(
            ("spec", "version"),
            f"{spec.version!r} is spec.stable as well: where several versions carry weight no rollout starts, "
            "and one in flight goes back to it",
            Severity.WARNING,
        )


def addresses(case: Case) -> Iterator[Problem]:
    """URLs are asked as they are written."""
    envoy = case.spec.envoy
    urls: dict[Field, str | None] = {("spec", "metricsServer"): case.spec.metrics_server}
    if envoy is not None:
        urls["spec", "envoy", "admin"] = envoy.admin
        if not envoy.routes.strip():
            yield Problem(("spec", "envoy", "routes"), "is empty: write the file that Envoy reads its routes from")
    for field, url in urls.items():
        if url is not None:
            yield from address(field, url)


def address(field: Field, url: str) -> Iterator[Problem]:
    """A URL starts with its scheme, has a host, and ends with its path."""
    sentence = no_address(url)
    if sentence:
        yield Problem(field, sentence)


def no_address(url: str) -> str:
    """What is wrong with the URL of a server, in a sentence; empty for nothing."""
    if re.fullmatch(ADDRESS, url):
        return ""
    meant = f"; did you mean http://{url}?" if re.fullmatch(r"[\w.-]+(:\d+)?(/\S*)?", url) else ""
    return f"{url!r} {NO_ADDRESS}{meant}"


def provider(case: Case) -> Iterator[Problem]:
    """Flagger's manifests may be for any of its routers."""
    given = case.spec.provider
    if given is not None and given not in PROVIDER_NAMES:
        hint = did_you_mean(given, PROVIDER_NAMES) or "; write istio if the target's requests go through Istio"
        yield Problem(("spec", "provider"), f"{given!r} {NO_PROVIDER}{hint}")


def policy(case: Case) -> Iterator[Problem]:
    """A policy that is referred to must be there."""
    ref = case.spec.policy_ref
    if ref is not None and case.policy is None and is_name(ref.name):
        yield Problem(("spec", "policyRef", "name"), f"there is no {ref.kind} {ref.name!r}", absent=True)


CHECKS = (kind, standalone, in_cluster, object_names, version, addresses, provider, policy)


# ---- fields of Flagger's that are read and not acted on --------------------------------------------------------

OF_PRIMARIES = {"autoscaler_ref": "autoscalerRef", "service": "service"}
"""For a target that is released through a primary; `primary.py` checks them there."""
WITH_PRIMARY = listed([pair.kind for pair in PAIRS if pair.type is TargetType.PRIMARY])
OF_ROUTERS = {
    "ingress_ref": ("ingressRef", "is read only for {{ ingress }} in queries: canary changes no Ingress"),
    "route_ref": ("routeRef", "is read only for {{ route }} in queries: canary changes no route of APISIX"),
    "upstream_ref": ("upstreamRef", "has no effect: canary doesn't route with Gloo; remove it"),
}
"""For routers that canary doesn't have."""


def readiness(case: Case) -> Iterator[Problem]:
    """They are for targets that have a primary; elsewhere `capacity` asks for what the weight needs."""
    pair = pair_for(case.spec)
    if pair is not None and not pair.scalable and case.written("canary_replicas"):
        yield case.warning("canary_replicas", f"isn't used with {pair}, {pair.unscaled}")
    if pair is None or pair.type is TargetType.PRIMARY:
        return
    for name in ("primary_ready_threshold", "canary_ready_threshold"):
        if case.written(name):
            yield case.warning(name, f"isn't used with {pair}; capacity says whether replicas are waited for")
    if case.written("canary_replicas"):
        yield case.warning("canary_replicas", f"isn't used with {pair}: its replicas are yours")


def cloned(case: Case) -> Iterator[Problem]:
    """Fields for targets that are released through a primary, and for ingress controllers."""
    pair = pair_for(case.spec)
    has_primary = pair is not None and pair.type is TargetType.PRIMARY
    for name, wire in OF_PRIMARIES.items():
        if getattr(case.spec, name) and not has_primary:
            kind = case.spec.target_ref.kind
            sentence = f"has no effect with a targetRef of kind {kind}, only with {WITH_PRIMARY}; remove it"
            yield Problem(("spec", wire), sentence, Severity.WARNING)
    for name, (wire, sentence) in OF_ROUTERS.items():
        if getattr(case.spec, name):
            yield Problem(("spec", wire), sentence, Severity.WARNING)


UNREAD = (readiness, cloned)
