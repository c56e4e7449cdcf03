"""CloudWatch and Cloud Monitoring: signatures, tokens, and answers in the shapes of their API documents."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from canary.engine.observed import Cause, Missing, Value
from canary.metrics.providers import cloudwatch
from canary.metrics.providers.aws import AwsIdentity, AwsKeys, SigningScope, signed
from tests.metrics.providers import AT, Request, answer, query, recorded

END = int(AT.timestamp())
KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
QUERY = json.dumps(
    [
        {"Id": "e1", "Expression": "m1 / m2", "Label": "rate"},
        {
            "Id": "m1",
            "MetricStat": {
                "Metric": {"Namespace": "shop", "MetricName": "errors", "Dimensions": []},
                "Period": 60,
                "Stat": "Sum",
            },
            "ReturnData": False,
        },
    ]
)


@pytest.mark.parametrize(
    ("token", "names", "signature"),
    [
        (
            "",
            "content-type;host;x-amz-date;x-amz-target",
            "b4e99eebe013f2b63da1c20507f0b112c04bbc9db536cc4ffa101165171d513c",
        ),
        (
            "session/token+=",
            "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
            "6b4bc496edfc57b13b1744058500cc7108897e9230b4c8294a64d39fbcd9aeef",
        ),
    ],
)
def test_a_request_is_signed_as_awss_own_client_signs_it(token: str, names: str, signature: str) -> None:
    """Recorded from botocore 1.44."""
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData",
    }
    keys = AwsKeys(KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"], token)
    scope = SigningScope("monitoring", "eu-west-1", datetime(2026, 1, 1, 12, tzinfo=UTC))
    found = signed("https://monitoring.eu-west-1.amazonaws.com/", headers, b'{"a": 1}', keys, scope)
    by = "Credential=AKIDEXAMPLE/20260101/eu-west-1/monitoring/aws4_request"
    assert found["Authorization"] == f"AWS4-HMAC-SHA256 {by}, SignedHeaders={names}, Signature={signature}"


def results(*values: float, first: int = END, status: str = "Complete") -> dict[str, Any]:
    """A result with the newest period first."""
    times = [first - 60 * number for number in range(len(values))]
    return {"Id": "e1", "Label": "rate", "Timestamps": times, "Values": list(values), "StatusCode": status}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"MetricDataResults": [results(3, 2, 1)]}, 2.0, id="the newest complete period"),
        pytest.param({"MetricDataResults": [results(3, first=END - 60)]}, 3.0, id="one that is over"),
        pytest.param({"MetricDataResults": [results(3)]}, "the query has no complete period yet", id="none is over"),
        pytest.param({"MetricDataResults": [results()]}, "the query has no complete period yet", id="no values"),
        pytest.param({"MetricDataResults": []}, Cause.EMPTY, id="no result"),
        pytest.param(
            {"MetricDataResults": [results(1), results(2)]},
            "2 results (write ReturnData: false at all but one) where one number was due",
            id="two results",
        ),
        pytest.param(
            {"MetricDataResults": [results(3, 2, status="PartialData")]}, "the result is PartialData", id="partial"
        ),
        pytest.param({"hello": 1}, "an answer that isn't CloudWatch's", id="something else"),
    ],
)
def test_an_answer_of_cloudwatch(document: Any, expected: float | str | Cause) -> None:
    """One number, or why there is none."""
    with recorded((200, document)) as server:
        found = answer(query("cloudwatch", QUERY, server.url, "creds", region="eu-west-1"), KEYS)
    if isinstance(expected, float):
        assert found == Value(expected)
    else:
        assert isinstance(found, Missing)
        assert expected is found.cause if isinstance(expected, Cause) else found.detail == f"{expected}; {server.url}"
    (asked,) = server.asked
    sent = json.loads(asked.body)
    assert sent["MetricDataQueries"] == json.loads(QUERY)
    assert (sent["StartTime"], sent["EndTime"]) == (END - 600, END)
    assert asked.headers["X-Amz-Target"].endswith(".GetMetricData")
    assert "Credential=AKIDEXAMPLE/" in asked.headers["Authorization"]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("AccessDeniedException", Cause.DENIED),
        ("InvalidSignatureException", Cause.DENIED),
        ("ThrottlingException", Cause.UNAVAILABLE),
        ("ValidationError", Cause.INVALID),
    ],
)
def test_an_error_of_cloudwatch(kind: str, cause: Cause) -> None:
    """In its words, without the secret key."""
    body = {"__type": f"com.amazonaws.cloudwatch#{kind}", "message": f"not {KEYS['aws_secret_access_key']}"}
    with recorded((400, body)) as server:
        found = answer(query("cloudwatch", QUERY, server.url, "creds", region="eu-west-1"), KEYS)
    assert found == Missing(cause, f"{kind}: not ***; {server.url}")


@pytest.mark.parametrize("text", ["m1", "{}", "[]", "[1]"])
def test_what_is_no_query_of_cloudwatch_isnt_sent(text: str) -> None:
    """It says what one is."""
    with recorded((200, {})) as server:
        found = answer(query("cloudwatch", text, server.url, "creds", region="eu-west-1"), KEYS)
    assert isinstance(found, Missing)
    assert found.detail.startswith("a query of CloudWatch is a list of up to 20 MetricDataQuery in JSON")
    assert not server.asked


def identities(request: Request) -> tuple[int, Any]:
    """An STS, an EKS agent and CloudWatch in one."""
    ends = datetime.now(UTC) + timedelta(hours=1)
    keys = {"AccessKeyId": "ASIAPOD", "SecretAccessKey": "pod-secret"}
    if b"AssumeRoleWithWebIdentity" in request.body:
        found = {**keys, "SessionToken": "of-sts", "Expiration": ends.timestamp()}
        inner = {"AssumeRoleWithWebIdentityResult": {"Credentials": found}}
        return 200, {"AssumeRoleWithWebIdentityResponse": inner}
    if request.path == "/v1/credentials":
        return 200, {**keys, "Token": "of-agent", "Expiration": ends.isoformat()}
    return 200, {"MetricDataResults": [results(2, 1)]}


@pytest.mark.parametrize("way", ["sts", "agent", "environment", "none"])
def test_without_a_secret_the_pods_identity_is_used(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role of its service account, or what the agent on the node gives; asked for once, not for each query."""
    monkeypatch.setattr(cloudwatch, "_identity", AwsIdentity())
    (tmp_path / "token").write_text("service-account-token")
    file = str(tmp_path / "token")
    with recorded(identities) as server:
        settings: Mapping[str, Mapping[str, str]] = {
            "sts": {
                "AWS_WEB_IDENTITY_TOKEN_FILE": file,
                "AWS_ROLE_ARN": "arn:aws:iam::1:role/canary",
                "AWS_ENDPOINT_URL_STS": server.url,
            },
            "agent": {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file,
            },
            "environment": {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "env"},
            "none": {},
        }
        for name in {name for each in settings.values() for name in each}:
            monkeypatch.delenv(name, raising=False)
        for name, value in settings[way].items():
            monkeypatch.setenv(name, value)
        found = [answer(query("cloudwatch", QUERY, server.url, region="eu-west-1")) for _ in range(2)]
    if way == "none":
        assert isinstance(found[0], Missing)
        assert found[0].cause is Cause.DENIED
        assert not server.asked
        return
    assert found == [Value(1), Value(1)]
    tokens = {"sts": "of-sts", "agent": "of-agent", "environment": None}
    signed_ones = [one for one in server.asked if "X-Amz-Target" in one.headers]
    assert [one.headers.get("X-Amz-Security-Token") for one in signed_ones] == [tokens[way]] * 2
    assert len(server.asked) == (2 if way == "environment" else 3)
    if way == "agent":
        assert server.asked[0].headers["Authorization"] == "service-account-token"


@pytest.fixture(scope="module")
def service_account() -> dict[str, str]:
    """The key of a service account, as Google writes it."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "project_id": "shop-1",
        "private_key_id": "k1",
        "private_key": pem,
        "client_email": "canary@shop-1.iam.gserviceaccount.com",
        "token_uri": "http://127.0.0.1:1/evil",
    }


def google(*series: dict[str, Any], status: int = 200) -> Any:
    """Token endpoint and Cloud Monitoring in one."""

    def reply(request: Request) -> tuple[int, Any]:
        if request.path == "/token":
            return 200, {"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"}
        found: dict[str, Any] = {"timeSeriesDescriptor": {}}
        return status, {**found, **({"timeSeriesData": list(series)} if series else {})}

    return reply


def point(*values: dict[str, Any]) -> dict[str, Any]:
    """A time series with one point for each value, the newest first."""
    return {"labelValues": [], "pointData": [{"values": [one], "timeInterval": {}} for one in values]}


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        pytest.param((point({"doubleValue": 1.5}, {"doubleValue": 9}),), 1.5, id="the newest point"),
        pytest.param((point({"int64Value": "7"}),), 7.0, id="a whole number"),
        pytest.param((), Cause.EMPTY, id="no series"),
        pytest.param((point(),), Cause.EMPTY, id="a series without points"),
        pytest.param(
            (point({"int64Value": "7"}), point({"int64Value": "7"})),
            Cause.INVALID,
            id="two series",
        ),
        pytest.param((point({"stringValue": "x"}),), Cause.INVALID, id="a text"),
    ],
)  # fmt: skip
def test_an_answer_of_cloud_monitoring(
    series: tuple[dict[str, Any], ...], expected: float | Cause, service_account: dict[str, str]
) -> None:
    """With a token that was fetched for the key of the Secret, from no address that the key names."""
    secret = {"serviceAccountKey": json.dumps(service_account), "project": "shop-2"}
    with recorded(google(*series)) as server:
        found = answer(query("stackdriver", "fetch x | within 1m", server.url, "creds"), secret)
    if isinstance(expected, float):
        assert found == Value(expected)
    else:
        assert isinstance(found, Missing)
        assert (found.cause, found.detail.endswith(f"; {server.url}")) == (expected, True)
    token, asked = server.asked
    assert token.path == "/token"
    assert asked.path == "/v3/projects/shop-2/timeSeries:query"
    assert json.loads(asked.body) == {"query": "fetch x | within 1m"}
    assert asked.headers["Authorization"] == "Bearer ya29.token"


def test_a_token_is_fetched_once_for_many_queries(service_account: dict[str, str]) -> None:
    """It is kept in memory until it ends; the project is the key's unless the Secret names one."""
    secret = {"serviceAccountKey": json.dumps(service_account)}
    with recorded(google(point({"doubleValue": 1}))) as server:
        for _ in range(2):
            assert answer(query("stackdriver", "x", server.url, "creds"), secret) == Value(1)
    assert [one.path for one in server.asked] == ["/token", *["/v3/projects/shop-1/timeSeries:query"] * 2]


@pytest.mark.parametrize("key", ["{", "[]", "{}", '{"type": "external_account"}'])
def test_what_is_no_key_of_a_service_account_is_refused(key: str) -> None:
    """Other kinds of credentials name addresses and programs that canary would call."""
    with recorded(google()) as server:
        found = answer(query("stackdriver", "x", server.url, "creds"), {"serviceAccountKey": key})
    assert isinstance(found, Missing)
    assert found.detail.startswith("serviceAccountKey in the Secret is no key of a service account in JSON")
    assert not server.asked
