"""Keeps Envoy and the metrics as the API server's objects say, up to ten times a second: what istiod does."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

import requests

from tests.parts.kube import Kube
from tests.parts.patience import Patience
from tests.parts.processes import free_port, wait_for

from . import clusters, listeners, snapshot
from .applications import Applications
from .exporter import Exporter
from .hosts import Refused, Source
from .proxy import Config, Proxy
from .routes import tcp_clusters, tls_clusters, virtual_hosts
from .snapshot import Pod, Port, Service, Snapshot
from .telemetry import Known

_EVERY = 0.1
_UNASKED = 1.0
"""Seconds between two rounds if no watch tells of a change: each round reads five lists."""
_DRAINS = 5.0
"""Seconds for which a pod that has ended answers what is under way to it, as a proxy that drains; on a busy machine
requests are read after their pod's end."""
Wanted = tuple[Snapshot, tuple[Source, ...]]


class Pilot:
    """A thread that reads, translates and waits until Envoy has it. `lag` seconds pass before each change."""

    def __init__(self, kube: Kube, namespaces: list[str], proxy: Proxy, parts: tuple[Applications, Exporter]) -> None:
        self.lag = 0.0
        self.sources: dict[str, Source] = {}
        self._kube = kube
        self._namespaces = namespaces
        self._proxy = proxy
        self._applications, self._exporter = parts
        self._ports: dict[tuple[str, ...], int] = {}
        self._pods: dict[str, Pod] = {}
        self._draining: dict[str, Patience] = {}
        self._served: Wanted | None = None
        self._tried: Wanted | None = None
        self._read_at = 0.0
        self._refused: Exception | None = None
        self._changed = threading.Condition()
        self._ended, self._woken = threading.Event(), threading.Event()
        self._watches: dict[str, requests.Response] = {}
        paths = [path for one in namespaces for path in snapshot.paths(one)]
        self._threads = [threading.Thread(target=self._follow, args=(path,), daemon=True) for path in paths]
        self._threads.append(threading.Thread(target=self._run, daemon=True))

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        self._ended.set()
        self._woken.set()
        while any(one.is_alive() for one in self._threads):
            for watch in list(self._watches.values()):
                _hang_up(watch)
            self._threads[0].join(0.05)
        self._kube.close()

    def port(self, *of: str) -> int:
        """The port of this machine that stands for something; always the same."""
        with self._changed:
            if of not in self._ports:
                self._ports[of] = free_port()
            return self._ports[of]

    def tcp_port(self, source: str, host: str) -> int | None:
        """Where a source reaches a service that speaks TCP, given as `name:port`; None for any other."""
        wanted, sender = host.partition(":"), self.sources[source]
        served = self._served[0].services.values() if self._served else ()
        for service, port in ((one, port) for one in served for port in one.ports if port.opaque):
            names = (service.fqdn, f"{service.name}.{service.namespace}", service.name)
            if wanted[0] in names and wanted[2] in ("", str(port.number)):
                return self.port("tcp", sender.name, service.fqdn, str(port.number))
        return None

    def pods(self) -> list[Pod]:
        """Those that there are now."""
        return list(self._served[0].pods.values()) if self._served else []

    def settle(self) -> None:
        """Return when each request that Envoy has ended is in the metrics."""

        def counted() -> bool:
            return all(self._exporter.read[name] == count for name, count in self._proxy.counted().items())

        wait_for(counted, "the access log to be read", child=self._proxy.child)

    def wait(self, within: float = 30.0) -> None:
        """Return when Envoy serves what the API server has now. Raises what Istio's webhook would have said."""
        start = time.monotonic()
        self._woken.set()
        with self._changed:
            if not self._changed.wait_for(lambda: self._read_at > start, within):
                raise AssertionError(f"the mesh isn't up to date after {within:g} s: {self._refused!r}")
            if self._refused is not None:
                raise self._refused

    def _run(self) -> None:
        while not self._ended.wait(_EVERY):
            self._woken.wait(_UNASKED if self._refused is None else _EVERY)
            self._woken.clear()
            start, problem = time.monotonic(), None
            try:
                self._round()
            except (Refused, AssertionError, OSError, requests.RequestException) as error:
                problem = error  # the mesh goes on with what it has, as Istio does
            with self._changed:
                self._refused = problem
                if problem is None or isinstance(problem, Refused):
                    self._read_at = start
                self._changed.notify_all()

    def _follow(self, path: str) -> None:
        """Asks for a round after each change of a list; a watch that breaks off is begun again."""
        while not self._ended.is_set():
            with suppress(OSError), self._kube.watch(path) as watch:
                self._watches[path] = watch
                for _ in watch.iter_content(None):
                    self._woken.set()
            self._woken.set()
            self._ended.wait(_EVERY)

    def _round(self) -> None:
        sources = tuple(self.sources.values())
        now = (snapshot.read(self._kube, self._namespaces), sources)
        if now == self._tried and isinstance(self._refused, Refused):
            raise self._refused
        if now == self._served:
            return
        self._tried = now
        self._ended.wait(self.lag)
        self._tell(now[0])
        self._proxy.put(self._config(now[0], sources))
        self._served = now

    def _tell(self, found: Snapshot) -> None:
        """Let the metrics know everyone before the first request is counted."""
        self._pods.update(found.pods)
        services = {uid: one.fqdn for one in reversed(list(found.services.values())) for uid in _uids(one)}
        ports = {self.port("pod", uid): uid for uid in self._pods}
        self._exporter.know(Known(dict(self.sources), dict(self._pods), ports, services), found.pods)

    def _config(self, found: Snapshot, sources: tuple[Source, ...]) -> Config:
        members, answering = clusters.members(found), self._answering(found)
        log = str(self._proxy.access_log)
        routes = {one.name: listeners.route_configuration(one, virtual_hosts(found, one)) for one in sources}
        out = [
            listeners.outbound(one, self.port("source", one.name), str(self._proxy.file("rds", one.name)), log)
            for one in sources
        ]
        certificate = self._proxy.certificate if _speaks_tls(found) else None
        inside = [
            listeners.inbound(one, self.port("pod", one.uid), _runs(one), log, certificate)
            for one in answering.values()
        ]
        tcp = [
            listeners.tls(" ".join(key), self.port(*key), tls_clusters(found, source, service, port))
            if port.tls
            else listeners.tcp(" ".join(key), self.port(*key), tcp_clusters(found, source, service, port))
            for source, service, port in _opaque(found, sources)
            for key in [("tcp", source.name, service.fqdn, str(port.number))]
        ]
        discovered = {one: clusters.discovered(one, str(self._proxy.file("eds", one))) for one in members}
        return Config(
            {one["name"]: one for one in (*out, *inside, *tcp)},
            {**discovered, **self._local(answering)},
            {name: tuple(sorted(self.port("pod", uid) for uid in uids)) for name, uids in members.items()},
            routes,
        )

    def _answering(self, found: Snapshot) -> dict[str, Pod]:
        """The pods that there are, and those that drain."""
        for uid in self._pods.keys() - found.pods.keys() - self._draining.keys():
            self._draining[uid] = Patience(_DRAINS)
        draining = {uid: self._pods[uid] for uid, patience in self._draining.items() if not patience.over}
        return {**draining, **found.pods}

    def _local(self, pods: Mapping[str, Pod]) -> dict[str, snapshot.Data]:
        return {
            _runs(one): clusters.local(_runs(one), self._applications.port(one.workload, one.image))
            for one in pods.values()
        }


def _hang_up(watch: requests.Response) -> None:
    """Ends it for the thread that reads from it."""
    connection = watch.raw.connection
    sock = None if connection is None else connection.sock  # once: the thread that reads may end it meanwhile
    if sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _opaque(found: Snapshot, sources: tuple[Source, ...]) -> Iterator[tuple[Source, Service, Port]]:
    for source in sources:
        for service in found.services.values() if source.sidecar else ():
            yield from ((source, service, port) for port in service.ports if port.opaque)


def _speaks_tls(found: Snapshot) -> bool:
    return any(port.tls for service in found.services.values() for port in service.ports)


def _uids(service: Service) -> set[str]:
    return {uid for uids in service.ready.values() for uid in uids}


def _runs(pod: Pod) -> str:
    """The cluster of the application in a pod."""
    return f"inbound|{pod.workload}|{pod.image}"
