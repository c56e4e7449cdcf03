"""Argo's AnalysisTemplates to metrics and MetricTemplates."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from canary.api.canary import API_VERSION
from canary.api.duration import parse

from .argo_objects import ArgoFiles, Object, namespace_of

Data = Mapping[str, Any]
_NUMBER = r"-?\d+(?:\.\d+)?"
_VALUE = rf"(?:(?:asFloat|asInt|default)\(\s*)?result(?:\[0\])?(?:\s*,\s*{_NUMBER})?\s*\)?"
_COMPARED = re.compile(rf"{_VALUE}\s*(?P<sign>>=|<=|==|>|<)\s*(?P<number>{_NUMBER})")
_TURNED = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<sign>>=|<=|==|>|<)\s*{_VALUE}")
_NO_DATA = re.compile(r"len\(result\)\s*(==|>|!=)\s*0|!?\s*isNaN\(result(?:\[0\])?\)|result\s*[!=]=\s*nil")
_MIRRORED = {">=": "<=", "<=": ">=", ">": "<", "<": ">", "==": "=="}
_NEGATED = {">=": "<", "<=": ">", ">": "<=", "<": ">="}
_ARG = re.compile(r"\{\{\s*(?:inputs\.)?args\.([\w.-]+)\s*\}\}")
_FIELD = re.compile(r"metadata\.(name|namespace)|metadata\.(labels|annotations)\[['\"]([^'\"]+)['\"]\]")
PROVIDERS = {
    "prometheus": "prometheus",
    "graphite": "graphite",
    "influxdb": "influxdb",
    "datadog": "datadog",
    "newRelic": "newrelic",
}
"""Of Argo's: their types in a MetricTemplate."""
INSTEAD = {
    "job": "; let a webhook start the Job and answer when it has ended, such as one of the load tester",
    "web": "; write a webhook, or a MetricTemplate if a metrics server has the value",
}
"""By a provider that a metric can't have here."""
KEYS = ("address", "query", "apiVersion", "interval")
"""What a provider may say that isn't lost: a window is the metric's."""
LIMITS = ("inconclusiveLimit", "consecutiveSuccessLimit", "initialDelay")
"""Fields of a metric that a Canary doesn't have."""


@dataclass
class Analyses:
    """The metrics of one Rollout, as they are found in its analyses."""

    sources: ArgoFiles
    rollout: Data
    lost: Callable[[str], None]
    metrics: list[Object] = field(default_factory=list)
    templates: list[Object] = field(default_factory=list)
    intervals: list[timedelta] = field(default_factory=list)

    def add(self, analysis: Data, where: str) -> int:
        """Add what an analysis refers to. How many measurements it takes of each metric, at least one."""
        counts = [1]
        for ref in analysis.get("templates") or []:
            counts += self._template(ref, self._given(analysis), where, ())
        self._dry_run(analysis)
        return max(counts)

    def _dry_run(self, given: Data) -> None:
        """Metrics that are shown only. Argo takes regular expressions for their names."""
        for one in given.get("dryRun") or []:
            for metric in self.metrics:
                if _fits(str(one.get("metricName")), metric["name"]):
                    metric["dryRun"] = True

    def _given(self, analysis: Data) -> dict[str, str | None]:
        """The values of arguments; None for those that are only known in a cluster."""
        return {str(one["name"]): self._value(one) for one in analysis.get("args") or [] if one.get("name")}

    def _value(self, arg: Data) -> str | None:
        if arg.get("value") is not None:
            return str(arg["value"])
        path = str(((arg.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath") or "")
        found = _FIELD.fullmatch(path)
        if found is None:
            return None
        metadata: Data = self.rollout.get("metadata") or {}
        value = metadata.get(found[1]) if found[1] else (metadata.get(found[2]) or {}).get(found[3])
        return None if value is None else str(value)

    def _template(self, ref: Data, given: Mapping[str, str | None], where: str, above: Sequence[str]) -> list[int]:
        name = str(ref.get("templateName") or "")
        kind = "ClusterAnalysisTemplate" if ref.get("clusterScope") else "AnalysisTemplate"
        template = self.sources.get(kind, name, None if ref.get("clusterScope") else namespace_of(self.rollout))
        if template is None:
            self.lost(f"{where}: these files have no {kind} {name}, so its metrics are missing")
            return []
        if name in above:
            return []
        self.sources.take(template)
        spec: Data = template.get("spec") or {}
        defaults = {str(one["name"]): self._value(one) for one in spec.get("args") or [] if one.get("name")}
        values = {**defaults, **given}
        counts = [self._metric(one, name, values) for one in spec.get("metrics") or [] if isinstance(one, dict)]
        self._dry_run(spec)
        for nested in spec.get("templates") or []:
            counts += self._template(nested, values, where, (*above, name))
        return counts

    def _metric(self, metric: Data, template: str, values: Mapping[str, str | None]) -> int:
        name, where = str(metric.get("name") or "metric"), f"{template}, metric {metric.get('name')}"
        provider: Data = metric.get("provider") or {}
        number = max(1, _whole(metric.get("count")))
        kind = next((one for one in PROVIDERS if isinstance(provider.get(one), dict)), None)
        if kind is None:
            hint = next((INSTEAD[one] for one in provider if one in INSTEAD), "")
            self.lost(f"{where}: the provider {', '.join(provider) or 'is missing'}; this check is missing{hint}")
            return number
        if any(one["name"] == name and one["templateRef"]["name"] == _called(template, name) for one in self.metrics):
            return number
        made: Object = {"name": name, "templateRef": {"name": _called(template, name)}}
        if any(one["name"] == name for one in self.metrics):
            made["name"] = f"{template}-{name}"
        limits = _range(metric, where, self.lost)
        if limits:
            made["thresholdRange"] = limits
        asked: Data = provider[kind]
        query, used = _query(str(asked.get("query") or ""))
        if asked.get("interval"):
            made["interval"] = asked["interval"]
        for arg in sorted(name for name in used if values.get(name) is None):
            self.lost(f"{where}: the argument {arg} has no value in these files; write it in templateVariables")
        variables = {_word(arg): value for arg in sorted(used) if (value := values.get(arg)) is not None}
        if variables:
            made["templateVariables"] = variables
        made["failureLimit"] = _whole(metric.get("failureLimit"))
        if metric.get("consecutiveErrorLimit") is not None:
            made["consecutiveErrorLimit"] = _whole(metric["consecutiveErrorLimit"])
        self.metrics.append(made)
        self.templates.append(self._metric_template(kind, asked, (_called(template, name), query), values, where))
        self._timing(metric, where)
        return number

    def _metric_template(
        self, kind: str, asked: Data, called: tuple[str, str], values: Mapping[str, str | None], where: str
    ) -> Object:
        """`called` is the name of the template, and its query."""
        provider: Object = {"type": PROVIDERS[kind]}
        address = asked.get("address")
        if address:
            provider["address"] = _ARG.sub(lambda found: values.get(found[1]) or found[0], str(address))
        for word in sorted(asked.keys() - {*KEYS}):
            self.lost(f"{where}: {kind}.{word}")
        if kind not in ("prometheus", "graphite"):
            self.lost(f"{where}: the credentials for {kind}; write them into a Secret, and provider.secretRef")
        namespace = namespace_of(self.rollout)
        metadata = {"name": called[0], **({"namespace": namespace} if namespace else {})}
        spec = {"provider": provider, "query": called[1]}
        return {"apiVersion": API_VERSION, "kind": "MetricTemplate", "metadata": metadata, "spec": spec}

    def _timing(self, metric: Data, where: str) -> None:
        try:
            self.intervals += [parse(str(metric["interval"]))] if metric.get("interval") else []
        except ValueError:
            self.lost(f"{where}: interval {metric['interval']!r} is no duration such as 1m")
        for word in LIMITS:
            if metric.get(word):
                self.lost(f"{where}: {word}")


def _fits(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return pattern == name


def _whole(value: Any) -> int:
    """A number that Argo takes as one or as text; 0 if it is neither."""
    return int(value) if str(value).isdecimal() else 0


def _called(template: str, metric: str) -> str:
    return re.sub("[^a-z0-9-]+", "-", f"{template}-{metric}".lower()).strip("-")


def _word(arg: str) -> str:
    """An argument's name as a template variable."""
    return re.sub(r"\W", "_", arg)


def _query(text: str) -> tuple[str, set[str]]:
    """The query with template variables in place of arguments, and the arguments."""
    return _ARG.sub(lambda found: f"{{{{ variables.{_word(found[1])} }}}}", text), set(_ARG.findall(text))


def _range(metric: Data, where: str, lost: Callable[[str], None]) -> Object:
    """The values that pass, by `successCondition`, else by `failureCondition`; empty if neither can be read."""
    success, failure = metric.get("successCondition"), metric.get("failureCondition")
    text = str(success or failure or "").strip()
    if success and failure:
        lost(f"{where}: failureCondition. What isn't a success fails; nothing is inconclusive.")
    outer, inner = ("&&", "||") if success else ("||", "&&")
    bounds: Object = {}
    for part in text.split(outer):
        terms = [_bare(one) for one in part.split(inner)]
        compared = [one for one in terms if one and not _NO_DATA.fullmatch(one)]  # no data is no failed check here
        if not compared:
            continue
        found = _COMPARED.fullmatch(compared[0]) or _TURNED.fullmatch(compared[0])
        if found is None or len(compared) > 1:
            lost(f"{where}: the condition {text!r}; write a thresholdRange")
            return {}
        sign = _MIRRORED[found["sign"]] if found.re is _TURNED else found["sign"]
        sign = sign if success else _NEGATED.get(sign, "")
        number = float(found["number"])
        value: float | int = int(number) if number.is_integer() else number
        if sign in (">=", ">", "=="):
            bounds["min"] = max(value, bounds.get("min", value))
        if sign in ("<=", "<", "=="):
            bounds["max"] = min(value, bounds.get("max", value))
        if sign in (">", "<"):
            lost(f"{where}: {text!r} fails at exactly {value:g}, and the thresholdRange passes there")
    if not bounds:
        lost(f"{where}: there is no condition that a thresholdRange can express; write one")
    return bounds


def _bare(text: str) -> str:
    """A term of a condition, without brackets around it."""
    text = text.strip()
    while text.startswith("("):
        text = text[1:].strip()
    while text.count(")") > text.count("("):
        text = text.removesuffix(")").strip()
    return text
