"""Promise 10: every end is reported at least once, with its reason, also across a crash, in status and history."""

import pytest

from canary.api.action import Verb
from tests.rollout.wired import Driven, Killed, Recorded, ask, driven, sandbox


@pytest.mark.parametrize(
    ("scenario", "end", "reason"),
    [
        pytest.param("good", "Promoted", "Promoted", id="promoted"),
        pytest.param("slow", "RolledBack", "DurationAboveMaximum", id="rolled back"),
        pytest.param("quiet", "RolledBack", "DeadlinePassed", id="held too long"),
        pytest.param("dead", "RolledBack", "CanaryUnavailable", id="lost"),
    ],
)
def test_an_end_is_reported_with_its_reason(scenario: str, end: str, reason: str) -> None:
    """In the last message, in history, and in the run's last line."""
    run = driven(scenario)
    ending = run.run()
    status = run.turns[-1].decision.status
    assert run.box.notifier.delivered[-1].reason == end
    assert (status.history[0].outcome, status.history[0].reason) == (end, reason)
    assert status.history[0].message in ending.sentence
    assert run.box.notifier.delivered[-1].message == ending.sentence


def test_a_persons_end_is_reported_with_a_name() -> None:
    run = driven("good")
    run.at(5, lambda: ask(run.box, Verb.REJECT, comment="not today"))
    run.run()
    assert run.box.notifier.delivered[-1].message == "rejected: ada asked to reject: not today"


def test_killed_at_any_call_the_next_process_reports_it() -> None:
    """At least once; perhaps twice, under the same id."""
    whole = Recorded(sandbox("bad"))
    Driven(whole.box, parts=whole.parts).run()
    for index in range(len(whole.calls)):
        box = sandbox("bad")
        with pytest.raises(Killed):
            Driven(box, parts=Recorded(box, die_at=index).parts).run()
        Driven(box).run()
        ends = {message.id for message in box.notifier.delivered if message.reason == "RolledBack"}
        assert len(ends) == 1, whole.calls[index]
