"""A pinned plan as stages of a simulation, and a time grid that its times fit on."""

import math
from collections.abc import Iterable
from datetime import timedelta

from canary.api.pinned import Policy
from canary.api.plan import Plan, Traffic
from canary.api.webhooks import HookType
from canary.engine.next_traffic import matching

from .requests import AT_ONCE, Grid, Scrapes
from .rollouts import SimulatedStep, weights_of

MATCHED = 5
"""Per cent of all requests that a `match` is taken to choose, as in `canary simulate`."""
LOAD = 10
"""Per cent of all requests that a hook of the type `rollout` sends, as in `canary simulate`."""
FINEST, TICKS = 3, 1500
"""Ticks in a scrape interval, and how many a simulation may take before ticks get coarser."""


def load_of(policy: Policy) -> int:
    """What hooks send to a canary that gets no other request, in per cent of all requests."""
    return LOAD if any(hook.type == HookType.ROLLOUT for hook in policy.webhooks) else 0


def stages_of(plan: Plan, load: int = 0) -> list[SimulatedStep]:
    """The steps that are analysed, up to the one that ends the rollout; `load` is that of `load_of`, which a step
    has instead of users' requests."""
    steps = [*plan.steps, *plan.promotion][1:]
    while steps and steps[-1].iterations == 0 and not steps[-1].hold:
        steps.pop()  # the end: all traffic, or the copy to the primary
    return [
        SimulatedStep(
            share(one.traffic),
            one.traffic.mirror or (0 if share(one.traffic) else load),
            one.hold.total_seconds(),
            one.iterations,
        )
        for one in steps
    ]


def share(traffic: Traffic) -> int:
    """Per cent of all requests that the canary answers."""
    return max(traffic.weight, math.ceil(MATCHED * matching(traffic) / 100))


def grid_of(
    policy: Policy, stages: Iterable[SimulatedStep], horizon: float, edges: tuple[float, ...], *, scraped: bool
) -> tuple[Grid, Scrapes]:
    """Ticks that divide the interval between evaluations: a part of a scrape, or coarser if the horizon is far.

    Unless counters are `scraped`, each evaluation reads those of both versions at once.
    """
    interval, scrape = policy.interval / timedelta(seconds=1), policy.scrape_interval / timedelta(seconds=1)
    finest = max(scrape / FINEST, horizon / TICKS)
    tick = interval / max(math.floor(interval / finest), 1)
    scrapes = Scrapes(max(round(scrape / tick), 1)) if scraped else AT_ONCE
    return Grid(weights_of(stages), tick, edges, at_once=not scraped), scrapes
