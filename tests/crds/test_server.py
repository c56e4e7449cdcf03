"""The real API server takes the definitions, and with them what is right and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
from requests import Response

from canary.api.kinds import KINDS
from canary.crds.definitions import NAMES, definition, text
from canary.engine.validation import strategy
from tests.engine.situations import decided
from tests.engine.test_bookkeeping import worst
from tests.parts.cluster import ControlPlane
from tests.parts.kube import is_true
from tests.parts.processes import wait_for

from .conftest import Kubectl
from .objects import BAD, GOOD, MALFORMED, ONLY_LINT, OTHERS, STEPS, UNCOUNTABLE, Fields, canary

ROOT = Path(__file__).parents[2]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"
ACTION: dict[str, Any] = {
    "apiVersion": "canary-controller.dev/v1beta1",
    "kind": "CanaryAction",
    "metadata": {"name": "yes"},
    "spec": {"canary": "reviews", "verb": "approve", "step": 1, "author": "ann", "comment": "looks good"},
}


def canaries(namespace: str, *rest: str) -> str:
    """Where the API server keeps them."""
    return "/".join((f"/apis/canary-controller.dev/v1beta1/namespaces/{namespace}/canaries", *rest))


def refusals(control_plane: ControlPlane, body: dict[str, Any], namespace: str = "default") -> dict[str, str]:
    """What the API server finds wrong with an object, by field; nothing is kept."""
    query = {"fieldValidation": "Strict", "dryRun": "All"}
    place = canaries(namespace).replace("canaries", NAMES[body["kind"]].plural)
    answer = control_plane.kube.request("POST", place, body, **query)
    if answer.ok:
        return {}
    said = answer.json()
    if "details" not in said:  # it could not be decoded: unknown fields, and they alone, are reported in one sentence
        return dict.fromkeys(re.findall('unknown field "([^"]+)"', said["message"]), said["message"])
    causes = said["details"]["causes"]
    return {cause["field"]: cause["message"] for cause in causes if cause["field"] != "<nil>"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_definition_is_accepted_as_it_stands(kind: str, control_plane: ControlPlane, kinds: None) -> None:
    """Without a warning, and without a complaint about the schema: that would turn off pruning and `explain`."""
    name = definition(kind)["metadata"]["name"]
    answer = _redefined(control_plane, definition(kind))
    assert (answer.status_code, answer.headers.get("Warning")) == (200, None)
    found = control_plane.kube.read(f"{CRDS}/{name}")
    assert is_true(found, "Established")
    assert not is_true(found, "NonStructuralSchema")


def _redefined(control_plane: ControlPlane, made: dict[str, Any]) -> Response:
    """The answer to a definition in place of what is there, which the API server itself may write meanwhile."""
    kube, path = control_plane.kube, f"{CRDS}/{made['metadata']['name']}"

    def answer() -> Response | None:
        now = kube.read(path)["metadata"]["resourceVersion"]
        whole = made | {"metadata": {**made["metadata"], "resourceVersion": now}}
        found = kube.request("PUT", path, whole, fieldValidation="Strict")
        return None if found.status_code == 409 else found

    return wait_for(answer, "an answer that is no conflict")  # type: ignore[return-value]


def test_what_the_command_prints_can_be_applied(kubectl: Kubectl) -> None:
    """Both ways of applying; the client's way keeps a copy in an annotation, which has a limit."""
    stream = "---\n".join(text(kind) for kind in KINDS)
    for way in (("--server-side", "--force-conflicts"), ()):
        answer = kubectl("apply", *way, "-f", "-", given=stream)
        assert answer.done, answer.err
        assert len(answer.out.splitlines()) == len(KINDS)


def test_examples_and_policies_are_accepted(kubectl: Kubectl) -> None:
    """With strict validation on the server, in one namespace; nothing is kept, since several have one name."""
    files = [file for folder in ("examples", "policies") for file in sorted((ROOT / folder).rglob("*.yaml"))]
    found = [re.sub(r"(\n  |, )namespace: [a-z]+", "", file.read_text()) for file in files]
    ours = [text for text in found if re.search("^apiVersion: canary-controller.dev", text, re.MULTILINE)]
    assert len(ours) >= 9
    answer = kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", given="\n---\n".join(ours)
    )
    assert answer.done, answer.err
    assert len(answer.out.splitlines()) >= len(ours)


def test_the_kinds_of_the_documentation_are_accepted(kubectl: Kubectl) -> None:
    """One of each, as they stand on the page."""
    examples = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "kinds.md").read_text(), re.DOTALL)
    answer = kubectl("create", "--validate=strict", "-f", "-", given="---\n".join(examples))
    assert answer.done, answer.err
    assert len(answer.out.splitlines()) == len(examples) == len(KINDS) - 1  # one stands for both policies
    assert kubectl("delete", "clustercanarypolicy", "careful").done


@pytest.mark.parametrize("changes", GOOD.values(), ids=GOOD)
def test_what_is_right_is_accepted(changes: Fields, control_plane: ControlPlane, kinds: None) -> None:
    """Flagger's own fields included."""
    assert refusals(control_plane, canary(changes)) == {}


@pytest.mark.parametrize(("changes", "field", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_refused_in_lints_words(
    changes: Fields, field: str, said: str, control_plane: ControlPlane, kinds: None
) -> None:
    """At the field that is at fault, and nowhere else."""
    refused = refusals(control_plane, canary(changes))
    found = {re.sub(r"(headers|queryParams)\[\w+\]$", r"\1", at): reported for at, reported in refused.items()}
    assert list(found) == [field]
    assert said in found[field]


@pytest.mark.parametrize("row", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_refused(row: tuple[Fields, str], control_plane: ControlPlane, kinds: None) -> None:
    """Types, words and bounds, at the field that is at fault."""
    assert list(refusals(control_plane, canary(row[0]))) == [row[1]]


@pytest.mark.parametrize("row", UNCOUNTABLE.values(), ids=UNCOUNTABLE)
def test_what_can_not_be_counted_is_refused(
    row: tuple[Fields, str], control_plane: ControlPlane, kinds: None
) -> None:
    """At the block around the duration, with the duration."""
    [(field, said)] = refusals(control_plane, canary(row[0])).items()
    assert field == row[1].rpartition(".")[0]
    assert "duration" in said.lower()


@pytest.mark.parametrize(("body", "field", "said"), OTHERS.values(), ids=OTHERS)
def test_what_is_wrong_in_other_kinds_is_refused(
    body: dict[str, Any], field: str, said: str, control_plane: ControlPlane, kinds: None
) -> None:
    """Templates, policies and actions, their names and labels."""
    found = refusals(control_plane, body)
    assert list(found) == [field]
    assert said in found[field]


@pytest.mark.parametrize("changes", [row[0] for row in ONLY_LINT.values()], ids=ONLY_LINT)
def test_what_only_lint_refuses_is_taken(changes: Fields, control_plane: ControlPlane, kinds: None) -> None:
    """The list of exceptions is true: what the API server learns to refuse leaves it."""
    assert refusals(control_plane, canary(changes)) == {}


@pytest.mark.parametrize("way", [(), ("--server-side",)], ids=["by kubectl apply", "by server-side apply"])
def test_a_typo_is_refused(way: tuple[str, ...], kubectl: Kubectl) -> None:
    """With the names of misspelt fields: none is silently dropped."""
    typos = canary(STEPS | {"versoin": "v3", "analysis.treshold": 5, "targetRef.nam": "x"})
    answer = kubectl("apply", *way, "-f", "-", given=typos)
    assert not answer.done
    named = [name for name in ("spec.versoin", "spec.analysis.treshold", "spec.targetRef.nam") if name in answer.err]
    assert len(named) >= (1 if way else 3)  # server-side apply may end at the first that it meets


def test_null_is_as_good_as_absent(control_plane: ControlPlane, kinds: None, namespace: str) -> None:
    """As lint has it; templates of Helm often leave nulls."""
    body = canary(STEPS | {"policyRef.name": "standard"})
    body["spec"] |= {"stable": None, "host": None}
    body["spec"]["analysis"] |= {"threshold": None, "steps": None}
    kept = control_plane.kube.create(canaries(namespace), body)["spec"]
    assert kept == canary(STEPS | {"policyRef.name": "standard"})["spec"]


def test_nothing_is_added_to_what_was_written(control_plane: ControlPlane, kinds: None, namespace: str) -> None:
    """What is in an object is what its author wrote, whichever version of the definitions was there."""
    for number, changes in enumerate(GOOD.values()):
        body = canary(changes, name=f"good-{number}")
        assert control_plane.kube.create(canaries(namespace), body)["spec"] == body["spec"]


def test_what_a_canary_moves_is_never_another(control_plane: ControlPlane, kinds: None, namespace: str) -> None:
    """Weight would be left on the target that it was; the version of the API by which it is called may change."""
    control_plane.kube.create(canaries(namespace), canary(STEPS))
    place = canaries(namespace, "reviews")
    for change in ({"name": "ratings"}, {"name": "reviews.front"}, {"kind": "EnvoyRoute"}):
        answer = control_plane.kube.request("PATCH", place, {"spec": {"targetRef": change}}, content_type=MERGE)
        assert answer.status_code == 422
        said = "spec.targetRef: Invalid value: targetRef can't be changed; delete the Canary and create another"
        assert said in answer.json()["message"]
    control_plane.kube.merge(place, {"spec": {"targetRef": {"apiVersion": "networking.istio.io/v1beta1"}}})
    control_plane.kube.merge(place, {"spec": {"version": "v3"}})


def test_what_a_rollout_moves_stays_the_same_while_it_runs(
    control_plane: ControlPlane, kinds: None, namespace: str
) -> None:
    """At rest it may change, and all else may at any time; a write of status is none of the spec."""
    kube, place = control_plane.kube, canaries(namespace, "reviews")
    changes: list[dict[str, Any]] = [{"host": "reviews"}, {"routes": ["default"]}, {"virtualServices": ["public"]}]
    kube.create(canaries(namespace), canary(STEPS))
    kube.merge(f"{place}/status", {"status": {"rollout": {"number": 1}}})
    for change in changes:
        answer = kube.request("PATCH", place, {"spec": change}, content_type=MERGE)
        assert answer.status_code == 422
        said = "can't be changed in mid-rollout; wait for its end, or roll it back"
        assert f"spec.{next(iter(change))}: Invalid value: {next(iter(change))} {said}" in answer.json()["message"]
    kube.merge(place, {"spec": {"version": "v3"}})
    kube.merge(f"{place}/status", {"status": {"rollout": None}})
    for change in changes:
        kube.merge(place, {"spec": change})
    kube.merge(f"{place}/status", {"status": {"rollout": {"number": 2}}})
    kube.merge(place, {"metadata": {"finalizers": ["somebody.example/else"]}})
    answer = kube.request("PATCH", place, {"spec": {"host": None}}, content_type=MERGE)
    assert answer.status_code == 422


def test_an_action_is_never_changed(control_plane: ControlPlane, kinds: None, namespace: str) -> None:
    """Neither what it asks nor what it leaves open; labels are no one's request."""
    place = canaries(namespace).replace("canaries", "canaryactions")
    control_plane.kube.create(place, ACTION)
    for change in ({"verb": "reject"}, {"author": "eve"}, {"step": None}, {"revision": "7d9f"}):
        answer = control_plane.kube.request("PATCH", f"{place}/yes", {"spec": change}, content_type=MERGE)
        assert answer.status_code == 422
        assert "spec: Invalid value: an action is never changed; create another one" in answer.json()["message"]
    control_plane.kube.merge(f"{place}/yes", {"metadata": {"labels": {"seen": "yes"}}})
    assert control_plane.kube.read(f"{place}/yes")["spec"] == ACTION["spec"]


def test_an_action_needs_a_canary_and_a_verb(kubectl: Kubectl) -> None:
    """A verb that doesn't exist is answered with those that do."""
    wrong = ACTION | {"spec": {"canary": "", "verb": "aprove"}}
    answer = kubectl("create", "-f", "-", given=wrong)
    assert not answer.done
    assert 'spec.verb: Unsupported value: "aprove": supported values: "approve", "reject"' in answer.err
    assert "spec.canary: Invalid value" in answer.err


def test_policies_of_the_cluster_are_of_no_namespace(kubectl: Kubectl) -> None:
    """And those of a namespace are of one; both take the same spec."""
    kinds = kubectl("api-resources", "--api-group=canary-controller.dev", "--no-headers").out.splitlines()
    assert {line.split()[-1]: line.split()[-2] for line in kinds} == {
        **dict.fromkeys(KINDS, "true"),
        "ClusterCanaryPolicy": "false",
    }
    policy = {
        "apiVersion": "canary-controller.dev/v1beta1",
        "kind": "ClusterCanaryPolicy",
        "metadata": {"name": "everywhere"},
        "spec": {"analysis": {"stepWeights": [50, 10]}},
    }
    answer = kubectl("apply", "-f", "-", given=policy)
    assert f"spec.analysis.stepWeights: Invalid value: {strategy.MAY_ONLY_RISE}" in answer.err


def test_status_is_written_through_its_own_door_only(
    control_plane: ControlPlane, kinds: None, namespace: str
) -> None:
    """Anyone who may edit a Canary can't write its status, and a write of status leaves the spec alone."""
    kube, place = control_plane.kube, canaries(namespace, "reviews")
    kube.create(canaries(namespace), canary(STEPS) | {"status": {"phase": "Succeeded"}})
    kube.merge(place, {"status": {"phase": "Failed"}})
    assert "status" not in kube.read(place)
    kube.merge(f"{place}/status", {"spec": {"version": "v9"}, "status": {"phase": "Progressing"}})
    found = kube.read(place)
    assert (found["status"], found["spec"]["version"]) == ({"phase": "Progressing"}, "v2")
    assert found["metadata"]["generation"] == 1


def test_what_a_newer_version_wrote_survives(control_plane: ControlPlane, kinds: None, namespace: str) -> None:
    """At each level, when an older one writes what it knows; words that are new are no reason to refuse a status."""
    kube, place = control_plane.kube, canaries(namespace, "reviews")
    kube.create(canaries(namespace), canary(STEPS))
    newer: dict[str, Any] = {
        "phase": "Resting",
        "mood": {"now": "fine"},
        "rollout": {"speed": 3, "step": 1, "end": {"outcome": "Postponed"}, "plan": {"steps": [{"colour": "blue"}]}},
    }
    kube.merge(f"{place}/status", {"status": newer})
    kube.merge(f"{place}/status", {"status": {"phase": "Progressing", "rollout": {"step": 2}}})
    found = kube.read(place)["status"]
    assert found == newer | {"phase": "Progressing", "rollout": {**newer["rollout"], "step": 2}}


def test_a_status_of_the_wrong_type_is_refused(control_plane: ControlPlane, kinds: None, namespace: str) -> None:
    """Columns and conditions are read by others, so their types are held to."""
    kube, place = control_plane.kube, canaries(namespace, "reviews")
    kube.create(canaries(namespace), canary(STEPS))
    wrongs: tuple[dict[str, Any], ...] = (
        {"canaryWeight": "ten"},
        {"conditions": [{"status": "True"}]},
        {"rollout": []},
    )
    for wrong in wrongs:
        answer = kube.request("PATCH", f"{place}/status", {"status": wrong}, content_type=MERGE)
        assert answer.status_code == 422, answer.text


def test_the_largest_status_is_kept_as_it_is(control_plane: ControlPlane, kinds: None, namespace: str) -> None:
    """Written in full, read back equal: nothing is pruned, refused or changed, nulls in a judge's memory aside."""
    kube, place = control_plane.kube, canaries(namespace, "reviews")
    kube.create(canaries(namespace), canary(STEPS))
    status = decided(worst()).status.wire()
    assert status["rollout"]["plan"]["steps"]
    assert status["conditions"]
    kube.merge(f"{place}/status", {"status": status})
    assert kube.read(place)["status"] == _without_nulls(status)


def test_a_canary_from_before_a_rule_can_still_be_served(
    control_plane: ControlPlane, kinds: None, namespace: str
) -> None:
    """Definitions that became stricter hold for what is edited: status is written, other fields are too."""
    kube, older = control_plane.kube, definition("Canary")
    _forget_rules(older["spec"])
    wrong = canary({"analysis.stepWeights": [50, 10]})
    try:
        assert _redefined(control_plane, older).ok
        wait_for(lambda: refusals(control_plane, wrong, namespace) == {}, "the rules to be gone", within=60)
        kube.create(canaries(namespace), wrong)
    finally:
        assert _redefined(control_plane, definition("Canary")).ok
        other = canary({"analysis.stepWeights": [50, 10]}, name="other")
        wait_for(lambda: refusals(control_plane, other, namespace) != {}, "the rules to be back", within=60)
    kube.merge(canaries(namespace, "reviews", "status"), {"status": {"phase": "Failed"}})
    kube.merge(canaries(namespace, "reviews"), {"spec": {"suspend": True}})
    again = {"spec": {"analysis": {"stepWeights": [60, 10]}}}
    assert kube.request("PATCH", canaries(namespace, "reviews"), again, content_type=MERGE).status_code == 422


def _forget_rules(schema: Any) -> None:
    match schema:
        case dict():
            schema.pop("x-kubernetes-validations", None)
            for inner in schema.values():
                _forget_rules(inner)
        case list():
            for inner in schema:
                _forget_rules(inner)


def _without_nulls(value: Any) -> Any:
    """A merge patch can't write null."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
