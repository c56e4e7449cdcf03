"""Asks each metric of a manifest once, for `canary metrics check`."""

from canary.api.canary import Canary
from canary.engine.observed import Missing, Sample, Subject
from canary.engine.pairs import dialect_for
from canary.engine.probing import MetricAnswer, Probe, ended, probes, unreadable
from canary.engine.targets import target_of
from canary.metrics.sending import sent, server_of

from .site import Run


def answers(run: Run) -> tuple[MetricAnswer, ...]:
    """One for each metric, about the version that the manifest wants."""
    resolved, parts = run.parts.target.resolved(), run.parts
    now = parts.clock.now()
    asked = tuple(probes(resolved, _subject(run, resolved.manifest), now))
    found = parts.metrics.measure([one.query for one in asked], ended(resolved, now))
    dialect = dialect_for(resolved.manifest.spec)
    return tuple(_answered(run.server, dialect, one, found[one.query]) for one in asked)


def _answered(home: str | None, dialect: str, probe: Probe, answer: Sample) -> MetricAnswer:
    query = probe.query
    near = query.text is None and query.server is None and home is None
    return MetricAnswer(
        check=probe.judged(answer),
        provider="envoy" if near else query.provider.type if query.provider else "prometheus",
        server=server_of(query, home),
        query=sent(query, home, dialect),
        readable=bool(probe.metric.dry_run) or not unreadable(answer),
    )


def _subject(run: Run, canary: Canary) -> Subject:
    """The workload behind the version; by the version's name while there is none."""
    _, name = target_of(canary.spec.target_ref.kind).names(canary)
    seen = run.parts.workloads.read(name)
    workload = name if isinstance(seen, Missing) else seen.name
    return Subject(workload=workload or canary.spec.target_ref.name, namespace=canary.metadata.namespace)
