"""One mutated answer of Prometheus, and all that is made of it. `child.py` runs it."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import pairwise
from random import Random
from typing import Any
from unittest.mock import patch

from canary.engine.observed import Cause, Counts, Missing, Query, Shape, Subject, Value
from canary.metrics import answers
from canary.metrics.credentials import Credentials, Secret
from canary.metrics.limits import Bounds
from canary.metrics.prometheus import Prometheus
from canary.metrics.promql import END, START
from canary.metrics.session import PrometheusClient

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SUBJECTS = [Subject(name, "shop", f"{name}.shop") for name in ("v1", "v2")]
QUERIES = [
    *(Query(name, MINUTE, one) for one in SUBJECTS for name in ("request-success-rate", "request-duration")),
    *(Query("requests", MINUTE, one, Shape.COUNTS, edges=(500.0,)) for one in SUBJECTS),
    Query("mine", MINUTE, SUBJECTS[0], text="up"),
]
SHOWN = Credentials(token=Secret("hunter2/<&>+"), headers=(("X-Key", Secret("k3y-of-mine")),))
NASTY: list[Any] = [
    *("NaN", "+Inf", "-Inf", "1e999", "-0", "-1", "0.5", "1e308", "9007199254740993", "none", "", "\0", "\ud800"),
    *(None, True, False, 0, -1, 10**30, 1e308, math.inf, math.nan, [], {}, [[]], "hunter2/<&>+", "5", "le", "0x10"),
    *("1_000", "é" * 99),
]  # fmt: skip
TEXTS = [b"[", b"]", b"{", b"}", b'"', b"\\", b",", b":", b"\xff", b"\0", b"1e999", b"\\ud800", b"NaN", b"null", b"-"]
PAGES = [
    b"",
    b"<html>Sign in",
    b"<!doctype html>hunter2/&lt;&amp;&gt;+",
    b"\xff\xfe\x00",
    b"upstream error",
    b"[]",
    b'"x"',
]
LABELS = ("reporter", "destination_workload", "destination_workload_namespace", "destination_service", "le",
          "response_code", "grpc_response_status", "request_protocol", "canary_window")  # fmt: skip


def prepared(random: Random) -> Callable[[], None]:
    """What reads one answer."""
    status = random.choice((200,) * 8 + (204, 302, 400, 401, 422, 429, 500, 503))
    return partial(_attempt, status, _body(random), Bounds.of(random.choice((0, 6, 6, 6, 1500))))


def _attempt(status: int, body: bytes, bounds: Bounds) -> None:
    """Raises for what is neither a finite sample nor a reason, or holds a secret."""
    source = _source()

    def ask(self: PrometheusClient, text: str, asked: answers.Asked, within: float) -> Any:
        return _read(status, body, replace(asked, bounds=bounds))

    with patch.object(PrometheusClient, "ask", ask):
        found = source.measure(QUERIES, AT)
    for query, sample in found.items():
        said = str(sample)
        assert "could not be read" not in said, (query, said, body[:2000])
        assert SHOWN.token.value not in said, (query, said)
        match sample:
            case Missing():
                assert sample.detail
                assert sample.cause is not Cause.TIMED_OUT
                assert len(said) < 1000
            case Value():
                assert math.isfinite(sample.value)
            case Counts():
                assert 0 <= sample.bad <= sample.total <= 2**60
                assert all(0 <= count <= sample.timed for _, count in sample.slower)


def _read(status: int, body: bytes, asked: answers.Asked) -> Any:
    """As `session.py` does it: what is too large is never read to its end."""
    if len(body) > asked.bounds.size:
        return asked.bounds.oversize()
    return answers.result(status, body, asked)


@cache
def _source() -> Prometheus:
    source = Prometheus("http://127.0.0.1:1", SHOWN, timeout=120)
    source.quoted = lambda _: True
    return source


def _body(random: Random) -> bytes:
    if random.random() < 0.03:
        return random.choice(PAGES)
    document = _document(random)
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        document = _spoilt(random, document)
    try:
        body = json.dumps(document).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        body = repr(document).encode(errors="replace")
    if random.random() < 0.01:
        return _filled(random, body)
    for _ in range(random.choice((0, 0, 1, 3, 20))):
        body = random.choice(CHANGES)(random, body)
    return body


def _document(random: Random) -> Any:
    if random.random() < 0.1:
        return {"status": "error", "errorType": "bad_data", "error": f"hunter2/<&>+ {random.random()}"}
    rows: list[Any] = []
    for workload in ("v1", "v2"):
        own = {"reporter": "destination", "destination_workload_namespace": "shop", "destination_workload": workload}
        codes = [{"response_code": code, "request_protocol": "http"} for code in ("200", "404", "503")]
        lost = [{"reporter": "source", "destination_service": f"{workload}.shop", "response_code": "503"}]
        native = random.random() < 0.5
        buckets = [{"le": edge} for edge in ("1", "100", "500", "+Inf") if not native]
        for more in (*codes, *lost, *buckets):
            rows.append({"metric": {**own, **more}, "value": [AT.timestamp(), str(random.randrange(100))]})
        rows += [_native({**own, "le": le}, random) for le in (START, END) if native]
    random.shuffle(rows)
    rows = rows[: random.choice((len(rows), 1, 0, 5))]
    return {"status": "success", "data": {"resultType": "vector", "result": rows}}


def _native(labels: dict[str, str], random: Random) -> Any:
    edges = sorted(random.sample(("-Inf", "0", "1", "100", "500", "512", "+Inf"), 5), key=float)
    counts = [random.randrange(9) * (labels["le"] == END) for _ in edges[1:]]
    buckets = [[0, *pair, str(count)] for pair, count in zip(pairwise(edges), counts, strict=True)]
    histogram = {"count": str(sum(counts)), "sum": "9", "buckets": buckets}
    return {"metric": labels, "histogram": [AT.timestamp(), histogram]}


def _spoilt(random: Random, node: Any) -> Any:
    """One of its parts is another one, or none."""
    if isinstance(node, dict) and node and random.random() < 0.9:
        key = random.choice(list(node))
        match random.randrange(8):
            case 0:
                return {name: value for name, value in node.items() if name != key}
            case 1:
                return {**node, random.choice(LABELS): random.choice(NASTY)}
            case _:
                return {**node, key: _spoilt(random, node[key])}
    if isinstance(node, list) and node and random.random() < 0.9:
        at = random.randrange(len(node))
        return [*node[:at], _spoilt(random, node[at]), *node[at + random.choice((0, 1, 1, 1)) :]]
    return random.choice(NASTY)


def _flipped(random: Random, body: bytes) -> bytes:
    at = random.randrange(len(body) + 1)
    return body[:at] + random.choice(TEXTS) + body[at + random.randrange(3) :]


def _cut(random: Random, body: bytes) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _repeated(random: Random, body: bytes) -> bytes:
    """A part of it, or a bracket, so often that it is long; now and then as long as 62 MiB."""
    begin = random.randrange(len(body) + 1)
    part = random.choice(
        (*TEXTS, b"[],", b"{},", b'"",', b"0.1,", b'{"":', body[begin : begin + random.randrange(300)])
    )
    most = random.choice(
        (10, 1000, 2**16, 2**20, 2**20, 4 * 2**20) if random.random() < 0.9 else (16 * 2**20, 62 * 2**20)
    )
    return (body[:begin] + part * (most // max(len(part), 1)) + body[begin:])[: 62 * 2**20]


def _keyed(random: Random, body: bytes) -> bytes:
    """Many different keys, or one very long number."""
    count = random.choice((10, 10_000, 100_000))
    made = b",".join(b'"%x":%d' % (n, n) for n in range(count)) if random.random() < 0.5 else b"1" * count
    return (
        body.replace(b'"metric": {', b'"metric": {' + made + b",", 1) if random.random() < 0.7 else b"{" + made + b"}"
    )


def _filled(random: Random, body: bytes) -> bytes:
    """Sound JSON that comes near to what may be parsed at most, with any use of memory."""
    count = random.choice((1000, 20_000, 29_000, 450_000))
    row = json.dumps({"metric": dict.fromkeys(LABELS, "v1"), "value": [AT.timestamp(), "7"]}).encode()
    more = [
        b"[" + b"0.1," * count + b"1]",
        b"[" + b'"a",' * count + b'"a"]',
        b"{" + b",".join(b'"%x":0.5' % number for number in range(count)) + b"}",
        b"[" + b",".join([b"{}"] * min(count, 85_000)) + b"]",
        b"[" + b",".join([row] * min(count, 29_000)) + b"]",
    ][random.randrange(5)]
    begin = random.choice((b'"data": {', b'"result": ['))
    if begin == b'"result": [' and more.startswith(b"["):
        return body.replace(begin, begin + more[1:-1] + b",", 1)
    return body.replace(b'"data": {', b'"data": {"more": ' + more + b",", 1)


CHANGES: list[Callable[[Random, bytes], bytes]] = [*[_flipped] * 20, *[_cut] * 2, _repeated, _keyed]
