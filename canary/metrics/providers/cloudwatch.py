"""CloudWatch's GetMetricData: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html.

In the JSON protocol of AWS's own clients. `aws.py` has the credentials.
"""

import json
import os
import re
from datetime import UTC, datetime
from typing import Any

from canary.engine.errors import Invalid
from canary.engine.observed import Cause, Value

from .aws import AwsIdentity, AwsKeys, SigningScope, signed
from .question import NoAnswer, ProviderQuestion, ProviderWire, empty, foreign, number, several

SPAN = 10
"""Windows that are asked for, so that there is a complete period however long it is."""
_DENIED = re.compile("AccessDenied|UnrecognizedClient|InvalidClientTokenId|ExpiredToken|Signature|MissingAuth|OptIn")
_BUSY = re.compile("Throttl|LimitExceeded|ServiceUnavailable|InternalServ")
_identity = AwsIdentity()


def ask(question: ProviderQuestion, wire: ProviderWire) -> Value:
    """The newest complete period of the one result; the query is a list of MetricDataQuery in JSON."""
    queries = _queries(question.text)
    end = question.at.timestamp()
    body = json.dumps(
        {
            "StartTime": int(end - SPAN * question.seconds),
            "EndTime": int(end),
            "MaxDatapoints": 20 * len(queries),
            "MetricDataQueries": queries,
            "ScanBy": "TimestampDescending",
        }
    ).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData",
    }
    now = datetime.now(UTC)
    scope = SigningScope("monitoring", question.provider.region, now)
    keys = _keys(question, wire, now)
    sent = signed(question.server + "/", headers, body, keys, scope)
    status, answer = wire.raw("POST", "/", data=body, headers=sent)
    if status == 400:
        raise _refused(wire, answer)
    return Value(number(_newest(wire.parsed(status, answer), _period(queries), end)))


def _keys(question: ProviderQuestion, wire: ProviderWire, now: datetime) -> AwsKeys:
    if question.provider.secret:
        token = question.secret.get("aws_session_token", "")
        return AwsKeys(question.key("aws_access_key_id"), question.key("aws_secret_access_key"), token)
    return _identity.keys(question.provider.region, os.environ, wire, now)


def _queries(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not found or len(found) > 20 or not all(isinstance(one, dict) for one in found):
        raise Invalid("a query of CloudWatch is a list of up to 20 MetricDataQuery in JSON")
    return found


def _period(queries: list[Any]) -> float:
    """The longest, in seconds: a period isn't complete before it is over."""
    periods = [one.get("Period") for one in queries]
    periods += [one["MetricStat"].get("Period") for one in queries if isinstance(one.get("MetricStat"), dict)]
    return max((float(one) for one in periods if isinstance(one, int | float)), default=0.0)


def _newest(document: object, period: float, end: float) -> object:
    match document:
        case {"MetricDataResults": []}:
            raise empty()
        case {"MetricDataResults": [{"Timestamps": list(times), "Values": list(values)} as found]}:
            if found.get("StatusCode") in ("PartialData", "InternalError", "Forbidden"):
                raise NoAnswer(Cause.PARTIAL, f"the result is {found['StatusCode']}")
            over = [value for at, value in zip(times, values, strict=False) if number(at) + period <= end]
            if not over:
                raise empty("the query has no complete period yet")
            return over[0]
        case {"MetricDataResults": list(found)}:
            raise several(len(found), "results (write ReturnData: false at all but one)")
    raise foreign("CloudWatch")


def _refused(wire: ProviderWire, answer: bytes) -> NoAnswer:
    """AWS says 400 for most errors, and which one in the body."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return foreign("CloudWatch")
    if not isinstance(document, dict):
        return foreign("CloudWatch")
    kind = str(document.get("__type") or "").rpartition("#")[2]
    words = str(document.get("message") or document.get("Message") or "") if wire.quoted else ""
    said = wire.scrubbed(f"{kind}: {words}" if words else kind)[:300]
    if _DENIED.search(kind):
        return NoAnswer(Cause.DENIED, said)
    return NoAnswer(Cause.UNAVAILABLE if _BUSY.search(kind) else Cause.INVALID, said)
