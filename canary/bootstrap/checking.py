"""Asks each metric of a manifest once, for `canary metrics check`, which also shows what is sent and to whom."""

from contextlib import suppress

from canary.api.canary import Canary
from canary.engine.errors import Invalid
from canary.engine.observed import Missing, Query, Sample, Subject
from canary.engine.pairs import dialect_for
from canary.engine.probing import MetricAnswer, Probe, ended, probes, unreadable
from canary.engine.targets import target_of
from canary.metrics import batching
from canary.metrics.answers import ANYTIME
from canary.metrics.credentials import address
from canary.metrics.event_counts import EventCounters
from canary.metrics.promql import Dialect, custom

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
    _, name = target_of(canary).names(canary)
    seen = run.parts.workloads.read(name)
    workload = name if isinstance(seen, Missing) else seen.name
    return Subject(workload=workload or canary.spec.target_ref.name, namespace=canary.metadata.namespace)


def sent(query: Query, home: str | None, dialect: str) -> str:
    """The text of a query; empty for a builtin that no Prometheus is asked, and for what can't be asked at all."""
    try:
        if query.bad is not None:
            return EventCounters.of(query, batching.tiled(query.window, ANYTIME)).text(new=False)
        if query.text is not None:
            return custom(query).strip()
        if query.server is None and home is None:
            return ""
        table = Dialect(dialect)
        return "\n".join(batch.text(table) for batch in batching.plan([query], home, table.table, ANYTIME).batches)
    except Invalid:
        return ""


def server_of(query: Query, home: str | None) -> str:
    """The address of the server that is asked, without a password; empty for the API server and for Envoy itself."""
    own = home if query.provider is None or query.provider.type == "prometheus" else None
    with suppress(Invalid):
        return address(query.server or own or "")[0]
    return ""
