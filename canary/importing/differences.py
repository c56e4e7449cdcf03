"""What a field of Flagger's means here, where it isn't the same. docs/from-flagger.md has all differences."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from canary.api.duration import brief, parse
from canary.engine.policy_merge import BUILTINS

from .commented import Note

Data = Mapping[str, Any]
BLOCKS = ("analysis", "canaryAnalysis")
PAGE = "Imported from Flagger; docs/from-flagger.md lists what differs."
SHORTEST = timedelta(seconds=10)


def differences(data: Data) -> Iterator[Note]:
    """The notes for one of Flagger's objects."""
    if data.get("kind") != "Canary":
        return
    yield Note((), PAGE)
    spec = data.get("spec")
    if not isinstance(spec, dict):
        return
    for compare in SPEC:
        yield from compare(spec)
    for block in BLOCKS:
        analysis = spec.get(block)
        if isinstance(analysis, dict):
            for compare in ANALYSIS:
                yield from (Note(("spec", block, *note.field), note.sentence) for note in compare(analysis))


def deletion(spec: Data) -> Iterator[Note]:
    """What deletion leaves."""
    if spec.get("revertOnDeletion"):
        yield Note(
            ("spec", "revertOnDeletion"),
            f"On deletion the {_kind(spec)} gets the template that was promoted last. Flagger leaves it the template "
            "that it has then.",
        )
    else:
        yield Note(
            ("spec",),
            "Without revertOnDeletion, the primary and its routes stay when the Canary is deleted, and go on to "
            "serve. Flagger removes them.",
        )


def older_block(spec: Data) -> Iterator[Note]:
    """`canaryAnalysis`."""
    if spec.get("canaryAnalysis"):
        yield Note(
            ("spec", "canaryAnalysis"),
            "canary reads from this block what `analysis` lacks. Flagger's CRD removes the block.",
        )


def switches(spec: Data) -> Iterator[Note]:
    """`suspend` and `skipAnalysis`."""
    if spec.get("suspend"):
        yield Note(("spec", "suspend"), "A failing canary is still rolled back. Flagger does nothing at all.")
    if spec.get("skipAnalysis"):
        yield Note(
            ("spec", "skipAnalysis"),
            f"The {_kind(spec)} is scaled down when the primary is ready. Flagger doesn't wait for the primary.",
        )


def discovery(spec: Data) -> Iterator[Note]:
    """`portDiscovery`."""
    service = spec.get("service")
    if isinstance(service, dict) and service.get("portDiscovery"):
        yield Note(
            ("spec", "service", "portDiscovery"),
            "New ports reach the Services with the promotion. With Flagger, they do with the next interval.",
        )


def overshoot(analysis: Data) -> Iterator[Note]:
    """A `maxWeight` that isn't a multiple of `stepWeight`."""
    step, highest = analysis.get("stepWeight"), analysis.get("maxWeight", 100)
    if isinstance(step, int) and isinstance(highest, int) and 0 < step < highest and highest % step:
        yield Note(
            ("maxWeight",),
            f"The last step is {highest}%. Flagger's last step is {min(100, highest + step - highest % step)}%.",
        )


def shortest(analysis: Data) -> Iterator[Note]:
    """An interval below Flagger's limit."""
    interval = _duration(analysis.get("interval"))
    if interval is not None and interval < SHORTEST:
        yield Note(("interval",), "Flagger raises this to 10s.")


def no_data(analysis: Data) -> Iterator[Note]:
    """When metrics have no value."""
    if analysis.get("metrics") and "onNoData" not in analysis:
        limit = max(timedelta(minutes=15), 3 * (_duration(analysis.get("interval")) or timedelta(minutes=1)))
        yield Note(
            ("metrics",),
            "No data, NaN and an unreachable Prometheus are no failed checks. After "
            f"{brief(limit)} without a value the canary is rolled back; onNoData and onUnreachable change this. "
            "Flagger counts each as a failed check.",
        )


def metrics(analysis: Data) -> Iterator[Note]:
    """Windows and ranges that Flagger chooses."""
    for index, metric in enumerate(_objects(analysis.get("metrics"))):
        if metric.get("templateRef") and not metric.get("interval"):
            yield Note(
                ("metrics", index), "{{ interval }} is 1m here, if the template uses it. With Flagger, it is empty."
            )
        if not metric.get("thresholdRange") and metric.get("threshold") is None:
            chosen = "min: 0" if metric.get("name") == BUILTINS[0] else "max: 0"
            yield Note(("metrics", index), f"Write a thresholdRange. Flagger uses {chosen} if there is none.")


def readiness(analysis: Data) -> Iterator[Note]:
    """The weight counts beside the threshold."""
    if analysis.get("canaryReadyThreshold") is not None:
        yield Note(
            ("canaryReadyThreshold",),
            "Before each increase, canary waits for as many replicas as the next weight needs as well; "
            "`capacity: ignore` changes this.",
        )


HOOKS = {
    "rollout": "This is called when a step begins. Flagger calls it right before it reads the metrics.",
    "rollback": "This is also called while a gate of the promotion waits. Flagger doesn't call it then.",
    "confirm-rollout": "Once open, this gate stays open. Flagger asks again if another condition holds.",
    "pre-rollout": "Once this has passed, it isn't called again. Flagger calls it again if another hook fails.",
}
"""By the type of a webhook."""


def webhooks(analysis: Data) -> Iterator[Note]:
    """When hooks are called, once for each type."""
    noted: set[str] = set()
    for index, hook in enumerate(_objects(analysis.get("webhooks"))):
        kind = hook.get("type") or "rollout"
        if kind in HOOKS and kind not in noted:
            noted.add(kind)
            yield Note(("webhooks", index), HOOKS[kind])
        if kind == "confirm-promotion" and analysis.get("iterations") and not analysis.get("match"):
            yield Note(("webhooks", index), "This is called once. Flagger calls it twice for blue/green.")


def alerts(analysis: Data) -> Iterator[Note]:
    """An alert that Flagger never sends."""
    for index, alert in enumerate(_objects(analysis.get("alerts"))):
        if not alert.get("severity"):
            yield Note(("alerts", index), "Without a severity this is sent for everything. Flagger sends nothing.")


def _kind(spec: Data) -> str:
    target = spec.get("targetRef")
    return str(target.get("kind") or "Deployment") if isinstance(target, dict) else "Deployment"


def _objects(given: Any) -> list[Data]:
    return [one if isinstance(one, dict) else {} for one in given] if isinstance(given, list) else []


def _duration(text: Any) -> timedelta | None:
    try:
        return parse(text) if isinstance(text, str) else None
    except ValueError:
        return None


SPEC: tuple[Callable[[Data], Iterator[Note]], ...] = (deletion, older_block, switches, discovery)
ANALYSIS: tuple[Callable[[Data], Iterator[Note]], ...] = (
    *(overshoot, shortest, no_data, metrics, readiness, webhooks, alerts),
)
