"""Flux and Helm tell by kstatus whether a Canary is done: Helm, which has the library in it, waits for one."""

from pathlib import Path

import pytest

from canary.api.reason import Reason
from canary.api.status import Phase, Status
from canary.engine.conditions import conditions
from canary.engine.outcome import Finding, Hold
from tests.chart.helm import Helm, Refused
from tests.chart.team import KINDS, SHOP
from tests.engine.situations import NOW
from tests.parts.cluster import ControlPlane

CHART = "{apiVersion: v2, name: shop, version: 0.1.0}"
pytestmark = pytest.mark.long  # Helm looks every few seconds
BRIEFLY, LONG = "3s", "60s"
"""How long Helm waits for what doesn't come, and for what does."""

HELD = Hold()


def status(phase: Phase, reason: str, outcome: Hold = HELD) -> Status:
    """As a decision leaves it, of the first generation."""
    found = Status(phase=phase, reason=Reason(reason), observed_generation=1)
    return found.but(conditions=conditions(found, Finding(outcome, Reason(reason), f"{reason}."), (), NOW))


CASES: dict[str, tuple[Status, str]] = {
    "the desired version was promoted": (status(Phase.SUCCEEDED, "Promoted"), "Current"),
    "the desired version served before": (status(Phase.INITIALIZED, "AlreadyServing"), "Current"),
    "a rollout runs": (status(Phase.PROGRESSING, "Analysing"), "InProgress"),
    "it waits for a person": (status(Phase.WAITING, "WaitingForApproval"), "InProgress"),
    "its end isn't in effect yet": (status(Phase.FINALISING, "WaitingForRoute"), "InProgress"),
    "it is suspended before it began": (status(Phase.SUCCEEDED, "Suspended"), "InProgress"),
    "no one can tell what serves": (status(Phase.SUCCEEDED, "RevisionUnknown", Hold(unsure=True)), "InProgress"),
    "it was rolled back": (status(Phase.FAILED, "RolledBack"), "Failed"),
    "someone has to act": (status(Phase.PROGRESSING, "TrafficDrift", Hold(stalled=True)), "Failed"),
    "the spec is wrong": (status(Phase.INITIALIZED, "InvalidSpec", Hold(stalled=True)), "Failed"),
}


@pytest.fixture
def shop(helm_binary: Path, control_plane: ControlPlane, kinds: None, namespace: str, tmp_path: Path) -> Helm:
    """A chart that holds a Canary, installed; it lies in the Helm's own folder."""
    helm = Helm(helm_binary, tmp_path, control_plane.kubeconfig())
    (tmp_path / "shop" / "templates").mkdir(parents=True)
    (tmp_path / "shop" / "Chart.yaml").write_text(CHART)
    (tmp_path / "shop" / "templates" / "canary.yaml").write_text("{{ .Values | toYaml }}")
    helm.run("install", "shop", str(tmp_path / "shop"), "-n", namespace, *helm.given(SHOP))
    return helm


def waited(helm: Helm, control_plane: ControlPlane, namespace: str, found: Status, expected: str) -> str:
    """The word of kstatus after which Helm ends."""
    path = f"{KINDS}/namespaces/{namespace}/canaries/shop/status"
    control_plane.kube.merge(path, {"status": found.wire()})
    patience = BRIEFLY if expected == "InProgress" else LONG
    try:
        helm.run("upgrade", "shop", str(helm.home / "shop"), "-n", namespace, "--wait", "--timeout", patience)
    except Refused as refusal:
        reported = str(refusal)
        assert "resource Canary" in reported, reported
        return next(word for word in ("InProgress", "Failed") if f"status: {word}" in reported)
    return "Current"


@pytest.mark.parametrize(("found", "expected"), CASES.values(), ids=list(CASES))
def test_it_is_done_when_what_is_wanted_serves(
    shop: Helm, control_plane: ControlPlane, namespace: str, found: Status, expected: str
) -> None:
    """Current, InProgress or Failed, by the conditions that the engine gives."""
    assert waited(shop, control_plane, namespace, found, expected) == expected


def test_an_earlier_success_is_no_answer(shop: Helm, control_plane: ControlPlane, namespace: str) -> None:
    """The status is of a spec that was there before."""
    found = status(Phase.SUCCEEDED, "Promoted").but(observed_generation=0)
    assert waited(shop, control_plane, namespace, found, "InProgress") == "InProgress"
