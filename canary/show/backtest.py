"""What `canary backtest` prints: a table of evaluations with a column for each judge, and what each came to.

Evaluations in a row that say the same are one line, with their requests added up; JSON has each one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from typing import Any

from canary.api.plan import Plan
from canary.api.reason import Reason
from canary.engine.judges.judge import Verdict
from canary.engine.observed import Counts
from canary.engine.resolved import ResolvedSpec
from canary.rollout.backtest import Evaluation, Judged, JudgeOutcome, Recorded, Recording, outcome

from . import times
from .terminal import Line, Screen, Span, Tone

WIDTH = 80
TIME, SHARE, NUMBER, JUDGE = 14, 5, 9, 13
"""Widths of columns."""
EVIDENCE = TIME + SHARE + 2 * NUMBER + 2
HOLDS = {Reason.NO_DATA: "no data", Reason.METRICS_UNREACHABLE: "unreadable", Reason.SETTLING: "settles"}
HOLDS |= {Reason.SHARED_OUTAGE: "outage", Reason.GATHERING_EVIDENCE: "gathers"}
TONES: Mapping[Verdict, Tone] = {Verdict.PASS: "", Verdict.HOLD: "warn", Verdict.ROLL_BACK: "bad"}


@dataclass(frozen=True)
class Report:
    """A backtest that is over; there is at least one evaluation."""

    resolved: ResolvedSpec
    recording: Recording
    judges: Sequence[str]
    evaluations: Sequence[Evaluation]

    @property
    def outcomes(self) -> Mapping[str, JudgeOutcome]:
        """By judge."""
        return {name: outcome(name, self.evaluations) for name in self.judges}

    @property
    def plan(self) -> Plan:
        return self.resolved.plan


def lines(report: Report, screen: Screen) -> Iterator[str]:
    """The whole text."""
    for line in (*_heading(report, screen), (), *_table(report, screen), (), *_outcomes(report, screen)):
        yield screen.paint(line)


def _heading(report: Report, screen: Screen) -> Iterator[Line]:
    past, interval = report.recording, report.resolved.policy.interval
    pair = f"{past.stable.workload} {screen.signs.arrow} {past.canary.workload}"
    yield (Span(report.resolved.manifest.metadata.name, "strong"), Span(f"  {pair}"))
    begin, end = f"{times.day(past.start, screen.zone)} {times.clock(past.start, screen.zone)}", past.end
    until = times.moment(end, past.start, screen.zone)
    number = len(report.evaluations)
    counted = f"{number} evaluations" if number > 1 else "1 evaluation"
    yield (Span(f"{begin} to {until}, {counted}, one every {times.lasting(interval)}", "dim"),)


def _table(report: Report, screen: Screen) -> Iterator[Line]:

    def cells(one: Evaluation) -> list[Span]:
        return [_cell(report.plan, one.judged.get(name)) for name in report.judges]

    longest = max(len(cell.text) for one in report.evaluations for cell in cells(one))
    room = max((WIDTH + 1 - EVIDENCE) // len(report.judges), longest + 1)  # nothing stands behind the last one
    heading = f"{'time':<{TIME}}{'share':>{SHARE}}{'requests':>{NUMBER}}{'failed':>{NUMBER}}  "
    yield (Span(heading + "".join(f"{name:<{room}}" for name in report.judges), "dim"),)

    day = times.day(report.recording.start, screen.zone)
    for judged, group in groupby(report.evaluations, key=cells):
        alike = list(group)
        if times.day(alike[0].at, screen.zone) != day:
            day = times.day(alike[0].at, screen.zone)
            yield (Span(day, "dim"),)
        columns = [Span(text.ljust(room), tone) for text, tone in judged]
        yield (Span(_recorded(alike, screen)), *columns)


def _recorded(alike: Sequence[Evaluation], screen: Screen) -> str:
    """When the first of these was, and the requests of all."""
    canary, stable = (_sum(getattr(one.recorded, side) for one in alike) for side in ("canary", "stable"))
    share = Recorded(alike[0].at, canary, stable).share
    often = f" {'×' if screen.unicode else 'x'}{len(alike)}" if len(alike) > 1 else ""
    at = f"{times.clock(alike[0].at, screen.zone)}{often}"
    none = screen.signs.none
    shared = none if share is None else f"{share:.0f}%" if share >= 10 else f"{share:.1f}%"
    total, bad = (none, none) if canary is None else (f"{canary.total:,}", f"{canary.bad:,}")
    return f"{at:<{TIME}}{shared:>{SHARE}}{total:>{NUMBER}}{bad:>{NUMBER}}  "


def _sum(counts: Iterable[Counts | None]) -> Counts | None:
    known = [one for one in counts if one is not None]
    return Counts(sum(one.total for one in known), sum(one.bad for one in known)) if known else None


def _cell(plan: Plan, its: Judged | None) -> Span:
    """What a judge made of one evaluation; nothing once it has rolled back."""
    if its is None:
        return Span("")
    if its.after:
        return Span(f"after it: {_word(its)}", "bad" if its.ruling.verdict is Verdict.ROLL_BACK else "dim")
    if its.promotes:
        return Span("promotes", "good")
    if its.advances:
        return Span(f"on to {place(plan, its.step + 1)}", "good")
    return Span(f"{place(plan, its.step)} {_word(its)}", TONES[its.ruling.verdict])


def _word(its: Judged) -> str:
    ruling = its.ruling
    if ruling.verdict is not Verdict.HOLD:
        return {Verdict.PASS: "passed", Verdict.ROLL_BACK: "rolls back"}[ruling.verdict]
    if ruling.weighing is None and any(check.result == "failed" and not check.dry_run for check in ruling.checks):
        return "failed"
    return HOLDS.get(ruling.reason, "holds")


def place(plan: Plan, step: int) -> str:
    """A step by its weight, where that says all; else by its number."""
    traffic = plan.steps[step].traffic
    return f"step {step}" if traffic.match or traffic.mirror or not traffic.weight else f"{traffic.weight}%"


def _outcomes(report: Report, screen: Screen) -> Iterator[Line]:
    for number, (name, found) in enumerate(report.outcomes.items()):
        if number:
            yield ()
        said, tone = _ended(report, name, found, screen)
        for row, part in enumerate(_wrapped(said)):
            yield (Span(f"{'' if row else name:<{JUDGE}}", "strong"), Span(part, tone))
        for text in _details(name, found, screen):
            yield from ((Span(f"{'':<{JUDGE}}{part}"),) for part in _wrapped(text))


def _wrapped(text: str) -> list[str]:
    return wrap(text, WIDTH - JUDGE, break_on_hyphens=False)


def _ended(report: Report, name: str, found: JudgeOutcome, screen: Screen) -> tuple[str, Tone]:
    """What became of it, when, and after how long."""
    at, plan, its = times.clock(found.end.at, screen.zone), report.plan, found.end.judged[name]
    took = times.lasting(found.end.at - report.recording.start)
    evaluations = f"{found.evaluations} evaluation{'s' if found.evaluations > 1 else ''}"
    if found.promoted is not None:
        return f"promotes at {at}, after {took} and {evaluations}", "good"
    where = f"step {its.step} of {len(plan.steps) - 1} ({place(plan, its.step)})"
    if found.rolled_back is not None:
        return f"rolls back at {at}, after {took} and {evaluations}, in {where}", "bad"
    return f"undecided after {evaluations}, in {where}", "warn"


def _details(name: str, found: JudgeOutcome, screen: Screen) -> Iterator[str]:
    """Why, what the canary had served until then, and what came after a promotion."""
    if found.promoted is None:
        yield found.end.judged[name].ruling.sentence
    if found.requests:
        failed = "none of them failed" if not found.failed else f"{found.failed:,} of them failed"
        if found.requests == 1:
            failed = "it failed" if found.failed else "it didn't fail"
        served = f"{found.requests:,} requests" if found.requests > 1 else "1 request"
        yield f"the canary had served {served} by then, {failed}"
    late = found.rolled_back
    if found.promoted is not None and late is not None:
        ruling = late.judged[name].ruling
        yield f"after it, from {times.clock(late.at, screen.zone)}, it would have rolled back: {ruling.sentence}"


def record(report: Report) -> dict[str, Any]:
    """The same as data, with each evaluation. `null` stands for what isn't known."""
    past, policy = report.recording, report.resolved.policy
    return {
        "name": report.resolved.manifest.metadata.name,
        "namespace": past.canary.namespace,
        "stable": past.stable.workload,
        "canary": past.canary.workload,
        "from": past.start.isoformat(),
        "to": past.end.isoformat(),
        "interval": policy.interval.total_seconds(),
        "steps": len(report.plan.steps) - 1,
        "judges": {name: _outcome_record(report, name, found) for name, found in report.outcomes.items()},
        "evaluations": [_evaluation_record(report, one) for one in report.evaluations],
    }


def _outcome_record(report: Report, name: str, found: JudgeOutcome) -> dict[str, Any]:
    its, late = found.end.judged[name], found.rolled_back
    word = "Promoted" if found.promoted else "RolledBack" if found.rolled_back else "Undecided"
    return {
        "outcome": word,
        "time": found.end.at.isoformat(),
        "seconds": (found.end.at - report.recording.start).total_seconds(),
        "evaluations": found.evaluations,
        "step": its.step,
        "reason": its.ruling.reason,
        "message": its.ruling.sentence,
        "requests": found.requests,
        "failed": found.failed,
        "rolledBackLater": late.at.isoformat() if late is not None and found.promoted is not None else None,
    }


def _evaluation_record(report: Report, one: Evaluation) -> dict[str, Any]:
    return {
        "time": one.at.isoformat(),
        "share": one.recorded.share,
        "canary": _counts_record(one.recorded.canary),
        "stable": _counts_record(one.recorded.stable),
        "judges": {name: _judged_record(report, its) for name, its in one.judged.items()},
    }


def _counts_record(counts: Counts | None) -> dict[str, int] | None:
    return None if counts is None else {"total": counts.total, "bad": counts.bad}


def _judged_record(report: Report, its: Judged) -> dict[str, Any]:
    ruling = its.ruling
    return {
        "step": its.step,
        "weight": report.plan.steps[its.step].traffic.weight,
        "verdict": ruling.verdict.value,
        "reason": ruling.reason,
        "message": ruling.sentence,
        "next": "promote" if its.promotes else "advance" if its.advances else None,
        "after": its.after,
        "checks": [check.wire() for check in ruling.checks],
        "weighing": ruling.weighing.wire() if ruling.weighing else None,
    }
