"""Checks of how long things take: intervals, windows, the scrape interval and the deadline."""

from collections.abc import Iterator
from datetime import timedelta

from canary.api.duration import brief

from ..pairs import source_of
from ..policy_merge import DEADLINE, SCRAPE, WINDOW
from ..strategies import plan_of
from .problem import Case, Problem

SECOND = timedelta(seconds=1)
WEEK = timedelta(days=7)
NONE = timedelta()
TOO_SHORT = "must be at least 1s"
TOO_LONG = f"must be at most {brief(WEEK)}"
NOT_NOTHING = "must be longer than 0s"


def interval(case: Case) -> Iterator[Problem]:
    """Evaluations happen on whole seconds; one without a fresh scrape sees what the one before it saw.

    That is only said where the scrape interval is known, since the usual one is a guess.
    """
    given = case.analysis.interval
    if given is None:
        return
    if given < SECOND:
        yield case.problem("interval", f"{TOO_SHORT}, not {brief(given)}")
    elif given > WEEK:
        yield case.problem("interval", f"{TOO_LONG}, not {brief(given)}")
    elif case.written("scrape_interval") and given < scrape(case):
        yield case.warning(
            "interval",
            f"is {brief(given)}, shorter than the scrape interval of {brief(scrape(case))}: "
            "some evaluations will see nothing new",
        )


def windows(case: Case) -> Iterator[Problem]:
    """A rate needs samples to be taken from: two of Prometheus', one of Envoy's own counters."""
    scrapes = 2 if source_of(case.spec) == "prometheus" else 1
    for index, metric in enumerate(case.analysis.metrics or ()):
        window = WINDOW if metric.interval is None else metric.interval
        if window == NONE:
            yield case.problem("metrics", NOT_NOTHING, index, "interval")
        elif window < scrapes * scrape(case):
            few = "two scrapes" if scrapes == 2 else "one scrape"
            guess = "" if case.written("scrape_interval") else ", or scrapeInterval if it is another"
            sentence = (
                f"{brief(window)} is shorter than {few} ({brief(scrape(case))} each), so it often has no value; "
                f"write at least {brief(scrapes * scrape(case))}{guess}"
            )
            yield case.warning("metrics", sentence, index, "interval")


def positive(case: Case) -> Iterator[Problem]:
    """Durations that end or divide something can't be nothing."""
    for name in ("deadline", "scrape_interval"):
        if getattr(case.analysis, name) == NONE:
            yield case.problem(name, NOT_NOTHING)


def threshold(case: Case) -> Iterator[Problem]:
    """Flagger takes 0 and less for 1, silently."""
    given = case.analysis.threshold
    if given is not None and given <= 0:
        yield case.warning("threshold", f"{given} means 1: the first failed check rolls back")


def deadline(case: Case) -> Iterator[Problem]:
    """A deadline that a healthy rollout can't meet rolls back every one."""
    limit = DEADLINE if case.analysis.deadline is None else case.analysis.deadline
    needed = shortest(case)
    if NONE < limit < needed:
        sentence = f"{brief(limit)} is shorter than the {brief(needed)} that holds and evaluations take at least"
        yield case.warning("deadline", f"{sentence}: every rollout would be rolled back")


def shortest(case: Case) -> timedelta:
    """What a rollout takes at least: each step its hold or its evaluations, whichever is longer."""
    every = case.analysis.interval or WINDOW
    plan = plan_of(case.analysis, case.spec.skip_analysis)
    try:
        return sum((max(step.hold, step.iterations * every) for step in (*plan.steps, *plan.promotion)), NONE)
    except OverflowError:  # longer than Python can count
        return timedelta(days=timedelta.max.days)


def scrape(case: Case) -> timedelta:
    """How often counters are read at their source."""
    given = case.analysis.scrape_interval
    return SCRAPE[source_of(case.spec)] if given is None else given


CHECKS = (interval, windows, positive, threshold, deadline)
