"""Checks of what moves: `targetRef`, `version`, `envoy`, the policy referred to, and names."""

import re
from collections.abc import Iterator

from canary.api.address import PATTERN

from ..nearest import did_you_mean, nearest
from .case import Case
from .problem import ROUTERS, Field, Problem, Severity

RUNS = tuple(ROUTERS)
LATER = ("Deployment", "DaemonSet", "Service", "HTTPRoute")
"""Kinds that are known and that this build can't move yet."""
NO_ENVOY = "is missing: an EnvoyRoute needs `envoy: {admin: http://127.0.0.1:9901, routes: routes.yaml}`"
NO_CLUSTER = "is missing: write the name of the Envoy cluster that shall serve everything"
NO_SUBSET = "is missing: write the subset or the destination host that shall serve everything"
ENVOY_ELSEWHERE = "is for an EnvoyRoute; a VirtualService is found in the cluster"
PROVIDERS = ("envoy", "istio")
NO_ADDRESS = "is no URL such as http://127.0.0.1:9090, without a query"
ISTIO = "networking.istio.io/"
NOT_ISTIO = f"has no VirtualService; write {ISTIO}v1"
_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_PART}(\.{_PART})*")
"""Kubernetes' rule for most objects."""
_HOST = re.compile(rf"(?=.{{1,254}}$){_PART}(\.{_PART})*\.?", re.IGNORECASE)
"""Istio's rule for destinations; subsets are held to it as well."""


def names(case: Case) -> Iterator[Problem]:
    """Names make up file names and URLs, so they are held to Kubernetes' rule."""
    metadata = case.canary.metadata
    for field, value in (("name", metadata.name), ("namespace", metadata.namespace)):
        if not _NAME.fullmatch(value):
            yield Problem(
                ("metadata", field),
                f"{value!r} can't be a name: at most 253 lower-case letters, digits, '-' and '.', "
                "with a letter or digit at both ends",
            )


def kind(case: Case) -> Iterator[Problem]:
    """Only what can be moved may be asked for."""
    given = case.spec.target_ref.kind
    if given in RUNS:
        return
    field = ("spec", "targetRef", "kind")
    if given in LATER:
        yield Problem(field, f"{given} can't be moved by this build; at present only {' and '.join(RUNS)} can")
    else:
        meant = nearest(given, (*RUNS, *LATER))
        hint = f"did you mean {meant}?" if meant else f"there are {' and '.join(RUNS)}"
        yield Problem(field, f"{given!r} is no kind that can be moved; {hint}")


def envoy_route(case: Case) -> Iterator[Problem]:
    """An EnvoyRoute needs an Envoy and a version to go to."""
    spec = case.spec
    if spec.target_ref.kind != "EnvoyRoute":
        return
    if spec.envoy is None:
        yield Problem(("spec", "envoy"), NO_ENVOY)
    if not spec.version:
        yield Problem(("spec", "version"), NO_CLUSTER)


def virtual_service(case: Case) -> Iterator[Problem]:
    """A VirtualService moves to a version, and is found in a cluster."""
    spec = case.spec
    if spec.target_ref.kind != "VirtualService":
        return
    if not spec.version:
        yield Problem(("spec", "version"), NO_SUBSET)
    if spec.envoy is not None:
        yield Problem(("spec", "envoy"), ENVOY_ELSEWHERE)
    if spec.revision:
        sentence = "isn't used: what runs behind a version is read from its workload"
        yield Problem(("spec", "revision"), sentence, Severity.WARNING)


def mesh_names(case: Case) -> Iterator[Problem]:
    """What no object in a cluster can be called is never found there. Names of routes are free text."""
    spec = case.spec
    if spec.target_ref.kind != "VirtualService":
        return
    given = spec.target_ref.api_version
    if given is not None and not given.startswith(ISTIO):
        yield Problem(("spec", "targetRef", "apiVersion"), f"{given!r} {NOT_ISTIO}")
    objects: dict[Field, str] = {("spec", "targetRef", "name"): spec.target_ref.name}
    objects |= {("spec", "virtualServices", index): name for index, name in enumerate(spec.virtual_services)}
    for field, name in objects.items():
        if not _NAME.fullmatch(name):
            yield Problem(field, f"{name!r} can't be a VirtualService; write its name, or `name.namespace`")
    for wire, host in (("version", spec.version), ("stable", spec.stable), ("host", spec.host)):
        if host and not _HOST.fullmatch(host):
            yield _no_host(wire, host)


def _no_host(wire: str, name: str) -> Problem:
    what = "a host" if wire == "host" else "a subset or a host"
    found = re.fullmatch(r"(?:\w+://)?([^/:]+)(?::\d*)?/?", name.strip())
    hint = f"; did you mean {found[1]}?" if found and _HOST.fullmatch(found[1]) else ""
    return Problem(("spec", wire), f"{name!r} can't be {what}: letters, digits, '-' and '.', without a port{hint}")


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
    if not re.fullmatch(PATTERN, url):
        meant = f"; did you mean http://{url}?" if re.fullmatch(r"[\w.-]+(:\d+)?(/\S*)?", url) else ""
        yield Problem(field, f"{url!r} {NO_ADDRESS}{meant}")


def provider(case: Case) -> Iterator[Problem]:
    """Builtins are read from somewhere."""
    given = case.spec.provider
    if given is not None and given not in PROVIDERS:
        hint = did_you_mean(given, PROVIDERS) or f"; there are {' and '.join(PROVIDERS)}"
        yield Problem(("spec", "provider"), f"{given!r} is no provider that this build reads metrics of{hint}")


def policy(case: Case) -> Iterator[Problem]:
    """A policy that is referred to must be there."""
    ref = case.spec.policy_ref
    if ref is not None and case.policy is None:
        yield Problem(("spec", "policyRef", "name"), f"there is no {ref.kind} {ref.name!r}")


CHECKS = (names, kind, envoy_route, virtual_service, mesh_names, version, addresses, provider, policy)
