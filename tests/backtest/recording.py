"""A recorded rollout of `web` in half minutes: 10 requests a second, and a canary that fails from some time on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HALF = timedelta(seconds=30)
MANIFEST = """\
apiVersion: canary-controller.dev/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis:
    interval: 1m
    settle: 0s
    threshold: 2
    stepWeights: [10, 50]
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}}
    - {name: request-duration, thresholdRange: {max: 500}}
"""


@dataclass(frozen=True)
class Half:
    """The requests of one version in one half minute; `slow` took between 250 and 500 ms, the others less."""

    at: datetime
    """Its end."""
    version: str
    total: int
    bad: int
    slow: int = 0


def rollout(weights: list[int], failing_from: int, share: float = 0.1, halves: int = 4) -> Iterator[Half]:
    """So many half minutes at each weight; from one of them on, this share of the canary's requests fails."""
    for number, weight in enumerate(weight for weight in weights for _ in range(halves)):
        at, canary = NOON + (number + 1) * HALF, 300 * weight // 100
        bad = round(canary * share) if number >= failing_from else 0
        yield Half(at, "web", canary, bad, canary // 10)
        yield Half(at, "web-primary", 300 - canary, 0, (300 - canary) // 10)


def as_csv(halves: Iterator[Half]) -> str:
    """A file of samples."""
    rows = [f"{one.at.isoformat()},{one.version},{one.total},{one.bad},{one.slow},0" for one in halves]
    return "\n".join(["time,version,total,bad,slower_250,slower_500", *rows, ""])


def as_openmetrics(halves: Iterator[Half]) -> str:
    """Istio's counters as Prometheus scraped them of the pods' proxies, each half minute; promtool reads it."""
    counters: dict[str, list[str]] = {}
    grown: dict[tuple[str, str], int] = {}
    given = list(halves)
    begin = [Half(NOON - n * HALF, version, 0, 0) for n in (2, 1, 0) for version in ("web", "web-primary")]
    for half in (*begin, *given):
        whose = f'reporter="destination",destination_workload="{half.version}",destination_workload_namespace="shop"'
        codes = {"200": half.total - half.bad, "500": half.bad}
        edges = {"250": half.total - half.slow, "500": half.total, "+Inf": half.total}
        for name, label, counts in (
            ("istio_requests_total", "response_code", codes),
            ("istio_request_duration_milliseconds_bucket", "le", edges),
        ):
            for value, count in counts.items():
                series = f'{name}{{{whose},request_protocol="http",{label}="{value}"}}'
                grown[half.version, series] = grown.get((half.version, series), 0) + count
                counters.setdefault(series, []).append(
                    f"{series} {grown[half.version, series]} {half.at.timestamp():.0f}"
                )
    return "\n".join([line for lines in counters.values() for line in lines] + ["# EOF", ""])
