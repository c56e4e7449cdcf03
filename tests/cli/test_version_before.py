"""Which version was before the one that serves."""

import pytest

from canary.api.reason import Reason
from canary.api.status import Outcome, RolloutSummary, Status, Version
from canary.cli.undo import before
from canary.engine.errors import Invalid
from tests.engine.situations import NOW, at_20_percent

V1, V2, V3 = (Version(name=f"v{number}", revision="a") for number in (1, 2, 3))


def past(stable: Version, canary: Version, outcome: Outcome = Outcome.PROMOTED) -> RolloutSummary:
    """A rollout that is over."""
    return RolloutSummary(
        number=1, stable=stable, canary=canary, started=NOW, ended=NOW, outcome=outcome,
        reason=Reason("R"), message="m",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stable", "history", "version"),
    [
        pytest.param(V2, [past(V1, V2)], V1, id="the last promotion"),
        pytest.param(V2, [past(V2, V3, Outcome.ROLLED_BACK), past(V1, V2)], V1, id="a rollback since"),
        pytest.param(V1, [past(V2, V1), past(V1, V2)], V2, id="undone twice"),
        pytest.param(V2.but(revision="b"), [past(V1, V2)], V1, id="another build of it since"),
        pytest.param(V3, [past(V2, V3), past(V1, V2)], V2, id="only one step back"),
    ],
)
def test_the_version_before(stable: Version, history: list[RolloutSummary], version: Version) -> None:
    assert before(Status(stable=stable, history=tuple(history))) == version


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param(Status(), "isn't known which version serves", id="nothing known"),
        pytest.param(Status(stable=V1), "the version before v1", id="adopted"),
        pytest.param(Status(stable=V3, history=(past(V1, V2),)), "the version before v3", id="moved by others since"),
        pytest.param(at_20_percent().status, "canary rollback", id="a rollout runs"),
    ],
)
def test_where_it_is_not_known(status: Status, words: str) -> None:
    """Nothing is guessed; who wants a running rollout back gets the command."""
    with pytest.raises(Invalid, match=words):
        before(status)
