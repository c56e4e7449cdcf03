"""A decrease is carried out with any damage to the state's ConfigMap, while the Lease is the run's."""

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from canary.api.plan import Traffic
from tests.bookinfo.site import GATED, NAME, Run, Site
from tests.mesh import bookinfo
from tests.parts.kube import SLOWLY
from tests.parts.processes import wait_for

pytestmark = pytest.mark.long

OWN = "canary-virtualservice-reviews"
Damage = Callable[[Site], None]


def path(site: Site) -> str:
    return site.mesh.path("v1", "ConfigMap", OWN)


def changed(site: Site, **fields: Any) -> None:
    """As any client with the permission can do it."""
    site.mesh.kube.merge(path(site), fields)


def another(site: Site) -> None:
    """A whole state of the same rollout that another client saved."""
    status = json.loads(site.mesh.kube.read(path(site))["data"]["status"])
    changed(site, data={"status": json.dumps({**status, "message": "mine"})})


def deleted(site: Site) -> None:
    answer = site.mesh.kube.request("DELETE", path(site))
    assert answer.ok, answer.text


def replaced(site: Site) -> None:
    """Another object of this name, which isn't canary's."""
    deleted(site)
    site.mesh.kube.create(site.mesh.path("v1", "ConfigMap"), {"metadata": {"name": OWN}, "data": {"ours": "no"}})


def immutable(site: Site) -> None:
    """The API server refuses each save from now on."""
    changed(site, immutable=True)


@pytest.fixture
def site(site: Site) -> Iterator[Site]:
    """Afterwards what a test has put in the state's place is gone, with any labels."""
    yield site
    site.stop()
    site.mesh.kube.request("DELETE", path(site))


def generation(site: Site) -> int:
    """How often the routes have been written."""
    return int(site.mesh.kube.read(site.mesh.path(bookinfo.ISTIO, "VirtualService", NAME))["metadata"]["generation"])


def exposed(site: Site, *options: str) -> Run:
    """A run that waits at a gate with 30% of the requests on v2."""
    site.write("v2", steps=GATED)
    run = site.run(*options)
    site.until("WaitingForApproval")
    return run


DAMAGES: list[tuple[str, Damage, str]] = [
    ("overwritten", another, "another run"),
    ("overwritten by nothing", lambda site: changed(site, data={"status": "{}"}), "another run"),
    ("garbled", lambda site: changed(site, data={"status": "gar[bage"}), "another run"),
    ("without data", lambda site: changed(site, data=None), "can be read"),
    ("of a newer release", lambda site: changed(site, data={"format": "99"}), "newer canary"),
    ("replaced", replaced, "can be read"),
    ("deleted: written again", deleted, ""),
    ("relabelled: of no concern", lambda site: changed(site, metadata={"labels": {"team": "shop"}}), ""),
]


@pytest.mark.parametrize(("damage", "said"), [pytest.param(*row, id=name) for name, *row in DAMAGES])
def test_a_state_that_is_damaged_in_mid_run_keeps_no_failing_canary(site: Site, damage: Damage, said: str) -> None:
    """Code 3 with nothing on v2, and the last line says why the state wasn't saved."""
    run = exposed(site)
    damage(site)
    site.mesh.behave("reviews-v2", errors=1.0)
    assert run.ends() == 3, run.text
    assert site.traffic == Traffic()
    last = run.text.splitlines()[-1]
    assert said in last, last
    assert ("status can't be saved" in last) is bool(said)


@pytest.mark.parametrize("damage", [another, immutable, replaced])
def test_pods_that_vanish_after_it(site: Site, damage: Damage) -> None:
    """Neither evidence nor a save is waited for; only the end is: the run tries to save it for two minutes."""
    exposed(site)
    damage(site)
    site.mesh.scale("reviews-v2", 0)
    site.until_weight(0)


@pytest.mark.parametrize("damage", [another, replaced])
def test_sigterm_after_it(site: Site, damage: Damage) -> None:
    """Code 6 with nothing on v2."""
    run = exposed(site)
    damage(site)
    run.process.send_signal(signal.SIGTERM)
    assert run.ends() == 6, run.text
    assert site.traffic == Traffic()


@pytest.mark.parametrize("damage", [another, immutable])
def test_nothing_is_increased_after_it(site: Site, damage: Damage) -> None:
    """An increase needs a state that was saved. The run says why there is none, and still lowers."""
    run = exposed(site)
    damage(site)
    written = generation(site)
    site.ask("approve")
    wait_for(lambda: "status can't be saved" in run.text, "the run to say so", within=SLOWLY)
    assert (site.traffic, generation(site)) == (Traffic(weight=30), written)
    site.mesh.behave("reviews-v2", errors=1.0)
    site.until_weight(0)
