"""VirtualServices → Envoy's virtual hosts for one source, as istiod does it. Pure; listeners.py serves them."""

import re
from collections.abc import Iterator
from typing import Any

from .delegation import flattened
from .hosts import Refused, Source, applies, cluster, destination_cluster, domains, fqdn
from .matches import concerns, route_match
from .snapshot import Data, Port, Service, Snapshot

FAULT = "envoy.filters.http.fault"
_FAULT_TYPE = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled"
_DEFAULT_PORT = 80
_ACTIONS = (("set", "OVERWRITE_IF_EXISTS_OR_ADD"), ("add", "APPEND_IF_EXISTS_OR_ADD"))
_REDIRECTS = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER"}
_REDIRECTS |= {307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}


def virtual_hosts(snapshot: Snapshot, source: Source) -> list[Data]:
    """A virtual host for each port of each Service, and for each host of a VirtualService that is none."""
    found = []
    for service in snapshot.services.values() if source.sidecar else ():
        for port in service.ports:
            if not port.opaque:
                routes = _routes(snapshot, source, service.fqdn, port.number) or [_plain(service, port)]
                found.append(_host(f"{service.fqdn}:{port.number}", domains(service, port, source), routes))
    for name in _foreign(snapshot, source):
        routes = _routes(snapshot, source, name, _DEFAULT_PORT)
        if routes:
            found.append(_host(name, [name] if name.startswith("*") else [name, f"{name}:*"], routes))
    return found


def tcp_clusters(snapshot: Snapshot, source: Source, service: Service, port: Port) -> Data:
    """What a TCP connection to a port is sent to: Envoy's `cluster` or `weighted_clusters`."""
    for virtual in _virtual_services(snapshot, source, service.fqdn)[:1]:
        namespace = virtual["metadata"]["namespace"]
        for route in virtual["spec"].get("tcp") or ():
            matches = route.get("match") or [{}]
            if any(concerns(match, source, namespace, port.number) for match in matches):
                return _shared(snapshot, route["route"], namespace, port.number)
    return {"cluster": cluster(service.fqdn, port.number)}


def tls_clusters(snapshot: Snapshot, source: Source, service: Service, port: Port) -> list[tuple[list[str], Data]]:
    """What TLS connections to a port are sent to, by the server names that they ask for, the first that fits.

    Where a VirtualService has routes for them, what none of them names is sent nowhere.
    """
    found: list[tuple[list[str], Data]] = []
    for virtual in _virtual_services(snapshot, source, service.fqdn)[:1]:
        namespace = virtual["metadata"]["namespace"]
        hosts = [fqdn(one, namespace) for one in virtual["spec"].get("hosts", ())]
        for route in virtual["spec"].get("tls") or ():
            for match in route["match"]:
                _known_names(match["sniHosts"], hosts, namespace)
                if concerns(match, source, namespace, port.number):
                    found.append((match["sniHosts"], _shared(snapshot, route["route"], namespace, port.number)))
    return found or [([], {"cluster": cluster(service.fqdn, port.number)})]


def _known_names(names: list[str], hosts: list[str], namespace: str) -> None:
    for name in names:
        if not any(_covers(host, fqdn(name, namespace)) for host in hosts):
            raise Refused(f"SNI host {name} is not a compatible subset of any of the virtual service hosts")


def _routes(snapshot: Snapshot, source: Source, host: str, port: int) -> list[Data]:
    out = []
    for virtual in _virtual_services(snapshot, source, host):
        for route, namespace in flattened(virtual, snapshot.virtual_services):
            for match in route.get("match") or [{}]:
                if concerns(match, source, virtual["metadata"]["namespace"], port):
                    out.append({"match": route_match(match), **_action(snapshot, route, namespace, port)})
    return out


def _virtual_services(snapshot: Snapshot, source: Source, host: str) -> list[Data]:
    """Those that name the host, the nearest first, of equals the oldest; a sidecar uses only the first."""
    ranked: list[tuple[int, int, Data]] = []
    for virtual in snapshot.virtual_services:
        if applies(virtual, source):
            names = [fqdn(one, virtual["metadata"]["namespace"]) for one in virtual["spec"].get("hosts", ())]
            fitting = [len(one) + (one == host) for one in names if _covers(one, host)]
            if fitting:
                ranked.append((-max(fitting), len(ranked), virtual))
    ranked.sort(key=lambda one: one[:2])
    return [virtual for _, _, virtual in (ranked[:1] if source.sidecar else ranked)]


def _covers(pattern: str, host: str) -> bool:
    return pattern == host or (pattern.startswith("*") and host.endswith(pattern[1:]) and pattern != host)


def _foreign(snapshot: Snapshot, source: Source) -> Iterator[str]:
    names = {
        fqdn(one, virtual["metadata"]["namespace"])
        for virtual in snapshot.virtual_services
        if applies(virtual, source)
        for one in virtual["spec"].get("hosts", ())
    }
    yield from sorted(names - set(snapshot.services) if source.sidecar else names)


def _host(name: str, domain: list[str], routes: list[Data]) -> Data:
    return {"name": name, "domains": domain, "routes": routes}


def _plain(service: Service, port: Port) -> Data:
    """Without a VirtualService: to the Service, with Istio's default retries and no time-out."""
    action = {"cluster": cluster(service.fqdn, port.number), "timeout": "0s", "retry_policy": _retries({})}
    return {"name": "default", "match": {"prefix": "/"}, "route": action}


def _action(snapshot: Snapshot, route: Data, namespace: str, port: int) -> Data:
    out: Data = {"name": route.get("name", ""), **_headers(route.get("headers") or {})}
    if "fault" in route:
        out["typed_per_filter_config"] = {FAULT: _fault(route["fault"])}
    match route:
        case {"redirect": redirect}:
            return {**out, "redirect": _redirect(redirect)}
        case {"directResponse": answer}:
            body = {"body": {"inline_string": answer["body"]["string"]}} if "body" in answer else {}
            return {**out, "direct_response": {"status": answer["status"], **body}}
    shared = _shared(snapshot, route.get("route") or [], namespace, port)
    if "cluster" in shared:
        own = _headers(route["route"][0].get("headers") or {})
        out |= {key: out.get(key, []) + one for key, one in own.items()}
    rewriting = _rewrite(route.get("rewrite") or {})
    authority = _authority(route) if "host_rewrite_literal" not in rewriting else {}
    return {
        **out,
        "route": {
            **shared,
            "timeout": seconds(route.get("timeout", "0s")),
            "retry_policy": _retries(route.get("retries") or {}),
            **rewriting,
            **authority,
            **_mirrors(snapshot, route, namespace, port),
        },
    }


def _shared(snapshot: Snapshot, entries: list[Data], namespace: str, port: int) -> Data:
    """One destination gets all, with any weight; of several, those without a weight get nothing."""
    if len(entries) == 1:
        return {"cluster": destination_cluster(snapshot, entries[0]["destination"], namespace, port)}
    if any(one.get("weight", 0) < 0 for one in entries) or not any(one.get("weight") for one in entries):
        raise Refused(f"weights must be positive in sum, and none negative: {entries}")
    clusters = [
        {
            "name": destination_cluster(snapshot, one["destination"], namespace, port),
            "weight": one["weight"],
            **_headers(one.get("headers") or {}),
        }
        for one in entries
        if one.get("weight")
    ]
    return {"weighted_clusters": {"clusters": clusters}}


def _mirrors(snapshot: Snapshot, route: Data, namespace: str, port: int) -> Data:
    wanted = []
    if "mirror" in route:
        share = route.get("mirrorPercentage", {"value": route.get("mirrorPercent", 100)})
        wanted.append((route["mirror"], share))
    wanted += [(one["destination"], one.get("percentage", {"value": 100})) for one in route.get("mirrors") or ()]
    policies = [
        {
            "cluster": destination_cluster(snapshot, destination, namespace, port),
            "runtime_fraction": {"default_value": fraction(share.get("value", 0))},
        }
        for destination, share in wanted
        if share.get("value", 0) > 0
    ]
    return {"request_mirror_policies": policies} if policies else {}


def fraction(percent: float) -> Data:
    """Per cent as Envoy's FractionalPercent, to four places."""
    return {"numerator": round(percent * 10_000), "denominator": "MILLION"}


def _fault(fault: Data) -> Data:
    """Without a percentage no one is hurt."""
    out: Data = {"@type": _FAULT_TYPE}
    if "delay" in fault:
        delay = fault["delay"]
        out["delay"] = {"fixed_delay": seconds(delay["fixedDelay"]), "percentage": fraction(_share(delay))}
    if "abort" in fault:
        abort = fault["abort"]
        if "httpStatus" not in abort:
            raise Refused("this mesh aborts with an httpStatus only")
        out["abort"] = {"http_status": abort["httpStatus"], "percentage": fraction(_share(abort))}
    return out


def seconds(duration: str) -> str:
    """`1m30s`, `500ms` → `90s`, `0.5s`: Envoy takes seconds only."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", duration)
    return f"{sum(float(number) * units[unit] for number, unit in parts):.6g}s"


def _share(fault: Data) -> float:
    return float(fault.get("percentage", {}).get("value", fault.get("percent", 0)))


def _retries(retries: Data) -> Data:
    """Two attempts more, on what surely didn't reach the application; at another pod if there is one."""
    words = (retries.get("retryOn") or _RETRY_ON).split(",")
    codes = [int(one) for one in words if one.isdigit()]
    on = [one for one in words if not one.isdigit()] + (["retriable-status-codes"] if codes else [])
    predicate = "envoy.retry_host_predicates.previous_hosts"
    kind = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    return {
        "retry_on": ",".join(on),
        "num_retries": retries.get("attempts", 0 if retries else 2),
        **({"retriable_status_codes": codes} if codes else {}),
        **({"per_try_timeout": seconds(retries["perTryTimeout"])} if "perTryTimeout" in retries else {}),
        "retry_host_predicate": [{"name": predicate, "typed_config": {"@type": kind}}],
        "host_selection_retry_max_attempts": 5,
    }


def _rewrite(rewrite: Data) -> Data:
    out: Data = {}
    if "uriRegexRewrite" in rewrite:
        one = rewrite["uriRegexRewrite"]
        out["regex_rewrite"] = {"pattern": {"regex": one["match"]}, "substitution": one["rewrite"]}
    elif rewrite.get("uri"):
        out["prefix_rewrite"] = rewrite["uri"]
    if rewrite.get("authority"):
        out["host_rewrite_literal"] = rewrite["authority"]
    return out


def _authority(route: Data) -> Data:
    """A Host header that is set is a rewrite."""
    request = (route.get("headers") or {}).get("request") or {}
    for key, value in {**(request.get("add") or {}), **(request.get("set") or {})}.items():
        if key.lower() in ("host", ":authority"):
            return {"host_rewrite_literal": value}
    return {}


def _headers(headers: Data) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for side in ("request", "response"):
        reported = headers.get(side) or {}
        changes = [
            {"header": {"key": key, "value": value}, "append_action": action}
            for how, action in _ACTIONS
            for key, value in sorted((reported.get(how) or {}).items())
            if key.lower() not in ("host", ":authority")
        ]
        if changes:
            out[f"{side}_headers_to_add"] = changes
        if reported.get("remove"):
            out[f"{side}_headers_to_remove"] = list(reported["remove"])
    return out


def _redirect(redirect: Data) -> Data:
    out = {"response_code": _REDIRECTS[redirect.get("redirectCode", 301)]}
    for reported, name in (("uri", "path_redirect"), ("authority", "host_redirect"), ("scheme", "scheme_redirect")):
        if redirect.get(reported):
            out[name] = redirect[reported]
    return out
