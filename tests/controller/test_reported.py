"""Alerts that are reported to the controller: who may, how much, and what becomes of them."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from canary.api.analysis import AlertMatch
from canary.api.reason import Reason
from canary.api.status import End, Outcome, Status
from canary.controller.report_secrets import OLDEST, ReportSecrets, secrets_from
from canary.controller.reported import (
    BURST,
    LARGEST,
    Bucket,
    Promoted,
    ReportedAlerts,
    RunningRollouts,
    WatchedPromotions,
    Watching,
    WayBack,
)
from canary.controller.specs import Shared, Specs
from canary.kube.requests import ApiVerb, Request
from canary.kube.resources import CANARY_ACTIONS
from canary.metrics.credentials import Secret
from canary.stores.projection import CanarySeen
from canary.web import Serving
from tests.controller.objects import NOW, canary, rollout, running, shown
from tests.controller.serving import Server, client
from tests.engine.test_firing import ended

TOKEN, KEY = "t0ken", "k3y"
SECRETS = ReportSecrets(Secret(TOKEN), Secret(KEY))
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FRAUD = {"alert": "Fraud", "labels": {"team": "pay"}, "message": "refunds doubled"}
GENERIC = "/hooks/generic"


class At:
    """A clock that stands."""

    def now(self) -> Any:
        return NOW


@pytest.fixture
def server() -> Server:
    """Without an object; it knows who asks."""
    return Me()


class Me(Server):
    """Says whose the account is, and refuses a second object of one name."""

    def _answered(self, request: Request) -> tuple[int, dict[str, Any]]:
        if request.resource.kind == "SelfSubjectReview":
            return 201, {"status": {"userInfo": {"username": "system:serviceaccount:canary:canary"}}}
        name = request.body["metadata"]["name"] if request.verb is ApiVerb.CREATE else ""
        if (request.resource.kind, request.namespace, name) in self.objects:
            return 409, {"kind": "Status", "reason": "AlreadyExists", "message": "already exists"}
        return super()._answered(request)


def one(*rules: str) -> Watching:
    return Watching(("shop", "reviews"), "u1", rollout(), tuple(AlertMatch(alert=rule) for rule in rules))


@contextmanager
def served(server: Server, *watching: Watching, secrets: ReportSecrets = SECRETS) -> Iterator[Serving]:
    """The controller's server, with these rollouts."""
    reported = ReportedAlerts(client(server), secrets, lambda: iter(watching), At())  # type: ignore[arg-type]
    serving = Serving("127.0.0.1:0", lambda: b"", tuple, tuple, posts=reported.posts)
    serving.start()
    try:
        yield serving
    finally:
        serving.stop()


def post(serving: Serving, body: Any, headers: Mapping[str, str] = BEARER, path: str = GENERIC) -> tuple[int, str]:
    """The status and the line of the answer."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with closing(HTTPConnection("127.0.0.1", serving.port, timeout=30)) as connection:
        connection.request("POST", path, text, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()


def actions(server: Server) -> list[dict[str, Any]]:
    return [request.body for request in server.sent if request.resource == CANARY_ACTIONS]


def test_a_matching_alert_becomes_an_action_for_the_rollout(server: Server) -> None:
    """In the name of the controller, with the alert and its message."""
    with served(server, one("Other", "Fraud")) as serving:
        assert post(serving, FRAUD) == (200, "1 firing, 1 rollbacks asked for")
    (action,) = actions(server)
    assert action["metadata"]["namespace"] == "shop"
    assert action["spec"] == {
        "canary": "reviews", "verb": "rollback", "rollout": 1, "alert": "Fraud", "comment": "refunds doubled",
        "author": "system:serviceaccount:canary:canary",
    }  # fmt: skip


def test_a_repeated_message_asks_once(server: Server) -> None:
    """Alertmanagers repeat, and several may be notified."""
    with served(server, one("Fraud")) as serving:
        assert [post(serving, FRAUD)[0] for _ in range(3)] == [200] * 3
    assert len({action["metadata"]["name"] for action in actions(server)}) == 1
    assert len(server.objects) == 1


def test_what_no_rollout_names_asks_nothing(server: Server) -> None:
    """It is answered all the same: an Alertmanager would send it again and again."""
    with served(server, one("Other"), one()) as serving:
        assert post(serving, FRAUD) == (200, "1 firing, 0 rollbacks asked for")
    assert actions(server) == []


@pytest.mark.parametrize("path", ["/hooks/alertmanager", "/hooks/falco", GENERIC])
def test_without_a_secret_there_is_nothing_to_post_to(server: Server, path: str) -> None:
    """Off unless configured."""
    with served(server, one("Fraud"), secrets=ReportSecrets()) as serving:
        assert post(serving, FRAUD, path=path)[0] == 501
    assert server.sent == []


def signed(body: bytes, stamp: float, key: str = KEY) -> dict[str, str]:
    text = f"{stamp:.0f}"
    digest = hmac.new(key.encode(), f"{text}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Canary-Timestamp": text, "X-Canary-Signature": f"sha256={digest}"}


BODY = json.dumps(FRAUD).encode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (BEARER, 200),
        (signed(BODY, NOW.timestamp()), 200),
        (signed(BODY, NOW.timestamp() - OLDEST + 1), 200),
        ({}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 401),
        (signed(BODY, NOW.timestamp(), "other"), 401),
        (signed(BODY + b" ", NOW.timestamp()), 401),
        (signed(BODY, NOW.timestamp() - OLDEST - 1), 401),
        ({**signed(BODY, NOW.timestamp()), "X-Canary-Timestamp": "soon"}, 401),
        ({**signed(BODY, NOW.timestamp()), "X-Canary-Timestamp": "9" * 5000}, 401),
    ],
)
def test_only_who_knows_the_token_or_the_key_is_heard(server: Server, headers: dict[str, str], status: int) -> None:
    """A signature is for one body and one time."""
    with served(server, one("Fraud")) as serving:
        assert post(serving, BODY, headers)[0] == status
    assert bool(actions(server)) is (status == 200)


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer "}, signed(BODY, NOW.timestamp(), "")]
)
@pytest.mark.parametrize("secrets", [ReportSecrets(Secret(TOKEN)), ReportSecrets(key=Secret(KEY))])
def test_a_secret_that_is_not_set_is_not_an_empty_one(
    server: Server, secrets: ReportSecrets, headers: dict[str, str]
) -> None:
    """With a key alone no token is right, and the other way round."""
    stamped = {**headers, "X-Canary-Timestamp": f"{NOW.timestamp():.0f}"}
    with served(server, one("Fraud"), secrets=secrets) as serving:
        assert post(serving, BODY, stamped)[0] == 401
    assert actions(server) == []


def test_secrets_come_from_the_environment_or_files(tmp_path: Path) -> None:
    """A file is read again each time."""
    file = tmp_path / "token"
    file.write_text("one\n")
    found = secrets_from({"CANARY_HOOKS_TOKEN_FILE": str(file), "CANARY_HOOKS_KEY": KEY})
    assert found.token.read() == "one"
    file.write_text("two\n")
    assert (found.token.read(), found.key.read()) == ("two", KEY)
    assert KEY not in repr(found)
    assert not secrets_from({})


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "the body isn't JSON"),
        (b"\xff", 400, "the body isn't JSON"),
        (b"[" * 100_000, 400, "the body isn't JSON"),
        ([], 400, "JSON object"),
        (b" " * (LARGEST + 1), 413, "Too Large"),
    ],
    ids=["half", "no text", "deep", "a list", "too large"],
)
def test_a_wrong_body_is_explained(server: Server, body: Any, status: int, words: str) -> None:
    """In one line."""
    with served(server, one("Fraud")) as serving:
        answer = post(serving, body)
    assert answer[0] == status
    assert words in answer[1]


def test_an_api_server_that_is_away_is_a_reason_to_send_it_again(server: Server) -> None:
    """503 makes an Alertmanager retry."""
    server.lost = lambda request: True
    with served(server, one("Fraud")) as serving:
        assert post(serving, FRAUD) == (503, "the rollback can't be asked for now; try again later")


def test_more_messages_than_the_rate_allows_are_refused_unread(server: Server) -> None:
    """Those that may report."""
    now = [5.0]
    bucket = Bucket(lambda: now[0])
    assert [bucket.take() for _ in range(int(BURST) + 2)] == [True] * int(BURST) + [False] * 2
    now[0] += 0.15
    assert [bucket.take(), bucket.take()] == [True, False]


def test_messages_without_a_secret_use_up_nothing(server: Server) -> None:
    """Else anybody could keep alerts away from the controller."""
    with served(server, one("Fraud")) as serving:
        assert {post(serving, FRAUD, {})[0] for _ in range(int(BURST) + 2)} == {401}
        assert post(serving, FRAUD)[0] == 200


def test_a_signed_message_that_is_repeated_asks_nothing_of_a_later_rollout(server: Server) -> None:
    """It tells of the time at which it was signed."""
    later = rollout().but(started=NOW - timedelta(seconds=30))
    with served(server, replace(one("Fraud"), rollout=later)) as serving:
        assert post(serving, BODY, signed(BODY, NOW.timestamp() - 60)) == (200, "1 firing, 0 rollbacks asked for")
        assert post(serving, BODY, signed(BODY, NOW.timestamp())) == (200, "1 firing, 1 rollbacks asked for")


def test_only_rollouts_that_can_still_go_back_are_asked() -> None:
    """With what their specs name now."""
    spec = canary()["spec"]
    analysis = {**spec["analysis"], "rollbackOn": [{"alert": "Fraud", "labels": {"team": "pay"}}]}
    status = running()
    seen = shown({"analysis": analysis}, status.wire())
    nothing = Shared(lambda *_: None, lambda *_: None, lambda *_: None)
    found = RunningRollouts(lambda: [(("shop", "reviews"), seen)], lambda key: status, lambda: Specs(nothing))
    (watched,) = found()
    plain = shown({}, status.wire())
    read: list[Any] = []
    assert not list(RunningRollouts(lambda: [(("shop", "x"), plain)], read.append, lambda: Specs(nothing))())
    assert read == []  # no alert would roll it back
    assert watched.rules == (AlertMatch(alert="Fraud", labels={"team": "pay"}),)
    assert watched.rollout == status.rollout
    status = status.but(rollout=None)
    assert list(found()) == []


AFTER = {"rollbackOn": [{"alert": "Fraud"}], "watchAfterPromotion": "30m"}


def promoted(**analysis: Any) -> tuple[CanarySeen, Status]:
    """v2 was promoted a second ago."""
    summary = ended("v1:a", "v2:b")
    status = Status(stable=summary.canary, history=(summary,))
    return shown({"analysis": {**canary()["spec"]["analysis"], **analysis}}, status.wire()), status


def found(seen: CanarySeen, status: Status) -> list[Promoted]:
    """The promotions that are watched."""
    nothing = Shared(lambda *_: None, lambda *_: None, lambda *_: None)
    return list(
        WatchedPromotions(lambda: [(("shop", "reviews"), seen)], lambda _: status, lambda: Specs(nothing), At())()  # type: ignore[arg-type]
    )


def test_a_promotion_is_watched_as_long_as_its_spec_says() -> None:
    """And nothing is, where it says nothing."""
    seen, status = promoted(**AFTER)
    (one,) = found(seen, status)
    assert (one.summary, one.rules) == (status.history[0], (AlertMatch(alert="Fraud"),))
    assert found(*promoted(rollbackOn=AFTER["rollbackOn"])) == []
    assert found(*promoted(watchAfterPromotion="30m")) == []
    end = End(outcome=Outcome.PROMOTED, reason=Reason.PROMOTED, message="", at=NOW)
    (one,) = found(seen, running().but(rollout=rollout().but(end=end)))
    assert one.summary is None
    assert found(seen, running().but(rollout=rollout().but(end=end.but(outcome=Outcome.ROLLED_BACK)))) == []


@contextmanager
def after_promotion(server: Server, spec: Mapping[str, Any], status: Status) -> Iterator[Serving]:
    """A controller whose Canary was just promoted."""
    server.put(canary(spec, status.wire()))
    watched = found(*promoted(**AFTER))
    writer = client(server)
    clock: Any = At()
    reported = ReportedAlerts(
        writer, SECRETS, lambda: iter(()), clock, lambda: iter(watched), WayBack(writer, "here")
    )
    serving = Serving("127.0.0.1:0", lambda: b"", tuple, tuple, posts=reported.posts)
    serving.start()
    try:
        yield serving
    finally:
        serving.stop()


def test_an_alert_after_a_promotion_lets_the_version_before_be_desired(server: Server) -> None:
    """A message that is repeated finds it written; an Event says why."""
    _, status = promoted()
    with after_promotion(server, {"version": "v2"}, status) as serving:
        assert {post(serving, FRAUD) for _ in range(2)} == {(200, "1 firing, 1 rollbacks asked for")}
    assert server.objects["Canary", "shop", "reviews"]["spec"]["version"] == "v1"
    (event,) = (one for (kind, *_), one in server.objects.items() if kind == "Event")
    assert (event["type"], event["reason"]) == ("Warning", "AlertFired")
    assert (
        event["message"]
        == "going back to v1 (a): the alert Fraud fired after the promotion of v2 (b): refunds doubled"
    )


@pytest.mark.parametrize(("version", "history"), [("v3", True), ("v2", False)])
def test_what_another_client_desires_meanwhile_stays(server: Server, version: str, history: bool) -> None:
    """A newer version, or a rollout that has begun."""
    _, status = promoted()
    with after_promotion(server, {"version": version}, status if history else running()) as serving:
        assert post(serving, FRAUD)[0] == 200
    assert server.objects["Canary", "shop", "reviews"]["spec"]["version"] == version


def test_an_alert_while_a_promotion_is_completed_is_to_be_sent_again(server: Server) -> None:
    """Nothing is written yet, and nothing is lost."""
    end = End(outcome=Outcome.PROMOTED, reason=Reason.PROMOTED, message="", at=NOW)
    seen, _ = promoted(**AFTER)
    watched = found(seen, running().but(rollout=rollout().but(end=end)))
    writer = client(server)
    reported = ReportedAlerts(writer, SECRETS, lambda: iter(()), At(), lambda: iter(watched), WayBack(writer, ""))  # type: ignore[arg-type]
    serving = Serving("127.0.0.1:0", lambda: b"", tuple, tuple, posts=reported.posts)
    serving.start()
    try:
        assert post(serving, FRAUD)[0] == 503
    finally:
        serving.stop()
    assert server.sent == []
