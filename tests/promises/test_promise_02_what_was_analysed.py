"""Promise 2: what is promoted is the revision that was analysed; a push in mid-rollout takes traffic to 0."""

from dataclasses import replace

import pytest

from canary.api.exit_codes import Exit
from canary.api.plan import Traffic
from canary.api.status import Version
from canary.engine.observed import Cause, Missing
from tests.rollout.wired import Driven, driven


def push(run: Driven, revision: str) -> None:
    """Another build of v2 is there."""
    value = run.box.target.value
    spec = value.manifest.spec.but(revision=revision)
    run.box.target.value = replace(value, manifest=value.manifest.but(spec=spec))


@pytest.mark.parametrize("seconds", [0.5, 5, 11, 15])
def test_a_push_in_mid_rollout_takes_traffic_to_0(seconds: float) -> None:
    """At any moment, with the next reconcile; and nothing is raised from the push on."""
    run, written_before = driven("good"), [0]

    def happens() -> None:
        written_before[0] = len(run.box.router.writes)
        push(run, "c")

    ending = run.at(seconds, happens).run()
    assert (ending.code, run.box.world.traffic) == (Exit.SUPERSEDED, Traffic())
    assert all(traffic == Traffic() for traffic in run.box.router.writes[written_before[0] :])


def test_while_what_is_wanted_is_unknown_nothing_is_raised() -> None:
    """It is read again before every raise."""
    run = driven("good")
    real, unknown = run.box.target.desired_version, Missing(Cause.TIMED_OUT, "no answer")

    def forget() -> None:
        run.box.target.desired_version = lambda: unknown  # type: ignore[method-assign]

    def remember() -> None:
        run.box.target.desired_version = real  # type: ignore[method-assign]

    ending = run.at(5, forget).at(60, remember).run()
    assert ("Progressing", 20, "RevisionUnknown") in run.timeline
    assert ending.code is Exit.PROMOTED


def test_what_is_stable_afterwards_is_what_was_looked_at() -> None:
    run = driven("good")
    run.run()
    assert run.turns[-1].decision.status.stable == Version(name="v2", revision="b")
