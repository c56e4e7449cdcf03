"""`canary metrics check`: what it asks, what it prints, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from canary.cli.app import run
from tests.metrics.server import Server, serve, vector

MANIFEST = """\
apiVersion: canary-controller.dev/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  targetRef: {kind: EnvoyRoute, name: web}
  version: v2
  envoy: {admin: "http://127.0.0.1:1", routes: routes.yaml}
  metricsServer: URL
  analysis:
    interval: 1m
    stepWeights: [50]
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}}
    - {name: errors, thresholdRange: {max: 1}, query: 'sum(errors{app="{{ target }}"}[{{ interval }}])'}
    - {name: cart, thresholdRange: {max: 5}, templateRef: {name: cart}, dryRun: true}
---
apiVersion: canary-controller.dev/v1beta1
kind: MetricTemplate
metadata: {name: cart, namespace: shop}
spec:
  provider: {address: URL, secretRef: {name: prometheus}}
  query: cart_errors{route="{{ route }}"}
"""
ERRORS = 'errors{app="v2"}'


@pytest.fixture
def prometheus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Prometheus with two errors, a manifest that asks it, and a Secret for the template."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CANARY_SECRETS", str(tmp_path / "secrets"))
    (tmp_path / "secrets" / "prometheus").mkdir(parents=True)
    (tmp_path / "secrets" / "prometheus" / "token").write_text("t0ken-of-cart")
    with serve(lambda query: (200, vector(*([({}, "2")] if "errors{" in query else [])))) as server:
        manifest = MANIFEST.replace("URL", server.url).replace("sum(errors{app=\"{{ target }}\"}[{{ interval }}])",
                                                              'sum(errors{app="{{ target }}"})')  # fmt: skip
        (tmp_path / "web.yaml").write_text(manifest)
        yield server


def test_each_metric_is_asked_and_shown(prometheus: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Value, range and query; out of range is no error here, and no data neither: a rollout would start."""
    assert run(["metrics", "check", "-f", "web.yaml"]) == 0
    out = capsys.readouterr().out
    blocks = out.split("\n\n")
    assert len(blocks) == 3
    assert blocks[0].startswith("request-success-rate  ≥ 99%  no data  no data (no series envoy_cluster_upstream_rq")
    assert f"  prometheus at {prometheus.url}\n" in blocks[0]
    assert "envoy_cluster_upstream_rq_xx" in blocks[0]
    assert blocks[1] == f"errors 2  ≤ 1  failed\n  prometheus at {prometheus.url}\n    sum({ERRORS})"
    assert blocks[2].startswith("cart 2  ≤ 5  passed, dry run\n")
    assert 'cart_errors{route="web"}' in blocks[2]
    sent = {one.form["query"]: one.headers.get("Authorization") for one in prometheus.asked}
    assert sent['cart_errors{route="web"}'] == "Bearer t0ken-of-cart"
    assert sent[f"sum({ERRORS})"] is None
    assert "t0ken" not in out


def test_it_is_json_for_programs(prometheus: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """With the query that was sent."""
    assert run(["metrics", "check", "-f", "web.yaml", "-o", "json"]) == 0
    found = {one["metric"]: one for one in json.loads(capsys.readouterr().out)["metrics"]}
    assert found["errors"] == {
        "metric": "errors",
        "result": "failed",
        "canary": 2.0,
        "range": {"max": 1.0},
        "detail": "",
        "readable": True,
        "provider": "prometheus",
        "server": prometheus.url,
        "query": f"sum({ERRORS})",
    }
    assert set(found) == {"request-success-rate", "errors", "cart"}


def test_what_cant_be_read_is_said_and_ends_with_1(prometheus: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """A rollout would wait at 0%; a dry run keeps none from starting."""
    prometheus.reply = lambda query: (503, "") if "cart" in query or "envoy" in query else (200, vector(({}, "1")))
    assert run(["metrics", "check", "-f", "web.yaml"]) == 1
    first, second, third = capsys.readouterr().out.split("\n\n")
    assert "can't be read" in first
    assert second.startswith("errors 1  ≤ 1  passed\n")
    assert "missing, dry run  unavailable (HTTP 503" in third


def test_a_wrong_manifest_is_a_usage_error(prometheus: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """With lint's sentences, and nothing is asked."""
    Path("web.yaml").write_text(Path("web.yaml").read_text().replace("{name: cart}", "{name: carts}"))
    assert run(["metrics", "check", "-f", "web.yaml"]) == 2
    assert "there is no MetricTemplate 'carts' in these files; did you mean cart?" in capsys.readouterr().err
    assert not prometheus.asked
