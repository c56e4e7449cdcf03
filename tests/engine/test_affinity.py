"""Session affinity: which cookies a rollout has, and which of its traffic states have them."""

from datetime import timedelta
from typing import Any

import pytest

from canary.api.analysis import SessionAffinity
from canary.api.plan import Affinity, Cookie
from canary.engine.affinity import cookies
from tests.rollout.wired import Driven
from tests.scenarios.test_primary import box, primary

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, Affinity(canary=Cookie(name="seen", attributes="Max-Age=86400")), id="Flagger's default"),
        pytest.param(
            {"primaryCookieName": "old", "maxAge": 90},
            Affinity(
                canary=Cookie(name="seen", attributes="Max-Age=90"),
                primary=Cookie(name="old", attributes="Max-Age=60"),
            ),
            id="the primary's lives for one interval",
        ),
        pytest.param(
            {"domain": "a.b", "path": "/", "sameSite": "None", "secure": True, "httpOnly": True, "partitioned": True},
            Affinity(
                canary=Cookie(
                    name="seen",
                    attributes="Max-Age=86400; Domain=a.b; HttpOnly; Partitioned; Path=/; SameSite=None; Secure",
                )
            ),
            id="all attributes",
        ),
        pytest.param(
            {"secure": False, "domain": ""},
            Affinity(canary=Cookie(name="seen", attributes="Max-Age=86400")),
            id="attributes that are off",
        ),
    ],
)
def test_cookies(given: dict[str, Any], expected: Affinity) -> None:
    spec = SessionAffinity.model_validate({"cookieName": "seen", **given})
    assert cookies(spec, MINUTE) == expected


def test_an_interval_below_a_second_is_one() -> None:
    """Max-Age is in seconds, and 0 would take the cookie back."""
    spec = SessionAffinity(cookie_name="seen", primary_cookie_name="old")
    made = cookies(spec, timedelta(milliseconds=500))
    assert made.primary is not None
    assert made.primary.attributes == "Max-Age=1"


AFFINE: dict[str, Any] = {"sessionAffinity": {"cookieName": "seen", "primaryCookieName": "old"}}


def test_all_weights_have_the_cookies_of_their_rollout() -> None:
    """Those on the way back to the primary as well; what has no weight has none."""
    run = Driven(made := box(stepWeights=[20, 50], steps=None, mirror=True, stepWeightPromotion=30, **AFFINE))
    run.run()
    assert [(one.weight, one.affinity is not None) for one in made.router.writes] == [
        (0, False),
        (20, True),
        (50, True),
        (20, True),
        (0, False),
    ]
    known = {one.affinity for one in made.router.writes if one.affinity}
    (affinity,) = known
    assert affinity.primary is not None
    assert affinity.primary.value == affinity.canary.value
    assert affinity.canary.value.isalpha()
    assert len(affinity.canary.value) == 10
    assert primary(made).revision == "b"


def test_each_rollout_has_a_value_of_its_own() -> None:
    """A cookie of an earlier one must not choose the version."""
    made = box(steps=[{"weight": 50}], **AFFINE)
    Driven(made).run()
    made.target.revision = "c"
    Driven(made).run()
    values = [one.affinity.canary.value for one in made.router.writes if one.affinity]
    assert len(values) == len(set(values)) == 2


def test_an_edit_in_mid_rollout_is_for_the_next_one() -> None:
    """The cookies are pinned with the policy."""
    steps = [{"weight": 20}, {"weight": 50}]
    made = box(steps=steps, **AFFINE)

    def edit() -> None:
        made.target.value = box(steps=steps).target.value

    run = Driven(made).at(6, edit)
    run.run()
    assert [one.affinity is not None for one in made.router.writes] == [True, True, False]
