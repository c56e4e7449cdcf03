"""Rules that are made of the table of pairs: what a target of a kind needs, and what its router can't do."""

from collections.abc import Iterator

from canary.api import names
from canary.api.canary import CanarySpec
from canary.api.service import TCP_PROTOCOLS, Service
from canary.engine.pairs import TCP, Capabilities, Pairing, TargetType
from canary.engine.validation import primary, target, tcp, traffic
from canary.engine.validation.problem import on_the_wire

from .cel import BLOCKS, BUILTIN_NAMES, Rule, any_of, empty, filled, object_name, unless, unless_routed


def _host(pair: Pairing, field: str) -> Rule:
    fits = f"size(self.{field}) <= 254 && self.{field}.matches(r'(?i)^{names.PATTERN}[.]?$')"
    return Rule(f"{unless(pair)} || {empty(field)} || ({fits})", target.NO_HOST, field)


def in_cluster(pair: Pairing) -> Iterator[Rule]:
    """What is an object of an API server, and what is beside it."""
    yield Rule(f"{unless(pair)} || !has(self.envoy)", target.ENVOY_ELSEWHERE.format(pair), "envoy")
    if pair.type is TargetType.PRIMARY:
        yield from _with_primary(pair)
        return
    named = f"!has(self.virtualServices) || self.virtualServices.all(one, one == '' || ({object_name('one')}))"
    yield Rule(f"{unless(pair)} || {named}", target.no_object(pair), "virtualServices")
    yield from (_host(pair, field) for field in ("version", "stable", "host"))


def _with_primary(pair: Pairing) -> Iterator[Rule]:
    """A target that is released through a primary."""
    others, given = unless(pair), "!has(self.service)"
    yield Rule(f"{others} || has(self.service)", primary.NO_SERVICE.format(pair), "service")
    for name, sentence in primary.NOT_HERE.items():
        field = on_the_wire(CanarySpec, name)
        yield Rule(f"{others} || {empty(field)}", sentence.format(pair, pair.released), field)
    kept = "has(self.service.primaryLabels) && self.service.primaryLabels == 'keep'"
    if pair.scalable:
        copied = f"!has(self.autoscalerRef) || self.autoscalerRef.kind in {list(primary.SCALERS)}"
        yield Rule(f"{others} || {copied}", primary.NO_SCALER, "autoscalerRef.kind")
        both = f"{others} || {given} || !has(self.autoscalerRef) || !({kept})"
        yield Rule(both, primary.NOT_SCALED, "autoscalerRef")
    else:
        yield Rule(f"{others} || !has(self.autoscalerRef)", primary.not_scalable(pair), "autoscalerRef")
        yield Rule(f"{others} || {given} || !({kept})", primary.not_kept(pair), "service.primaryLabels")
    if not pair.given_pods:
        own = f"{empty('service.name')} || self.service.name == self.targetRef.name"
        yield Rule(f"{others} || {given} || {own}", primary.ONE_NAME.format(pair), "service.name")
    name = f"({filled('service.name')} ? self.service.name : self.targetRef.name)"
    called = f"size({name}) <= {primary.LONGEST} && {name}.matches(r'^{primary.SERVICE}$')"
    yield Rule(
        f"{others} || {given} || ({called})", primary.NO_NAME, "service" if pair.given_pods else "targetRef.name"
    )
    ports = [f"({filled(f'service.{field}')} ? self.service.{field} : '')" for field in ("appProtocol", "portName")]
    protocol = f"({ports[0]} != '' ? {ports[0]} : {ports[1]}).lowerAscii()"
    speaks = f".exists(one, {protocol} == one || {protocol}.startsWith(one + '-'))"
    yield Rule(f"{others} || {given} || !{list(primary.UNSHARED)}{speaks}", primary.NOT_SHARED, "service")
    yield from _with_tcp(f"{others} || {given} || !{list(TCP_PROTOCOLS)}{speaks}")
    for field in ("hosts", "gateways"):
        delegated = "!has(self.service.delegation) || !self.service.delegation"
        rule = f"{others} || {given} || {delegated} || {empty(f'service.{field}')}"
        yield Rule(rule, primary.DELEGATED, f"service.{field}")


def _with_tcp(others: str) -> Iterator[Rule]:
    """What connections don't have."""
    for name in tcp.OF_REQUESTS:
        field = f"service.{on_the_wire(Service, name)}"
        yield Rule(f"{others} || !has(self.{field})", tcp.NO_REQUESTS, field)
    yield Rule(f"{others} || !has(self.service.delegation) || !self.service.delegation", tcp.NO_DELEGATE, "service")
    builtin = f".all(metric, !(metric.name in [{BUILTIN_NAMES}]))"
    for field, holds, sentence in (("metrics", builtin, tcp.NO_COUNTS), ("minRequests", " == 0", tcp.NO_MINIMUM)):
        none = (f"(!has(self.{one}) || !has(self.{one}.{field}) || self.{one}.{field}{holds})" for one in BLOCKS)
        yield Rule(f"{others} || ({' && '.join(none)})", sentence)
    yield from _unable(others, TCP)


def unable(pair: Pairing) -> Iterator[Rule]:
    """What the pair's router can't do is asked for neither by the analysis nor by one of its steps."""
    return _unable(unless_routed(pair), pair.capabilities)


def _unable(others: str, can: Capabilities) -> Iterator[Rule]:
    """The same of all but other cases."""
    conditions = (("headers", can.headers), ("queryParams", can.query_params), ("sourceLabels", can.source_labels))
    for field, able in conditions:
        if not able:
            none = f".all(one, !has(one.{field}) || size(one.{field}) == 0)"
            yield _only(others, "match", none, traffic.CANT_MATCH.format(field))
    if not can.mirror:
        yield _only(others, "mirror", " == false", traffic.CANT_MIRROR, in_step=" == 0")
    if not can.affinity:
        none = " && ".join(f"(!has(self.{one}) || !has(self.{one}.sessionAffinity))" for one in BLOCKS)
        yield Rule(f"{others} || ({none})", traffic.NO_AFFINITY)
    if not can.match_weight:
        none = " && ".join(map(_without_shares, BLOCKS))
        yield Rule(f"{others} || ({none})", f"{can.name} {traffic.CANT_SHARE}")


def _only(others: str, field: str, holds: str, sentence: str, in_step: str = "") -> Rule:
    """Where the analysis or one of its steps has the field, this holds of it; `in_step` where a step's is another."""
    stepwise = in_step or holds
    blocks = (
        f"(!has(self.{one}) || ((!has(self.{one}.{field}) || self.{one}.{field}{holds}) && "
        f"(!has(self.{one}.steps) || self.{one}.steps.all(step, !has(step.{field}) || step.{field}{stepwise}))))"
        for one in BLOCKS
    )
    return Rule(f"{others} || ({' && '.join(blocks)})", sentence)


def _without_shares(block: str) -> str:
    """Neither the analysis nor one of its steps shares out requests that match."""
    given = f"self.{block}"
    weights = f"!({any_of(f'{block}.stepWeight', f'{block}.stepWeights')})"
    steps = f"(!has({given}.steps) || {given}.steps.all(step, !has(step.matchWeight)))"
    return f"(!has({given}) || ((!{filled(f'{block}.match')} || {weights}) && {steps}))"
