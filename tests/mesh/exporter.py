"""Where Prometheus scrapes each proxy, and the reader of the access log. telemetry.py says what is counted.

Prometheus learns of targets from a file, as it would from a cluster: of new ones within 5 s.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.parts import serving

from .snapshot import Data, Pod
from .telemetry import Counters, Known, inbound, outbound

JOB = "kubernetes-pods"
WAYPOINT = "waypoint"


class Exporter:
    """The proxies' counters by scrape target: `source-NAME`, `waypoint`, and pods by their names."""

    def __init__(self, folder: Path, log: Path, reporters: Iterable[str]) -> None:
        self.reporters = tuple(reporters)
        self.targets: dict[str, Counters] = {}
        self.read: Counter[str] = Counter()
        """Lines that were counted, by `inbound` and `outbound`."""
        self._file = folder / "targets.json"
        self._log = log
        self._known = Known({}, {}, {}, {})
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(_Pages)
        self._server.exporter = self
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._follow, daemon=True),
        ]
        self._tell()

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        for one in self._threads:
            one.join()

    def scrape_configs(self) -> str:
        """For Prometheus' configuration."""
        return f"- job_name: {JOB}\n  file_sd_configs: [{{files: ['{self._file}']}}]"

    def know(self, known: Known, present: Mapping[str, Pod]) -> None:
        """Who there is now; the targets of pods that are gone go with them."""
        names = [f"source-{one}" for one in known.sources if "source" in self.reporters]
        names += [WAYPOINT] if WAYPOINT in self.reporters else []
        names += [one.name for one in present.values() if "destination" in self.reporters]
        with self._lock:
            self._known = known
            kept = {name: self.targets.get(name) or Counters() for name in names}
            changed = kept.keys() != self.targets.keys()
            self.targets = kept
        if changed:
            self._tell()

    def _tell(self) -> None:
        address = f"127.0.0.1:{self._server.server_port}"
        groups = [
            {"targets": [address], "labels": {"instance": name, "pod": name, "__metrics_path__": f"/{name}"}}
            for name in sorted(self.targets)
        ]
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(groups))
        draft.rename(self._file)

    def _follow(self) -> None:
        """Read the log to its end, again and again; a line counts once it is complete."""
        rest = b""
        with self._log.open("rb") as log:
            while not self._ended.wait(0.02):
                *lines, rest = (rest + log.read()).split(b"\n")
                for line in lines:
                    self._count(json.loads(line))

    def _count(self, line: Data) -> None:
        with self._lock:
            if "pod" in line:
                self.read["inbound"] += 1
                pod = self._known.pods.get(line["pod"])
                if pod is not None and pod.name in self.targets:
                    self.targets[pod.name].add(inbound(line, self._known), line["ms"])
                return
            self.read["outbound"] += 1
            for reporter, target in (("source", f"source-{line['source']}"), (WAYPOINT, WAYPOINT)):
                if target in self.targets:
                    self.targets[target].add(outbound(line, self._known, reporter), line["ms"])


class _Server(serving.Server):
    exporter: Exporter


class _Pages(serving.Handler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        counters = self.server.exporter.targets.get(self.path.strip("/"))
        found = counters is not None and counters.healthy
        body = counters.page().encode() if counters is not None and found else b""
        self.answer(200 if found else 503, body, serving.METRICS)
