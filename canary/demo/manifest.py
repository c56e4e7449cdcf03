"""The demo's canary.yaml: an ordinary manifest of an EnvoyRoute, which anybody could run by hand."""

from dataclasses import dataclass

from .proxy import ROUTE


@dataclass(frozen=True)
class Pace:
    """How fast and how strict a rollout is; times in seconds."""

    interval: int = 3
    looks: int = 2
    """That each step has to pass."""
    settle: float = 1.0
    drain: int = 3
    weights: tuple[int, ...] = (5, 20, 50, 100)
    limit: int = 250
    """What the 99th percentile of latency may be, in milliseconds."""


def manifest(admin: str, version: str, pace: Pace) -> str:
    """The manifest that asks for `version`; `admin` is the URL of Envoy's admin interface."""
    steps = "\n".join(f"    - {{weight: {weight}, looks: {pace.looks}}}" for weight in pace.weights)
    return f"""\
apiVersion: canary-controller.dev/v1beta1
kind: Canary
metadata: {{name: {ROUTE}}}
spec:
  targetRef: {{kind: EnvoyRoute, name: {ROUTE}}}
  envoy: {{admin: "{admin}", routes: routes/routes.yaml, log: envoy.log}}
  version: {version}  # an Envoy cluster: the version that shall serve everything
  revision: "{version[1:]}.0.0"
  analysis:
    interval: {pace.interval}s  # in real life minutes
    threshold: 2
    settle: {pace.settle:g}s
    drain: {pace.drain}s
    steps:
{steps}
    metrics:
    - {{name: request-success-rate, interval: {pace.interval}s, thresholdRange: {{min: 99}}}}
    - {{name: request-duration, interval: {pace.interval}s, thresholdRange: {{max: {pace.limit}}}}}
"""
