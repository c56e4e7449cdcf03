"""Whether an action's author is proved: by an admission policy and a binding that deny all others."""

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import pytest

from canary.controller.authors import AGAIN, FRESH, NAMESPACE, SPREAD, Authors
from canary.engine.errors import CanaryError, Unreachable
from canary.engine.observed import Cause
from canary.kube.errors import Unavailable

from .objects import NOW, Wire, client, later

Data = dict[str, Any]
NAME = "canary-actions"
RULE: Data = {
    **{"apiGroups": ["canary-controller.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]},
    **{"resources": ["canaryactions"], "scope": "*"},
}
NO_SELECTOR: Data = {"namespaceSelector": {}, "objectSelector": {}, "matchPolicy": "Equivalent"}
"""What the server writes where nothing was written."""
RULES: Data = {
    "failurePolicy": "Fail",
    "matchConstraints": {**NO_SELECTOR, "resourceRules": [RULE]},
    "validations": [{"expression": "object.spec.author == request.userInfo.username"}],
}
BOUND: Data = {"policyName": NAME, "validationActions": ["Deny"]}
SHOP: Data = {"namespaceSelector": {"matchLabels": {NAMESPACE: "shop"}}}
MADE, MADE_LATER = later(hours=-1), NOW - SPREAD - timedelta(seconds=1)


def noted(at: datetime, **entry: Any) -> Data:
    """What the server has noted of a change."""
    return {"manager": "helm", "operation": "Update", "time": at.isoformat(), **entry}


def made(spec: Data, at: datetime, generation: int = 1, fields: tuple[Data, ...] = (), **more: Any) -> Data:
    """A policy or a binding, as the server has it."""
    about = {"name": NAME, "creationTimestamp": at.isoformat(), "generation": generation, "managedFields": fields}
    return {"metadata": about, "spec": spec, **more}


def policy(spec: Data | None = None, at: datetime = MADE, **more: Any) -> Data:
    return made({**RULES, **(spec or {})}, at, **more)


def binding(spec: Data | None = None, at: datetime = MADE_LATER, **more: Any) -> Data:
    return made({**BOUND, **(spec or {})}, at, **more)


def proved(policy: Data, binding: Data, at: datetime = NOW, namespace: str = "shop") -> bool:
    return Authors(client(Wire([policy, binding])), NAME).proved(namespace, at)


def rule(**fields: Any) -> Data:
    """The policy's constraints, with another rule."""
    return {"matchConstraints": {**NO_SELECTOR, "resourceRules": [{**RULE, **fields}]}}


def constraints(**fields: Any) -> Data:
    """The policy's constraints, with more than its rule."""
    return {"matchConstraints": {**deepcopy(RULES["matchConstraints"]), **fields}}


def test_authors_are_proved_since_both_are_there_and_servers_go_by_them() -> None:
    """What was made before the later of the two stays unproved; times are whole seconds, so one more has to pass."""
    early, late = later(hours=-2), MADE_LATER
    for both in ((policy(at=early), binding(at=late)), (policy(at=late), binding(at=early))):
        assert proved(*both)
        assert not proved(*both, at=later(seconds=-1))


CHANGED: Data = {"generation": 2, "fields": (noted(MADE), noted(MADE_LATER))}


@pytest.mark.parametrize("both", [
    pytest.param((policy(at=MADE), binding(at=MADE, **CHANGED)), id="the binding"),
    pytest.param((policy(at=MADE, **CHANGED), binding(at=MADE)), id="the policy"),
    pytest.param((policy(at=MADE, generation=2, status={"observedGeneration": 2},
                         fields=(noted(MADE), noted(MADE_LATER, subresource="status"))), binding(at=MADE)),
                 id="the policy, from which something was only taken away"),
])  # fmt: skip
def test_what_was_changed_proves_since_its_last_change(both: tuple[Data, Data]) -> None:
    """It may have let everything pass until then."""
    assert proved(*both)
    assert not proved(*both, at=later(seconds=-1))


def test_labels_and_the_like_change_nothing() -> None:
    """A spec of the first generation is as old as its object, with any notes of the server."""
    assert proved(policy(fields=(noted(NOW),)), binding(fields=(noted(NOW),)))


SELECTED: dict[str, tuple[Data, Data]] = {
    "the binding is for one namespace": ({}, {"matchResources": {**NO_SELECTOR, **SHOP}}),
    "the policy is for one namespace": (constraints(**SHOP), {}),
    "both are": (constraints(**SHOP), {"matchResources": {**NO_SELECTOR, **SHOP}}),
}


@pytest.mark.parametrize(("rules", "bound"), SELECTED.values(), ids=SELECTED)
def test_elsewhere_no_author_is_proved(rules: Data, bound: Data) -> None:
    """A controller for all namespaces may have been given the name of one team's policy."""
    assert proved(policy(rules), binding(bound), namespace="shop")
    assert not proved(policy(rules), binding(bound), namespace="elsewhere")


WIDER: dict[str, tuple[Data, Data]] = {
    "all groups": (rule(apiGroups=["*"]), {}),
    "all resources": (rule(resources=["*"]), {}),
    "all resources and what belongs to them": (rule(resources=["*/*"]), {}),
    "this version": (rule(apiVersions=["v1beta1"]), {}),
    "all operations, of what has a namespace": (rule(operations=["*"], scope="Namespaced"), {}),
    "a binding that names actions, too": ({}, {"matchResources": {**NO_SELECTOR, "resourceRules": [RULE]}}),
    "a binding that denies and notes": ({}, {"validationActions": ["Audit", "Deny"]}),
}


@pytest.mark.parametrize(("rules", "bound"), WIDER.values(), ids=WIDER)
def test_any_policy_that_judges_all_actions_will_do(rules: Data, bound: Data) -> None:
    """It need not be the chart's."""
    assert proved(policy(rules), binding(bound))


def test_it_is_read_once_in_a_while_and_never_without_proofs() -> None:
    """Every action of every Canary asks."""
    time = [0.0]
    wire = Wire([policy(), binding(), policy(), 404])
    authors = Authors(client(wire), NAME, lambda: time[0])
    assert authors.proved("shop", NOW)
    time[0] = FRESH - 0.1
    assert authors.proved("elsewhere", NOW)
    assert len(wire.sent) == 2
    time[0] = FRESH
    assert not authors.proved("shop", NOW)
    assert len(wire.sent) == 4
    silent = Wire()
    assert not Authors(client(silent), "").proved("shop", NOW)
    assert silent.sent == []


def test_without_an_answer_no_version_is_judged_and_what_was_known_holds() -> None:
    """An approval that is refused for want of an answer is lost; so the answer is asked for again, soon."""
    time, away = [0.0], Unavailable(Cause.REFUSED, "connection refused")
    wire = Wire([away, policy(), binding(), away, 404])
    authors = Authors(client(wire), NAME, lambda: time[0])
    with pytest.raises(Unreachable):
        authors.proved("shop", NOW)
    assert authors.proved("shop", NOW)
    time[0] = FRESH
    assert authors.proved("shop", NOW)
    time[0] += AGAIN - 0.1
    assert authors.proved("shop", NOW)
    assert len(wire.sent) == 4
    time[0] += 0.1
    assert not authors.proved("shop", NOW)


ANSWERS: dict[str, list[Data | int | CanaryError]] = {
    "no policy": [404],
    "no binding": [policy(), 404],
    "it may not be read": [403],
    "a binding that only warns": [policy(), binding({"validationActions": ["Warn", "Audit"]})],
    "a binding of another policy": [policy(), binding({"policyName": "another"})],
    "a binding without actions": [policy(), made({"policyName": NAME}, MADE)],
    "a binding of other resources": [
        policy(), binding({"matchResources": {"resourceRules": [{**RULE, "resources": ["canaries"]}]}})],
    "a binding by labels of objects": [
        policy(), binding({"matchResources": {"objectSelector": {"matchLabels": {"audited": "yes"}}}})],
    "a binding by labels of namespaces": [
        policy(), binding({"matchResources": {"namespaceSelector": {"matchLabels": {"team": "shop"}}}})],
    "a binding by more than the name of the namespace": [
        policy(),
        binding({"matchResources": {"namespaceSelector": {"matchLabels": {NAMESPACE: "shop", "team": "shop"}}}})],
    "a binding by an expression": [
        policy(),
        binding({"matchResources": {"namespaceSelector": {
            **SHOP["namespaceSelector"], "matchExpressions": [{"key": "trusted", "operator": "DoesNotExist"}]}}})],
    "a policy that lets pass what it can't judge": [policy({"failurePolicy": "Ignore"}), binding()],
    "a policy with conditions": [policy({"matchConditions": [{"name": "x", "expression": "true"}]}), binding()],
    "a policy with parameters": [policy({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}), binding()],
    "a policy that says nothing": [policy({"validations": []}), binding()],
    "a policy without constraints": [made({"validations": RULES["validations"]}, MADE), binding()],
    "a policy of changes only": [policy(rule(operations=["UPDATE"])), binding()],
    "a policy of another group": [policy(rule(apiGroups=["apps"])), binding()],
    "a policy of another version": [policy(rule(apiVersions=["v1"])), binding()],
    "a policy of other resources": [policy(rule(resources=["canaryactions/status"])), binding()],
    "a policy of some names": [policy(rule(resourceNames=["approve"])), binding()],
    "a policy of what has no namespace": [policy(rule(scope="Cluster")), binding()],
    "a policy with exceptions": [policy(constraints(excludeResourceRules=[RULE])), binding()],
    "a policy by labels of objects": [
        policy(constraints(objectSelector={"matchLabels": {"audited": "yes"}})), binding()],
    "a change of which nothing was noted": [policy(), binding(generation=2, fields=({"manager": "helm"},))],
    "a change that servers haven't seen yet": [
        policy(generation=3, fields=(noted(MADE),), status={"observedGeneration": 2}), binding()],
}  # fmt: skip


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
def test_what_is_in_doubt_proves_no_author(answers: list[Data | int | CanaryError]) -> None:
    """An approval of one too few costs time, one too many costs users."""
    assert not Authors(client(Wire(list(answers))), NAME).proved("shop", later(days=1))
