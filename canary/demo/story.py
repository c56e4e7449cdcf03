"""What the demo tells: what will happen, chapter by chapter, and at the end what it came to, in exact numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from canary.api.exit_codes import Exit
from canary.rollout.end import Ending
from canary.sandbox.scenarios import SCENARIOS, Scenario
from canary.show.terminal import Line, Screen, Span, Tone, screen_of

from .load import Counted, Tally
from .stage import Pace

WIDEST = 100


@dataclass(frozen=True)
class Act:
    """One rollout of the demo."""

    version: str
    name: str
    """Of its scenario."""

    @property
    def scenario(self) -> Scenario:
        return SCENARIOS[self.name]


@dataclass(frozen=True)
class PrintedStory:
    """Prints; in colour on a terminal."""

    out: TextIO
    pace: Pace

    @property
    def screen(self) -> Screen:
        return screen_of(self.out)

    def interrupted(self) -> None:
        """A person or the system ended the demo."""
        self._say((), (Span("stopped; nothing is left running"),))

    def kept(self, folder: Path) -> None:
        """Where the files are."""
        self._say((), (Span(f"kept: {folder}"),))

    def _say(self, *lines: Line) -> None:
        for line in lines:
            print(self.screen.paint(line), file=self.out)
        self.out.flush()


@dataclass(frozen=True)
class Story(PrintedStory):
    """The demo of each scenario, one after the other."""

    acts: tuple[Act, ...]

    def opening(self, rate: float, folder: Path, keep: bool) -> None:
        """What is there."""
        versions = len(self.acts) + 1
        self._say(
            (),
            (Span("canary demo", "strong"),),
            (Span(f"A real Envoy in front of {versions} versions of a service, v1 serving; {rate:g} requests/s."),),
            (Span("All of it runs on 127.0.0.1, and is gone at the end. Ctrl-C ends it at any time."),),
            (Span(f"Its files, canary.yaml first: {folder}{'' if keep else ' (removed at the end)'}", "dim"),),
        )

    def chapter(self, act: Act) -> None:
        """What is about to happen."""
        which = "is " if act.scenario.promoted else ""
        number = f"{self.acts.index(act) + 1}/{len(self.acts)}  " if len(self.acts) > 1 else ""
        self._say(
            (),
            (Span(number, "dim"), Span(f"{act.version}, which {which}{act.scenario.summary}", "strong")),
            *[(Span(line, "dim"),) for line in _forecast(act, self.pace)],
            (),
        )

    def meanwhile(self, load: Mapping[str, Tally]) -> str:
        """A line of the load's count so far."""
        failed = {version: f" ({tally.failed:,} failed)" if tally.failed else "" for version, tally in load.items()}
        each = (f"{version or '-'} {load[version].requests:,}{failed[version]}" for version in sorted(load))
        return f"{'answered':<16}{'   '.join(each)}"

    def surprise(self, act: Act, ending: Ending, first: Tally | None) -> None:
        """A rollout ended otherwise than expected; `first` is what the healthy version that served before counted."""
        due = "promoted" if act.scenario.promoted else "rolled back"
        self._say((Span(f"{act.version} should have been {due}: {ending.sentence}", "bad"),))
        if first is not None and first.p99 > self.pace.limit:
            self._say((Span(too_slow(first, self.pace), "warn"),))

    def summary(self, counted: Counted, endings: Mapping[str, Ending]) -> None:
        """The table, and what each bad version has cost."""
        self._say(
            (),
            (Span("What it came to", "strong"),),
            *_table(counted.load, endings),
            (),
            *[line for act in self.acts for line in _cost(act, counted.load.get(act.version), endings)],
            agreement(counted),
        )


def too_slow(first: Tally, pace: Pace) -> str:
    """What a busy machine does to the demo: the healthy first version breaks the limit that it should keep."""
    took = f"v1 is healthy and took {first.p99:.0f} ms (p99), over the limit of {pace.limit} ms"
    return f"This machine is too slow or too busy for the demo: {took}. Try again with fewer requests: --rps 50"


def _forecast(act: Act, pace: Pace) -> Iterable[str]:
    """The expected outcome."""
    weights = ", ".join(str(weight) for weight in pace.weights[:-1])
    evaluations = f"{pace.iterations} evaluations" if pace.iterations > 1 else "an evaluation"
    if act.scenario.promoted:
        yield f"It should be given {weights} and {pace.weights[-1]}% of the requests,"
        yield f"pass {evaluations} at each step, one every {pace.interval} s, and be promoted."
    elif act.scenario.canary.dies_after is not None:
        yield "It should be back at 0% once Envoy's health checks find that it doesn't answer,"
        yield "without waiting for an evaluation."
    else:
        yield "It should be back at 0% with the second failed evaluation, before many have met it."


def _table(load: Mapping[str, Tally], endings: Mapping[str, Ending]) -> Iterable[Line]:
    yield (Span(f"  {'':4}{'':14}{'requests':>10}{'failed':>10}{'p50':>10}{'p99':>10}", "dim"),)
    for version in sorted(load):
        yield _row(version or "-", _fate(version, endings), load[version])
    requests, failed = (sum(getattr(tally, name) for tally in load.values()) for name in ("requests", "failed"))
    yield (Span(f"  {'':4}{'all':14}{requests:>10,}{failed:>10,}", "dim"),)


def _row(version: str, fate: tuple[str, Tone], tally: Tally) -> Line:
    word, tone = fate
    return (
        Span(f"  {version:4}"),
        Span(f"{word:14}", tone),
        Span(f"{tally.requests:>10,}"),
        Span(f"{tally.failed:>10,}", "bad" if tally.failed else ""),
        Span(f"{tally.p50:>7.0f} ms{tally.p99:>7.0f} ms"),
    )


def _fate(version: str, endings: Mapping[str, Ending]) -> tuple[str, Tone]:
    if version == "":
        return "no answer", "bad"
    if version not in endings:
        return "at the start", ""
    return ("promoted", "good") if endings[version].code is Exit.PROMOTED else ("rolled back", "bad")


def _cost(act: Act, tally: Tally | None, endings: Mapping[str, Ending]) -> Iterable[Line]:
    """In a sentence, what a version that was rolled back has cost: from its first request to its last."""
    if tally is None or endings[act.version].code is Exit.PROMOTED:
        return
    failed = f"{format(tally.failed, ',') if tally.failed else 'none'} of its {tally.requests:,} requests"
    seconds = f", in the {tally.last - tally.first:.1f} s from the first to the last."
    yield (Span(f"{act.version} failed "), Span(failed, "strong"), Span(seconds))


def agreement(counted: Counted) -> Line:
    """Whether the three who count have counted the same."""
    if counted.agree:
        return (Span("Counted alike by the load, by the versions themselves and by Envoy.", "dim"),)
    envoy, services = dict(counted.envoy), dict(counted.services)
    return (Span(f"The load, the versions ({services}) and Envoy ({envoy}) count differently.", "warn"),)
