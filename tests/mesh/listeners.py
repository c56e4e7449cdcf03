"""Envoy's listeners: one for what each source sends, and one before each pod, as sidecars have them. Pure.

Each request is a line of JSON in one access log; telemetry.py counts them.
"""

from .certificates import Certificate
from .clusters import address
from .hosts import Source
from .routes import FAULT
from .snapshot import Data, Pod

SOURCE = "x-mesh-source"
_TYPE = "type.googleapis.com/envoy"
_FILTERS = f"{_TYPE}.extensions.filters"
_SOCKETS = f"{_TYPE}.extensions.transport_sockets.tls.v3"
_INSPECTOR = {"@type": f"{_FILTERS}.listener.tls_inspector.v3.TlsInspector"}
_INSPECTED = {"listener_filters": [{"name": "tls_inspector", "typed_config": _INSPECTOR}]}
_LINE = {
    "code": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "ms": "%DURATION%",
    "host": "%REQ(:AUTHORITY)%",
    "grpc": "%GRPC_STATUS_NUMBER%",
    "type": "%REQ(CONTENT-TYPE)%",
}


def outbound(source: Source, port: int, routes: str, log: str) -> Data:
    """What a source's sidecar does with its requests; the routes stand in the file `routes`."""
    line = {**_LINE, "cluster": "%UPSTREAM_CLUSTER_RAW%", "upstream": "%UPSTREAM_HOST%", "source": source.name}
    config_source = {"resource_api_version": "V3", "path_config_source": {"path": routes}}
    manager = {
        "rds": {"route_config_name": source.name, "config_source": config_source},
        "http_filters": [_filter(FAULT, "http.fault.v3.HTTPFault"), _router()],
        **_common("outbound", line, log),
    }
    return _listener(f"out {source.name}", port, manager)


def route_configuration(source: Source, virtual_hosts: list[Data]) -> Data:
    """A source's routes; each request tells whose it is, as mutual TLS would."""
    reported = {"header": {"key": SOURCE, "value": source.name}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {"name": source.name, "virtual_hosts": virtual_hosts, "request_headers_to_add": [reported]}


def inbound(pod: Pod, port: int, application: str, log: str, certificate: Certificate | None = None) -> Data:
    """A pod: its answers say who they are, and what arrived. With a certificate it understands TLS as well, which no
    proxy could look into: such requests aren't counted."""
    line = {**_LINE, "source": f"%REQ({SOURCE})%", "pod": pod.uid}
    reported = {"pod": pod.name, "workload": pod.workload, "version": pod.version, "image": pod.image}
    reported |= {"path": "%REQ(:PATH)%", "host": "%REQ(:AUTHORITY)%"}
    headers = [{"header": {"key": f"x-mesh-{key}", "value": value}} for key, value in reported.items()]
    route = {"match": {"prefix": "/"}, "route": {"cluster": application, "timeout": "0s"}}
    host = {"name": "all", "domains": ["*"], "routes": [route], "response_headers_to_add": headers}
    manager = {
        "route_config": {"name": pod.uid, "virtual_hosts": [host], "validate_clusters": False},
        "http_filters": [_router()],
    }
    listener = _listener(f"in {pod.uid}", port, {**manager, **_common("inbound", line, log)})
    if certificate is None:
        return listener
    encrypted = {**_chain({**manager, "stat_prefix": "tls"}), "filter_chain_match": {"transport_protocol": "tls"}}
    pair = {
        "certificate_chain": {"filename": str(certificate.chain)},
        "private_key": {"filename": str(certificate.key)},
    }
    context = {"@type": f"{_SOCKETS}.DownstreamTlsContext", "common_tls_context": {"tls_certificates": [pair]}}
    encrypted["transport_socket"] = {"name": "tls", "typed_config": context}
    return {**listener, **_INSPECTED, "filter_chains": [encrypted, *listener["filter_chains"]]}


def tcp(name: str, port: int, clusters: Data) -> Data:
    """What a source's sidecar does with TCP connections to one port of one service."""
    config = {"@type": f"{_FILTERS}.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", **clusters}
    return {
        "name": name,
        "address": address(port),
        "filter_chains": [{"filters": [{"name": "tcp", "typed_config": config}]}],
    }


def tls(name: str, port: int, chains: list[tuple[list[str], Data]]) -> Data:
    """What a source's sidecar does with TLS connections to one port of one service: server names and clusters."""
    found = []
    for names, clusters in chains:
        (chain,) = tcp(name, port, clusters)["filter_chains"]
        found.append({**chain, "filter_chain_match": {"server_names": names}} if names else chain)
    return {"name": name, "address": address(port), **_INSPECTED, "filter_chains": found}


def _common(prefix: str, line: Data, log: str) -> Data:
    kind = f"{_TYPE}.extensions.access_loggers.file.v3.FileAccessLog"
    written = {"@type": kind, "path": log, "log_format": {"json_format": line}}
    return {"stat_prefix": prefix, "access_log": [{"name": "file", "typed_config": written}]}


def _listener(name: str, port: int, manager: Data) -> Data:
    return {"name": name, "address": address(port), "filter_chains": [_chain(manager)]}


def _chain(manager: Data) -> Data:
    kind = f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"
    return {"filters": [{"name": "http", "typed_config": {"@type": kind, **manager}}]}


def _filter(name: str, kind: str) -> Data:
    return {"name": name, "typed_config": {"@type": f"{_FILTERS}.{kind}"}}


def _router() -> Data:
    one = _filter("router", "http.router.v3.Router")
    return {**one, "typed_config": {**one["typed_config"], "suppress_envoy_headers": True}}
