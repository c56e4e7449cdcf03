"""The real parts start, answer, freeze, die and come back; a missing one is never passed over."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_api_client import PrometheusConnect

from tests.parts import missing
from tests.parts.envoy import Envoy
from tests.parts.patience import Patience
from tests.parts.processes import Child, free_port, get, wait_for
from tests.parts.prometheus import Prometheus

PYTHON = sys.executable


def answering(port: int, body: str) -> dict[str, Any]:
    """A bootstrap with one listener that gives every request the same answer."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": body}}}
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    http = {
        "@type": f"type.googleapis.com/{manager}",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    chain = {"filters": [{"name": "http", "typed_config": http}]}
    return {"static_resources": {"listeners": [{"address": address, "filter_chains": [chain]}]}}


def test_prometheus_scrapes_and_answers_queries(start_prometheus: Callable[..., Prometheus]) -> None:
    """A target that no one serves has `up` of 0, and the sample outlives a kill."""
    unserved = f"- job_name: nobody\n  static_configs: [{{targets: ['127.0.0.1:{free_port()}']}}]"
    prometheus = start_prometheus(unserved)
    with requests.Session() as session:
        client = PrometheusConnect(prometheus.url, timeout=2, session=session)

        def up() -> Any:
            return client.custom_query('up{job="nobody"}')

        assert wait_for(up, "a sample", child=prometheus.child)[0]["value"][1] == "0"
        prometheus.kill()
        with pytest.raises(OSError, match="refused"):
            get(f"{prometheus.url}/-/ready")
        prometheus.start()
        assert wait_for(up, "the sample again", child=prometheus.child)[0]["value"][1] == "0"


def test_a_paused_prometheus_accepts_and_does_not_answer(start_prometheus: Callable[..., Prometheus]) -> None:
    """SIGSTOP makes the time-out that a hanging server makes; SIGCONT ends it."""
    prometheus = start_prometheus()
    prometheus.pause()
    with pytest.raises(TimeoutError):
        get(f"{prometheus.url}/-/ready", timeout=0.3)
    prometheus.resume()
    assert get(f"{prometheus.url}/-/ready")[0] == 200


def test_promtool_checks_rules(promtool: Path, tmp_path: Path) -> None:
    """Prometheus' own checker comes with it."""
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{record: a, expr: sum(up)}]}]")
    subprocess.run([promtool, "check", "rules", rules], check=True, capture_output=True)


def test_envoy_serves_and_comes_back_on_its_ports(
    start_envoy: Callable[[Mapping[str, Any]], Envoy],
) -> None:
    """Envoy serves what its bootstrap says, counts it exactly, and does so again after a kill."""
    port = free_port()
    envoy = start_envoy(answering(port, "hello"))
    assert get(f"http://127.0.0.1:{port}/") == (200, "hello")
    assert "http.in.downstream_rq_2xx: 1" in get(f"{envoy.admin}/stats?filter=downstream_rq_2xx")[1]
    envoy.kill()
    with pytest.raises(OSError, match="refused"):
        get(f"http://127.0.0.1:{port}/")
    envoy.start()
    assert get(f"http://127.0.0.1:{port}/") == (200, "hello")


def test_a_failed_start_shows_the_log(start_envoy: Callable[[Mapping[str, Any]], Envoy]) -> None:
    """A bootstrap that Envoy rejects fails at once, with what Envoy said about it."""
    with pytest.raises(AssertionError, match=r"(?s)ended before Envoy to be live.*no_such_field"):
        start_envoy({"no_such_field": 1})


def test_a_child_dies_with_the_run_that_started_it(tmp_path: Path) -> None:
    """Even a run that is killed leaves nothing behind."""
    run = "from pathlib import Path; from tests.parts.processes import Child; import sys, time\n"
    run += f"child = Child(['sleep', '60'], Path({str(tmp_path / 'log')!r})); print(child.pid, flush=True)\n"
    run += "time.sleep(60)"
    with subprocess.Popen([PYTHON, "-c", run], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        stat = Path(f"/proc/{int(parent.stdout.readline())}/stat")
        wait_for(lambda: "(sleep)" in stat.read_text(), "the child to be running")
        parent.kill()

    def gone() -> bool:
        return not stat.exists() or ") Z " in stat.read_text()

    wait_for(gone, "the child to be gone")


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """`stop` always ends the child, also a paused or a stubborn one."""
    ignores = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)"
    child = Child([PYTHON, "-c", ignores + "; time.sleep(60)"], tmp_path / "log")
    wait_for(lambda: "up" in child.tail(), "the child", child=child)
    child.pause()
    start = time.monotonic()
    child.stop(within=0.2)
    assert not child.alive
    assert time.monotonic() - start < 5


def test_waiting_too_long_says_what_for(tmp_path: Path) -> None:
    """The failure names what was waited for and what the last evaluation gave."""
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for the moon; last: 0"):
        wait_for(lambda: 0, "the moon", within=0.05)


@pytest.mark.parametrize(
    ("waited", "ends"),
    [
        pytest.param(0.0, 2.0, id="quiet: a second counts in full"),
        pytest.param(0.5, 4.0, id="half busy: a second counts half"),
        pytest.param(1.0, 10.0, id="busy: a second counts a fifth"),
    ],
)
def test_patience_lasts_longer_while_processes_wait_for_a_cpu(waited: float, ends: float) -> None:
    """Two seconds of a quiet machine are more of a busy one, and always come to an end."""
    seconds = 0.0
    left = Patience(2, lambda: seconds, lambda: seconds * waited)
    while not left.over:
        seconds += 0.5
    assert seconds == ends


@pytest.mark.parametrize(
    ("required", "ending"),
    [
        pytest.param("", pytest.skip.Exception, id="skipped on a machine without it"),
        pytest.param("1", pytest.fail.Exception, id="failed where parts are required"),
    ],
)
def test_a_missing_part(required: str, ending: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Either way the sentence names the command that provides the part."""
    monkeypatch.setenv("CANARY_REQUIRE_PARTS", required)
    with pytest.raises(ending, match="etcd is missing: `make parts` provides it"):
        missing("etcd", "make parts")
