"""Services, load and proxy, without a rollout: how they behave, and that all three count the same."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from canary.demo.children import Child, Failed, Worker
from canary.demo.load import Counted, Load
from canary.demo.proxy import ROUTE, Proxy
from canary.demo.services import Services
from canary.sandbox.scenarios import HEALTHY, Behaviour
from tests.demo.watching import noted
from tests.parts.patience import Busyness
from tests.parts.processes import get, wait_for

Start = Callable[[Mapping[str, Behaviour], Mapping[str, int]], tuple[Services, Proxy, Load]]
RATE = 300.0


@pytest.fixture
def start(envoy_binary: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts services by behaviour, an Envoy with these weights before them, and an idle load."""
    with ExitStack() as stack:

        def started(versions: Mapping[str, Behaviour], weights: Mapping[str, int]) -> tuple[Services, Proxy, Load]:
            services = stack.enter_context(Services(tmp_path / "services.log"))
            load = stack.enter_context(Load(tmp_path / "load.log", tmp_path / "requests.csv"))
            ports = {version: services.open(version, behaviour) for version, behaviour in versions.items()}
            proxy = stack.enter_context(Proxy(tmp_path, {ROUTE: ports}))
            weigh(proxy.routes[ROUTE], weights)
            proxy.wait()
            return services, proxy, load

        yield started


def weigh(routes: Path, weights: Mapping[str, int]) -> None:
    text = routes.read_text()
    for version, weight in weights.items():
        text = text.replace(f"{version}, weight: 100", f"{version}, weight: {weight}")
        text = text.replace(f"{version}, weight: 0", f"{version}, weight: {weight}")
    routes.write_text(text)


def requests(load: Load) -> int:
    return sum(tally.requests for tally in load.tally().values())


def test_load_services_and_envoy_count_the_same(start: Start, tmp_path: Path) -> None:
    """Healthy, failing and dying versions: each request is counted once, by everybody whom it reached."""
    behaviours = {"v1": HEALTHY, "v2": Behaviour(errors=0.3), "v3": Behaviour(dies_after=0.5)}
    services, proxy, load = start(behaviours, {"v1": 50, "v2": 25, "v3": 25})
    load.start(proxy.ports, RATE)
    wait_for(lambda: load.tally().get("v3") and load.tally()["v3"].failed > 50, "v3 to be dead")
    counted = Counted(load.stop(), services.counts(), proxy.answers())
    assert counted.agree, counted
    assert set(counted.load) == {"v1", "v2", "v3"}
    assert counted.load["v1"].failed == 0
    assert set(counted.load["v2"].answers) == {"200", "500"}
    assert set(counted.load["v3"].answers) == {"200", "503"}
    noted = (tmp_path / "requests.csv").read_text().splitlines()[1:]
    assert len(noted) == requests(load)


def test_latencies_are_as_the_behaviour_says(start: Start) -> None:
    """Half of the answers within p50, nearly all within p99; the machine's own delays come on top."""
    _, proxy, load = start({"v1": Behaviour(p50=40, p99=200)}, {})
    busy = Busyness()
    load.start(proxy.ports, RATE)
    wait_for(lambda: requests(load) > 600, "600 answers")
    tally = load.stop()["v1"]
    assert (tally.p50 > 35, tally.p99 > 110) == (True, True)
    if busy.share < 0.5:  # on a busier machine they are its own delays
        assert (tally.p50 < 160, tally.p99 < 1000) == (True, True)


def test_the_load_does_not_wait_for_slow_answers(start: Start, tmp_path: Path) -> None:
    """An open loop: with everybody frozen for a while, what was due meanwhile was sent, and waited for in full."""
    services, proxy, load = start({"v1": HEALTHY}, {})
    load.start(proxy.ports, RATE)
    wait_for(lambda: requests(load) > 50, "the load to run")
    freeze(services)
    first = load.tally()["v1"].last
    wait_for(lambda: in_flight(proxy) > 100, "requests to wait")
    freeze(services, frozen=False)
    wait_for(lambda: load.tally()["v1"].last > first + 0.5, "answers again")
    tally, sent = load.stop()["v1"], sorted(one.sent for one in noted(tmp_path, "v1"))
    assert tally.failed == 0
    assert tally.requests == round((sent[-1] - sent[0]) * RATE) + 1


def in_flight(proxy: Proxy) -> int:
    return int(get(f"{proxy.admin}/stats?filter=v1.upstream_rq_active$")[1].split(": ")[1])


def test_health_checks_are_counted_nowhere(start: Start) -> None:
    """Only requests of the load are."""
    services, proxy, _ = start({"v1": HEALTHY}, {})
    url = f"{proxy.admin}/stats?filter=v1.health_check.success&usedonly"
    wait_for(lambda: "success: " in get(url)[1], "a health check")
    assert services.counts() == {"v1": {}}
    assert proxy.answers() == {}


def test_an_envoy_that_does_not_start_says_why(envoy_binary: Path, tmp_path: Path) -> None:
    """What Envoy printed is in the sentence."""
    with (
        Proxy(tmp_path, {ROUTE: {"v1": -1}}) as proxy,
        pytest.raises(Failed, match=r"(?s)Envoy doesn't start:.*port_value"),
    ):
        proxy.wait()


def test_a_worker_that_is_gone_says_so(tmp_path: Path) -> None:
    """A question to a dead worker is an error with a name, not a hang."""
    with Worker("canary.demo.services", tmp_path / "log") as worker:
        worker.kill()
        with pytest.raises(Failed, match=r"canary\.demo\.services doesn't answer `counts`"):
            worker.ask("counts")


def freeze(child: Child, frozen: bool = True) -> None:
    """Stops a child where it stands, its sockets open, or lets it go on."""
    child.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)
