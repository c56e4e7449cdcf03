"""Wires `canary backtest`: a manifest, the recorded metrics, and the names by which they know the pair.

Nothing of a cluster is asked: what the manifest doesn't say, the user does.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from canary.api.canary import Canary
from canary.engine.errors import Invalid
from canary.engine.observed import Subject
from canary.engine.pairs import TargetType, dialect_for, pair_for
from canary.engine.resolved import ResolvedSpec
from canary.manifests.target import ManifestTarget, in_namespace
from canary.metrics.credentials import from_environment
from canary.metrics.prometheus import Prometheus
from canary.metrics.promql import Dialect
from canary.metrics.providers.adapter import Providers, Routed, Surroundings
from canary.metrics.samples import Samples, read_samples
from canary.metrics.secrets import NoSecrets
from canary.metrics.secrets import from_environment as secrets_of
from canary.ports import Metrics
from canary.primary.names import Names
from canary.rollout.backtest import Recording

from .site import Past, Place, headers_of

TIMEOUT = 30.0
"""Seconds for the questions of one evaluation: no traffic waits for them."""


@contextmanager
def recorded(place: Place, past: Past) -> Iterator[tuple[ResolvedSpec, Recording]]:
    """The rollout to judge, and its past. Raises Invalid for what is missing or contradicts itself."""
    manifest = place.target
    resolved = manifest.resolved()
    if place.namespace:
        resolved = in_namespace(resolved, place.namespace)
    if past.samples is not None:
        yield _in_file(resolved, past, read_samples(past.samples))
        return
    with ExitStack() as stack:
        start, end = _range(past)
        metrics = _prometheus(stack, resolved, manifest)
        stable, canary = _pair(resolved, past)
        yield resolved, Recording(start, end, stable, canary, metrics)


def _in_file(resolved: ResolvedSpec, past: Past, samples: Samples) -> tuple[ResolvedSpec, Recording]:
    """The whole file unless a range is given. Where it has two versions, the other one is stable."""
    first, last = samples.span
    start, end = past.start or first, past.end or last
    canary = past.canary or _names(resolved.manifest)[1]
    others = [name for name in samples.versions if name != canary]
    _there(samples, past, "--canary", canary)
    stable = past.stable or (others[0] if len(others) == 1 else None)
    pair = _pair(resolved, replace(past, stable=stable))
    _there(samples, past, "--stable", pair[0].workload)
    known = tuple(one for one in resolved.policy.metrics if not one.own)
    left_out = tuple(one.name for one in resolved.policy.metrics if one.own)
    if left_out and not known:
        names = ", ".join(left_out)
        only = f"and there are only such metrics: {names}"
        raise Invalid(f"{past.samples} answers no query or counts of your own, {only}")
    # What is in a file is complete.
    counted = replace(resolved, policy=resolved.policy.but(metrics=known, lag=timedelta()))
    return counted, Recording(start, end, *pair, samples, left_out)


def _there(samples: Samples, past: Past, option: str, name: str | None) -> None:
    if name and name not in samples.versions:
        raise Invalid(f"{past.samples} has no row of {name}; {option} names one of {', '.join(samples.versions)}")


def _range(past: Past) -> tuple[datetime, datetime]:
    """Ends now at the latest: what is not recorded yet is no past."""
    now = datetime.now(UTC)
    if past.start is None:
        raise Invalid("--from is missing: give the time at which the canary got its first traffic")
    end = past.end or now
    if max(past.start, end) > now:
        option, time = ("--from", past.start) if past.start > now else ("--to", end)
        raise Invalid(f"{option}: {time:%Y-%m-%dT%H:%M:%SZ} is in the future")
    return past.start, end


def _names(canary: Canary) -> tuple[str | None, str | None]:
    """Stable and canary as metrics know them, as far as the manifest says so."""
    pair = pair_for(canary.spec)
    if pair is not None and pair.type is TargetType.PRIMARY:
        names = Names.of(canary)
        return names.primary, names.target
    return canary.spec.stable, canary.spec.version


def _pair(resolved: ResolvedSpec, past: Past) -> tuple[Subject, Subject]:
    """Stable and canary, as the queries of the rollout named them."""
    names = _names(resolved.manifest)
    stable, canary = past.stable or names[0], past.canary or names[1]
    for option, name, whose in (("--stable", stable, "stable version"), ("--canary", canary, "canary")):
        if not name:
            raise Invalid(f"{option} is missing: give the name by which the metrics know the {whose}")
    if stable == canary:
        raise Invalid(f"stable and canary are both {stable}; --stable and --canary name them")
    namespace, hosts = resolved.manifest.metadata.namespace, _hosts(resolved.manifest)
    return (
        Subject(stable or "", namespace, hosts[0], alone=bool(hosts[0]), reporter=resolved.policy.reporter),
        Subject(canary or "", namespace, hosts[1], alone=bool(hosts[1]), reporter=resolved.policy.reporter),
    )


def _hosts(canary: Canary) -> tuple[str, str]:
    """The Services of stable and canary, where each has its own; else what reached no pod counts for no version."""
    pair = pair_for(canary.spec)
    if pair is None or pair.type is not TargetType.PRIMARY:
        return "", ""
    names, domain = Names.of(canary), f"{canary.metadata.namespace}.svc.cluster.local"
    return f"{names.primary_host}.{domain}", f"{names.canary_host}.{domain}"


def _prometheus(stack: ExitStack, resolved: ResolvedSpec, manifest: ManifestTarget) -> Metrics:
    """The Prometheus that the options or the manifest name, and the providers of its MetricTemplates."""
    url = resolved.manifest.spec.metrics_server
    if url is None:
        raise Invalid("--prometheus is missing: give the URL of the Prometheus, or a file with --samples")
    dialect = Dialect(dialect_for(resolved.manifest.spec))
    prometheus = Prometheus(url, from_environment(os.environ), dialect, timeout=TIMEOUT)
    stack.callback(prometheus.close)
    around = Surroundings(secrets_of(os.environ, NoSecrets()), headers_of(manifest))
    providers = Providers(around, timeout=TIMEOUT)
    stack.callback(providers.close)
    return Routed(prometheus, providers, url)
