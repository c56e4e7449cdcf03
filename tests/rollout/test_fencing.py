"""Nothing is written past what must hold before, and that is asked in order."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from canary.api.plan import Traffic
from canary.engine.errors import CanaryError, Conflict, Rejected, Unreachable
from canary.engine.observed import Missing, RouteSeen
from canary.kube.client import Client
from canary.kube.resources import (
    CANARIES,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from canary.ports import Router
from canary.rollout.fencing import BEFORE_EACH_REQUEST, Fence, FencedRouter, Purpose
from canary.routers.istio import VIRTUAL_SERVICES
from tests.controller.objects import Wire

CODE = Path(__file__).parents[2] / "canary"
RESOURCES = {PODS, STATEFUL_SETS, *(one for rule in BEFORE_EACH_REQUEST.values() for one in rule.resources)}
"""All that some client writes, and two kinds that none does."""
RAISE, LOWER = Traffic(weight=30), Traffic()
AWAY, REFUSED, TAKEN = Unreachable("no answer"), Rejected("no"), Conflict("taken")


@dataclass
class World(Router):
    """A writer whose facts a test sets, and what was asked and sent, in order."""

    over: CanaryError | None = None
    """Why it doesn't lead any more."""
    build: bool | CanaryError = True
    refusal: CanaryError | None = None
    """Of the target's Lease."""
    rival: str = ""
    log: list[str] = field(default_factory=list)

    def leads(self) -> None:
        self.log.append("leads")
        if self.over is not None:
            raise self.over

    def claim(self) -> None:
        self.log.append("claim")
        if self.refusal is not None:
            raise self.refusal

    def same_build(self, version: str) -> bool:
        self.log.append(f"build {version}")
        if isinstance(self.build, CanaryError):
            raise self.build
        return self.build

    def read(self, stable: str | None, canary: str) -> RouteSeen | Missing:
        raise AssertionError("nothing is read here")

    def write(self, stable: str, canary: str, traffic: Traffic, token: str | None) -> None:
        """As a router of a cluster does."""
        self.client.patch(VIRTUAL_SERVICES, "shop", "reviews", [])

    def __post_init__(self) -> None:
        self.wire = Wire([{}] * 9)
        self.fence = Fence(self.leads, self, self.same_build)
        self.client = self.fence.client(Client(self.wire), Purpose.TRAFFIC)

    def moves(self, traffic: Traffic) -> None:
        """Writes traffic."""
        FencedRouter(self, self.fence).write("v1", "v2", traffic, "7")


def test_an_increase_asks_for_the_build_the_target_and_the_lead() -> None:
    """What costs a request comes first, so that leadership is asked right before the write is sent."""
    here = World()
    here.moves(RAISE)
    assert (here.log, here.wire.asked) == (["build v2", "claim", "leads"], ["patch VirtualService"])


def test_a_decrease_asks_for_no_build() -> None:
    """No matter what runs there, no one is sent to it any more."""
    here = World(build=False)
    here.moves(LOWER)
    assert (here.log, here.wire.asked) == (["claim", "leads"], ["patch VirtualService"])


@pytest.mark.parametrize(
    ("world", "traffic"),
    [
        (lambda: World(build=False), RAISE),
        (lambda: World(build=AWAY), RAISE),
        (lambda: World(refusal=AWAY), RAISE),
        (lambda: World(refusal=REFUSED), RAISE),
        (lambda: World(refusal=TAKEN), RAISE),
        (lambda: World(refusal=TAKEN), LOWER),
        (lambda: World(over=Conflict("another leads")), RAISE),
        (lambda: World(over=Conflict("another leads")), LOWER),
        (lambda: World(over=AWAY), LOWER),
        (lambda: World(rival="process 4711 has it"), LOWER),
    ],
    ids=[
        "another build",
        "the build can't be read",
        "the target's Lease can't be read",
        "it may not be written",
        "it is another's, an increase",
        "it is another's, a decrease",
        "another leads, an increase",
        "another leads, a decrease",
        "leadership is in doubt",
        "another is known to have the target",
    ],
)
def test_nothing_is_sent_where_a_check_fails(world: Callable[[], World], traffic: Traffic) -> None:
    """Each check by itself is enough."""
    here = world()
    with pytest.raises(CanaryError):
        here.moves(traffic)
    assert here.wire.sent == []


@pytest.mark.parametrize("refusal", [AWAY, REFUSED], ids=["no answer", "no permission"])
def test_exposure_is_decreased_though_the_lease_cannot_be_had(refusal: CanaryError) -> None:
    """It protects, and anyone who holds the target wouldn't mind."""
    here = World(refusal=refusal)
    here.moves(LOWER)
    assert here.wire.asked == ["patch VirtualService"]


def test_a_router_that_is_called_past_its_checks_sends_nothing() -> None:
    """Also right after a write that passed them."""
    here = World()
    for _ in range(2):
        with pytest.raises(AssertionError, match="past its checks"):
            here.write("v1", "v2", RAISE, "7")
        assert here.wire.sent == []
    here.moves(RAISE)
    with pytest.raises(AssertionError, match="past its checks"):
        here.write("v1", "v2", RAISE, "7")
    assert here.wire.asked == ["patch VirtualService"]


def test_a_client_without_a_fence_only_reads() -> None:
    """The fence is what makes it write."""
    wire = Wire([{}, {}])
    Client(wire).get(CANARIES, "shop", "reviews")
    with pytest.raises(AssertionError, match="only reads"):
        Client(wire).create(CANARIES, "shop", {})
    assert wire.asked == ["get Canary"]


@pytest.mark.parametrize("purpose", Purpose)
def test_a_client_writes_what_it_is_for(purpose: Purpose) -> None:
    """And nothing else."""
    wire, fence = Wire([{}] * len(RESOURCES)), Fence(passed=True)
    client, written = fence.client(Client(wire), purpose), set[Resource]()
    for resource in RESOURCES:
        try:
            client.create(resource, "shop", {})
            written.add(resource)
        except AssertionError:
            continue
    assert written == set(BEFORE_EACH_REQUEST[purpose].resources)


def test_no_other_file_makes_a_client_that_writes() -> None:
    """Who may write is read in one place."""
    found = {
        str(file.relative_to(CODE))
        for file in CODE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        if (isinstance(node.func, ast.Attribute) and node.func.attr == "fenced")
        or any(keyword.arg == "fence" for keyword in node.keywords)
    }
    assert found == {"rollout/fencing.py", "kube/client.py"}


@pytest.mark.parametrize("purpose", [Purpose.REQUESTS, Purpose.REPORTS])
@pytest.mark.parametrize("target", [CANARIES, DEPLOYMENTS, DAEMON_SETS, SERVICES])
def test_each_kind_of_target_can_be_taken_back(target: Resource, purpose: Purpose) -> None:
    """By a person with `canary undo`, and by an alert after a promotion: a version, a template, or a selection."""
    wire = Wire([{}])
    Fence().client(Client(wire), purpose).patch(target, "shop", "web", [])
    assert wire.asked == [f"patch {target.kind}"]


def test_a_primary_is_written_after_the_checks_only() -> None:
    """Those before traffic, but for the build: nothing of it moves traffic to the canary."""
    here = World(build=False)
    client = here.fence.client(Client(here.wire), Purpose.PRIMARY)
    with pytest.raises(AssertionError, match="past its checks"):
        client.scale(DEPLOYMENTS, "shop", "podinfo", 0)
    assert here.wire.sent == []
    with here.fence.primary():
        client.scale(DEPLOYMENTS, "shop", "podinfo", 0)
    assert (here.log, here.wire.asked) == (["claim", "leads"], ["patch Deployment"])
