"""Argo's Rollouts to Canaries of Deployments; what has no counterpart is listed.

`Steps` turns Argo's steps, each a change, into ours, each a complete traffic state with what ends it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Any

from canary.api.canary import API_VERSION
from canary.api.duration import brief, parse
from canary.engine.errors import Invalid
from canary.manifests.documents import documents

from .argo_analysis import Analyses
from .argo_objects import (
    SPEC_FIELDS,
    ArgoFiles,
    Data,
    Object,
    deployment,
    name_of,
    namespace_of,
    port_of,
    scaler,
    services_of,
    virtual_service,
)
from .commented import Imported, Note, joined, written

GROUP = "argoproj.io/"
PAGE = "Imported from Argo Rollouts; docs/from-argo.md lists what differs."
CANARY_FIELDS = (
    *("steps", "analysis", "trafficRouting", "canaryService", "stableService", "maxSurge", "maxUnavailable"),
    *("scaleDownDelaySeconds", "abortScaleDownDelaySeconds"),
)
BLUE_GREEN_FIELDS = (
    *("activeService", "previewService", "autoPromotionEnabled", "autoPromotionSeconds", "prePromotionAnalysis"),
    *("postPromotionAnalysis", "scaleDownDelaySeconds", "abortScaleDownDelaySeconds"),
)
DELAYS = ("scaleDownDelaySeconds", "abortScaleDownDelaySeconds")


def argo(files: Iterable[tuple[str, str]]) -> Imported:
    """Converts the Rollouts of some files, given as (name, text). Raises Invalid."""
    found = []
    for name, text in files:
        for document in documents(text):
            wrong = [f"{name}:{line}:{column}: {one.sentence}" for (line, column), one in document.problems]
            if wrong:
                raise Invalid("\n".join(wrong))
            found.append(document)
    sources = ArgoFiles(tuple(found))
    rollouts = [one for one in sources.each("Rollout") if str(one.get("apiVersion", "")).startswith(GROUP)]
    if not rollouts:
        raise Invalid("these files hold no Rollout (apiVersion: argoproj.io/v1alpha1)")
    conversions = [_Conversion(sources, one) for one in rollouts]
    texts = [text for one in conversions for text in one.texts()]
    rest = [document.text.removeprefix("---\n") for document in sources.rest()]
    lost = tuple(sentence for one in conversions for sentence in one.lost)
    return Imported(joined([*texts, *rest]), lost, len(rollouts))


class _Conversion:
    """One Rollout."""

    def __init__(self, sources: ArgoFiles, rollout: Data) -> None:
        self.sources, self.rollout = sources, rollout
        self.name, self.namespace = name_of(rollout), namespace_of(rollout)
        self.spec: Data = rollout.get("spec") or {}
        strategies: Data = self.spec.get("strategy") or {}
        self.blue_green = "blueGreen" in strategies
        self.strategy: Data = strategies.get("blueGreen" if self.blue_green else "canary") or {}
        self.lost: list[str] = []
        self.notes: list[Note] = [Note((), PAGE)]
        self.analyses = Analyses(sources, rollout, self._lose)

    def _lose(self, sentence: str) -> None:
        self.lost.append(f"Rollout {self.name}: {sentence}")

    def texts(self) -> list[str]:
        """The objects that take the Rollout's place, each as text."""
        self.sources.take(self.rollout)
        workload = self._workload()
        service, routes = self._service(workload)
        scaled = scaler(self.sources, self.rollout)
        analysis = self._analysis()
        spec: Object = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name_of(workload)}}
        if scaled is not None:
            ref = {"apiVersion": scaled.get("apiVersion"), "kind": scaled.get("kind"), "name": name_of(scaled)}
            spec["autoscalerRef"] = ref
        if "progressDeadlineSeconds" in self.spec:
            spec["progressDeadlineSeconds"] = self.spec["progressDeadlineSeconds"]
        if self.spec.get("paused"):
            spec["suspend"] = True
        if "steps" not in analysis:
            spec["skipAnalysis"] = True
            self.notes.append(Note(("spec", "skipAnalysis"), "The Rollout had no steps."))
            analysis = {}
        spec |= {"service": service, **({"analysis": analysis} if analysis else {})}
        for field in sorted(self.spec.keys() - {*SPEC_FIELDS}):
            self._lose(f"spec.{field}")
        known = BLUE_GREEN_FIELDS if self.blue_green else CANARY_FIELDS
        for field in sorted(self.strategy.keys() - {*known}):
            self._lose(f"spec.strategy.{'blueGreen' if self.blue_green else 'canary'}.{field}")
        canary = {"apiVersion": API_VERSION, "kind": "Canary", "metadata": self._metadata(), "spec": spec}
        made = [written(workload)] if "workloadRef" not in self.spec else []
        made += [written(one) for one in (scaled, routes) if one is not None]
        made += [written(one) for one in self.analyses.templates]
        return [*made, written(canary, [*self.notes, *self._comments()])]

    def _metadata(self) -> Object:
        return {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}

    def _comments(self) -> list[Note]:
        """What has no counterpart, where the reader of the manifest sees it."""
        own = [sentence.partition(": ")[2] for sentence in self.lost]
        return [Note(("spec",), f"No counterpart: {sentence}") for sentence in own]

    # ---- objects ------------------------------------------------------------------------------------------------

    def _workload(self) -> Data:
        ref = self.spec.get("workloadRef")
        if not isinstance(ref, dict):
            made = deployment(self.rollout)
            labels = ((made["spec"].get("selector") or {}).get("matchLabels") or {}).keys()
            if not labels & {"app", "name", "app.kubernetes.io/name"}:
                self._lose(
                    "spec.selector: the Deployment must select its pods by app, name or app.kubernetes.io/name"
                )
            return made
        found = self.sources.get("Deployment", ref.get("name"), self.namespace)
        if ref.get("kind", "Deployment") != "Deployment":
            self._lose(f"spec.workloadRef.kind {ref['kind']}; only a Deployment can be the target")
        if "scaleDown" in ref:
            self._lose("spec.workloadRef.scaleDown; canary scales the Deployment to zero at rest")
        return found or {"metadata": {"name": ref.get("name")}, "spec": {}}

    def _service(self, workload: Data) -> tuple[Object, Object | None]:
        """`spec.service`, and the routes that canary adopts."""
        istio = (self.strategy.get("trafficRouting") or {}).get("istio") or {}
        for router in sorted((self.strategy.get("trafficRouting") or {}).keys() - {"istio", "managedRoutes"}):
            self._lose(f"trafficRouting.{router}; the requests must go through Istio")
        stable, canary = self._own_services()
        subsets = istio.get("destinationRule") or {}
        rule = self.sources.get("DestinationRule", subsets.get("name"), self.namespace) if subsets else None
        policy = None
        if rule is not None:
            self.sources.take(rule)
            policy = (rule.get("spec") or {}).get("trafficPolicy")
            stable = stable or str((rule.get("spec") or {}).get("host") or "").partition(".")[0] or None
        matching = [name_of(one) for one in services_of(self.sources, self.rollout)]
        called = [host for host in self._hosts(istio) if host in matching]
        apex = next(iter([*called, *([stable] if stable else []), *matching, self.name]))
        if not istio and not self.blue_green:
            self.notes.append(
                Note(
                    ("spec", "service"),
                    "The requests must go through Istio. Argo shifted pods, canary shifts requests.",
                )
            )
        ports, remark = port_of(self.sources.get("Service", apex, self.namespace), self._template(workload))
        if remark:
            self.notes.append(Note(("spec", "service", "port"), remark))
        made: Object = {**({"name": apex} if apex != name_of(workload) else {}), **ports}
        if policy:
            made["trafficPolicy"] = policy
        for name, role in ((stable, "primary"), (canary, "canary")):
            if name and name != apex and self.sources.get("Service", name, self.namespace) is not None:
                self.sources.take(self.sources.get("Service", name, self.namespace) or {})
                self._lose(f"the Service {name}; canary makes {apex}-{role}")
        return made, self._routes(istio, apex, {apex, *filter(None, (stable, canary))})

    def _hosts(self, istio: Data) -> list[str]:
        """The first label of each host of the first VirtualService."""
        given = next((self._given(one) for one in _virtual_services(istio)), None) or {}
        return [str(host).partition(".")[0] for host in (given.get("spec") or {}).get("hosts") or []]

    def _given(self, ref: Data) -> Data | None:
        name = str(ref.get("name") or "").partition(".")[0]
        return self.sources.get("VirtualService", name, self.namespace)

    def _own_services(self) -> tuple[str | None, str | None]:
        words = ("activeService", "previewService") if self.blue_green else ("stableService", "canaryService")
        stable, canary = (str(self.strategy[word]) if self.strategy.get(word) else None for word in words)
        return stable, canary

    def _template(self, workload: Data) -> Data:
        return (workload.get("spec") or {}).get("template") or self.spec.get("template") or {}

    def _routes(self, istio: Data, apex: str, hosts: set[str]) -> Object | None:
        listed = _virtual_services(istio)
        if len(listed) > 1:
            self._lose("all VirtualServices but the first one; canary moves the routes of one")
        for ref in listed[:1]:
            name = str(ref.get("name") or "").partition(".")[0]
            given = self._given(ref)
            if given is None:
                self._lose(
                    f"the VirtualService {name} isn't in these files. canary uses the one called {apex}, or makes it "
                    "with the hosts and gateways in spec.service"
                )
                continue
            self.sources.take(given)
            rule: Mapping[str, Any] = istio.get("destinationRule") or {}
            subsets = {str(rule[word]) for word in ("stableSubsetName", "canarySubsetName") if rule.get(word)}
            made, changed = virtual_service(given, apex, hosts, subsets)
            if not changed:
                self._lose(f"the VirtualService {name} has no http route to {' and '.join(sorted(hosts))}")
            if name != apex:
                self._lose(f"the name of the VirtualService {name}; delete it once {apex} serves")
            return made
        return None

    # ---- analysis -----------------------------------------------------------------------------------------------

    def _analysis(self) -> Object:
        steps = self._blue_green() if self.blue_green else self._canary()
        found, made = self.analyses, Object()
        made["interval"] = brief(min(found.intervals)) if found.intervals else "1m"
        made["threshold"] = 1
        if steps:
            made["steps"] = steps
        if found.metrics:
            made["metrics"] = found.metrics
        delays = [self.strategy[word] for word in DELAYS if isinstance(self.strategy.get(word), int)]
        if delays:
            made["drain"] = brief(parse(f"{max(delays)}s"))
        return made

    def _canary(self) -> list[Object]:
        background = self.strategy.get("analysis") or {}
        if background:
            self.analyses.add(background, "strategy.canary.analysis")
            if background.get("startingStep"):
                self._lose("analysis.startingStep; the metrics are judged from the first step")
        reader = Steps(self._lose, None if self.analyses.metrics else 0)
        return reader.read(self.strategy.get("steps") or [], lambda one: self.analyses.add(one, "a step's analysis"))

    def _blue_green(self) -> list[Object]:
        step: Object = {"weight": 0, "iterations": 0}
        before, after = self.strategy.get("prePromotionAnalysis"), self.strategy.get("postPromotionAnalysis")
        if before:
            step["iterations"] = self.analyses.add(before, "prePromotionAnalysis")
        if after:
            self.analyses.add(after, "postPromotionAnalysis")
            self._lose("postPromotionAnalysis as an analysis of its own; all metrics are judged once more at 100%")
        if self.strategy.get("autoPromotionSeconds"):
            step["hold"] = f"{self.strategy['autoPromotionSeconds']}s"
        elif self.strategy.get("autoPromotionEnabled") is False:
            step["gates"] = [dict(ENDLESS)]
        return [step]


def _virtual_services(istio: Data) -> list[Data]:
    return [istio["virtualService"]] if istio.get("virtualService") else list(istio.get("virtualServices") or [])


TRAFFIC = ("weight", "match", "mirror")
ENDLESS = {"approval": {"count": 1}, "onTimeout": "hold"}
"""Argo waits without a limit."""


class Steps:
    """Reads Argo's steps in their order."""

    def __init__(self, lost: Callable[[str], None], iterations: int | None) -> None:
        """`iterations` of a step that has no analysis of its own; None for the default."""
        self._lost, self._iterations = lost, iterations
        self._made: list[dict[str, Any]] = []
        self._now: dict[str, Any] = {"weight": 0}

    def read(self, steps: Sequence[Any], counts: Callable[[Data], int]) -> list[dict[str, Any]]:
        """`counts` says how many measurements an inline analysis takes."""
        for index, step in enumerate(steps):
            for word, value in step.items() if isinstance(step, dict) else ():
                self._one(word, value if value is not None else {}, f"step {index + 1}", counts)
        self._end()
        return self._made

    def _one(self, word: str, value: Any, where: str, counts: Callable[[Data], int]) -> None:
        match word:
            case "setWeight":
                self._weight(value, where)
            case "pause":
                self._pause(value, where)
            case "analysis":
                self._fresh("iterations", "gates")
                self._now["iterations"] = counts(value)
            case "setHeaderRoute":
                self._headers(value)
            case "setMirrorRoute":
                self._mirror(value, where)
            case "setCanaryScale":
                self._lost(
                    f"{where}: setCanaryScale. Before each increase, canary waits for as many replicas as the next "
                    "weight needs; the Deployment is scaled like the primary."
                )
            case _:
                self._lost(f"{where}: {word}")

    def _weight(self, weight: Any, where: str) -> None:
        if not isinstance(weight, int) or not 0 <= weight <= 100:
            self._lost(f"{where}: setWeight {weight!r} is no whole number from 0 to 100")
        elif weight < self._now["weight"]:
            self._lost(f"{where}: setWeight goes down from {self._now['weight']} to {weight}; weights may only rise")
        elif weight > self._now["weight"]:
            self._change(weight=weight)

    def _pause(self, pause: Any, where: str) -> None:
        duration = pause.get("duration") if isinstance(pause, dict) else None
        if duration is None:
            self._fresh("gates")
            self._now["gates"] = [deepcopy(ENDLESS)]
            return
        try:
            seconds = str(duration)
            length = parse(f"{seconds}s" if seconds.isdecimal() else seconds)
        except ValueError:
            self._lost(f"{where}: pause of {duration!r}, which is no duration such as 10m")
            return
        self._fresh("gates")
        so_far = parse(self._now["hold"]) if "hold" in self._now else timedelta()
        self._now["hold"] = brief(so_far + length)

    def _headers(self, route: Data) -> None:
        matches = [
            {"headers": {str(one["headerName"]).lower(): dict(one.get("headerValue") or {})}}
            for one in route.get("match") or []
            if isinstance(one, dict) and one.get("headerName")
        ]
        self._change(match=matches)

    def _mirror(self, route: Data, where: str) -> None:
        if route.get("match"):
            self._lost(f"{where}: setMirrorRoute with match; canary copies a share of all requests")
        elif "percentage" in route:
            self._change(mirror=route["percentage"])
        else:
            self._change(mirror=0)

    def _change(self, **traffic: Any) -> None:
        self._end()
        kept = {name: self._now[name] for name in TRAFFIC if name in self._now}
        self._now = {name: value for name, value in {**kept, **traffic}.items() if value or name == "weight"}

    def _fresh(self, *words: str) -> None:
        """The same traffic in a step of its own, because the present one ends before what follows."""
        if any(word in self._now for word in words):
            self._change()

    def _end(self) -> None:
        """Keep the present step, unless it is the start and nothing waits there."""
        if not any(value for value in self._now.values()):
            return
        step = dict(self._now)
        if "iterations" not in step and self._iterations is not None:
            step["iterations"] = self._iterations
        self._made.append(step)
