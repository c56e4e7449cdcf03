"""What the controller costs with many Canaries, on a real API server and a real Prometheus:

    python -m tests.bench.scale --canaries 1000 --active 1000 --sizes 100,500,1000 --window 60

Fills a cluster, then starts `canary controller` as a process for each size (the first so many Canaries, by a label),
and reads its CPU, memory, requests and lateness over a window. Everything else that works on the machine is in the
figures as well: the API server and Prometheus share its cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import fleet, primaries
from tests.parts import cluster
from tests.parts.cluster import ControlPlane
from tests.parts.processes import bound, free_port, get, wait_for
from tests.parts.prometheus import Prometheus, find

RECONCILES = os.sysconf("SC_CLK_TCK")
Series = Mapping[str, float]


@dataclass(frozen=True)
class Reading:
    """What a process and its /metrics said at a time."""

    at: float
    cpu: float
    rss: float
    series: Series
    threads: int
    hooks: int
    """Calls of webhooks so far."""


@dataclass(frozen=True)
class Row:
    """One size."""

    size: int
    active: int
    first: float
    all_seen: float
    cpu: float
    rss: float
    peak: float
    p50: float
    p99: float
    reconciles: float
    requests: Mapping[str, float]
    queries: float
    slots: float
    """Seconds in reconciles, per second."""
    threads: int
    hooks: float
    """Calls of webhooks, per second."""


class Replica:
    """A `canary controller` that looks after the Canaries of some sizes."""

    def __init__(self, plane: ControlPlane, selector: str, log: Path, hooks: fleet.Hooks | None = None) -> None:
        self.port, self.hooks = free_port(), hooks
        argv = (
            *(sys.executable, "-m", "canary", "controller", "--selector", selector, "--lease", "bench"),
            *("--lease-namespace", "default", "--listen", f"127.0.0.1:{self.port}"),
            *("--allowed-metrics-servers", "*"),
        )
        self.began = time.monotonic()
        environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig("admin"))}
        with log.open("ab") as output:
            self.process = subprocess.Popen(bound(argv), stdout=output, stderr=output, env=environment)

    def read(self) -> Reading:
        """Its figures now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        rss = next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
        threads = next(int(line.split()[1]) for line in lines if line.startswith("Threads"))
        called = self.hooks.called if self.hooks is not None else 0
        cpu = (int(fields[11]) + int(fields[12])) / RECONCILES
        return Reading(time.monotonic(), cpu, rss, self.series(), threads, called)

    def series(self) -> Series:
        """Its metrics, or nothing before it serves them."""
        with suppress(OSError):
            status, text = get(f"http://127.0.0.1:{self.port}/metrics", timeout=20.0)
            if status == 200:
                lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
                return {name: float(value) for name, _, value in lines}
        return {}

    @property
    def peak(self) -> float:
        """The most memory that it ever had, in MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def stop(self) -> float:
        """Ends it; seconds that this took."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(60)
        return time.monotonic() - began


def measure(replica: Replica, size: int, active: int, window: float) -> Row:
    """One size, once all of its rollouts are under way."""
    try:
        first = _until(replica, lambda series: _sum(series, "canary_controller_reconcile_total") > 0, every=0.1)
        _until(replica, lambda series: _sum(series, "canary_weight_percent") >= 10 * active, 900)
        _until(replica, lambda series: _count(series, "canary_phase") >= size, 900)
        seen = time.monotonic() - replica.began
        time.sleep(90)  # until no window is cut any more
        before = replica.read()
        time.sleep(window)
        after = replica.read()
        return _row(size, active, first, seen, (before, after), replica.peak)
    finally:
        replica.stop()


def _until(replica: Replica, done: Callable[[Series], bool], within: float = 120.0, every: float = 2.0) -> float:
    """Seconds since its start. Each question takes the controller's own time: with 10,000 Canaries, much of it."""
    wait_for(lambda: done(replica.series()), "the controller", within=within, every=every)
    return time.monotonic() - replica.began


def _row(size: int, active: int, first: float, seen: float, window: tuple[Reading, Reading], peak: float) -> Row:
    before, after = window
    took = after.at - before.at
    rates = {name: (value - before.series.get(name, 0.0)) / took for name, value in after.series.items()}
    requests = {
        name.partition("{")[2].rstrip("}"): rate
        for name, rate in rates.items()
        if name.startswith("canary_api_requests_total") and rate > 0
    }
    return Row(
        size=size,
        active=active,
        first=first,
        all_seen=seen,
        cpu=(after.cpu - before.cpu) / took,
        rss=after.rss,
        peak=peak,
        p50=_quantile(rates, "canary_controller_reconcile_lateness_seconds", 0.5),
        p99=_quantile(rates, "canary_controller_reconcile_lateness_seconds", 0.99),
        reconciles=_sum(rates, "canary_controller_reconcile_total"),
        requests=requests,
        queries=_sum(rates, "canary_queries_total"),
        slots=_sum(rates, "canary_controller_reconcile_duration_seconds_sum"),
        threads=max(before.threads, after.threads),
        hooks=(after.hooks - before.hooks) / took,
    )


def _sum(series: Series, name: str) -> float:
    return sum(value for key, value in series.items() if key.partition("{")[0] == name)


def _count(series: Series, name: str) -> int:
    return sum(key.partition("{")[0] == name for key in series)


def _quantile(rates: Series, name: str, q: float) -> float:
    """Of a histogram, between its buckets as Prometheus has it."""
    found = sorted(
        (float(key.partition('le="')[2].partition('"')[0].replace("+Inf", "inf")), value)
        for key, value in rates.items()
        if key.startswith(f"{name}_bucket")
    )
    if not found or not found[-1][1]:
        return float("nan")
    rank, lower, below = q * found[-1][1], 0.0, 0.0
    for edge, count in found:
        if count >= rank:
            return lower if edge == float("inf") else lower + (edge - lower) * (rank - below) / (count - below)
        lower, below = edge, count
    return lower


@contextmanager
def filled(options: argparse.Namespace, folder: Path) -> Iterator[ControlPlane]:
    """A cluster with all objects in it, and a Prometheus that knows their traffic."""
    tools = cluster.find()
    binary = find()
    if tools is None or binary is None:
        sys.exit(f"this needs a control plane and Prometheus: {cluster.provides()}; tests/parts/get-prometheus")
    of_deployments = options.target == "Deployment"
    traffic = fleet.Traffic(primaries.pairs if of_deployments else fleet.versions)
    plane = ControlPlane(tools, folder)
    prometheus = Prometheus(binary, folder / "prometheus", fleet.scrapes(traffic.port), scrape_interval="5s")
    try:
        (primaries if of_deployments else fleet).started(plane)
        traffic.services = options.active
        prometheus.start()
        _fill(plane, options, prometheus.url)
        if of_deployments:
            _provision(plane, options, folder / "provisioning.log")
        yield plane
    finally:
        prometheus.stop()
        plane.kill()


def _fill(plane: ControlPlane, options: argparse.Namespace, prometheus: str) -> None:
    writer, began = fleet.Writer(plane), time.monotonic()
    for name in (*fleet.namespaces(options.canaries), "others"):
        writer.create("/api/v1/namespaces", {"metadata": {"name": name}})
    writer.all(fleet.strangers(writer, options.deployments, options.secrets))
    writer.all(_service(writer, number, options, prometheus) for number in range(options.canaries))
    print(f"filled in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _service(writer: fleet.Writer, number: int, options: argparse.Namespace, prometheus: str) -> Callable[[], None]:
    size = _group(number, options.sizes)
    if options.target == "Deployment":
        return partial(primaries.service, writer, number, size, prometheus)
    return partial(fleet.service, writer, number, number < options.active, size, prometheus, options.webhooks)


def _provision(plane: ControlPlane, options: argparse.Namespace, log: Path) -> None:
    """A controller makes all primaries; then new images are pushed while none runs."""
    replica = Replica(plane, "size", log)
    try:
        primaries.initialised(plane, options.canaries)
        took = time.monotonic() - replica.began
        print(f"{options.canaries} primaries made in {took:.0f} s", file=sys.stderr, flush=True)
    finally:
        replica.stop()
    writer = fleet.Writer(plane)
    writer.all(primaries.pushes(writer, options.active))


def _group(number: int, sizes: list[int]) -> int:
    """The smallest size that a Canary belongs to."""
    return next((size for size in sizes if number < size), sizes[-1])


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--canaries", type=int, default=1000)
    parser.add_argument("--active", type=int, default=1000, help="the first so many have a rollout")
    parser.add_argument("--sizes", type=lambda text: sorted(map(int, text.split(","))), default=[100, 500, 1000])
    parser.add_argument("--target", choices=["VirtualService", "Deployment"], default="VirtualService")
    parser.add_argument("--deployments", type=int, default=0, help="of others")
    parser.add_argument("--secrets", type=int, default=0)
    parser.add_argument("--hooks", type=int, default=0, help="webhooks of each Canary of a VirtualService")
    parser.add_argument("--window", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    hooks = fleet.Hooks()
    options.webhooks = hooks.webhooks(options.hooks)
    with tempfile.TemporaryDirectory() as folder, filled(options, Path(folder)) as plane:
        for size in options.sizes:
            groups = ",".join(str(each) for each in options.sizes if each <= size)
            active = min(size, options.active)
            log = Path(f"{folder}-{size}.log")
            replica = Replica(plane, f"size in ({groups})", log, hooks)
            _print(measure(replica, size, active, options.window))


def _print(row: Row) -> None:
    print(
        f"{row.size} canaries, {row.active} active: {row.cpu:.3f} cores, {row.rss:.0f} MiB (peak {row.peak:.0f}), "
        f"late p50 {row.p50 * 1000:.1f} ms p99 {row.p99 * 1000:.1f} ms, {row.reconciles:.1f} reconciles/s, "
        f"first reconcile after {row.first:.1f} s, all under way after {row.all_seen:.1f} s"
    )
    busiest = sorted(row.requests.items(), key=lambda item: -item[1])
    print("  requests a second: " + ", ".join(f"{name} {rate:.2f}" for name, rate in busiest))
    print(f"  queries to Prometheus a second: {row.queries:.2f}")
    print(
        f"  calls of webhooks a second: {row.hooks:.1f}; {row.threads} threads; "
        f"{row.slots:.2f} s in reconciles a second",
        flush=True,
    )


if __name__ == "__main__":
    main()
