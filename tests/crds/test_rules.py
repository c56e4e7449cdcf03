"""The rules that are made of the table of pairs: the API server refuses what lint refuses for a router."""

from dataclasses import asdict, replace

import pytest
from cel_expr_python.cel import NewEnv, Type

from canary.crds.cel import unless_routed
from canary.crds.cel_pairs import unable
from canary.engine.pairs import PAIRS, Capabilities, Pairing
from canary.engine.validation import traffic

CAN = Capabilities(
    "Web", mirror=True, headers=True, query_params=True, source_labels=True, affinity=True, match_weight=True
)


@pytest.mark.parametrize(
    ("lacks", "sentence", "field"),
    [
        ("mirror", traffic.CANT_MIRROR, "mirror"),
        ("headers", traffic.CANT_MATCH.format("headers"), "one.headers"),
        ("query_params", traffic.CANT_MATCH.format("queryParams"), "one.queryParams"),
        ("source_labels", traffic.CANT_MATCH.format("sourceLabels"), "one.sourceLabels"),
        ("match_weight", f"Web {traffic.CANT_SHARE}", "matchWeight"),
        ("affinity", traffic.NO_AFFINITY, "sessionAffinity"),
    ],
)
def test_what_a_router_lacks_is_refused(lacks: str, sentence: str, field: str) -> None:
    """One rule for each, with lint's sentence, of the fields in both blocks."""
    able = Capabilities(**{**asdict(CAN), lacks: False})
    (rule,) = unable(replace(PAIRS[0], capabilities=able))
    assert rule.sentence == sentence
    assert all(f"self.{block}" in rule.expression for block in ("analysis", "canaryAnalysis"))
    assert field in rule.expression


def test_a_router_that_can_do_all_has_no_rule() -> None:
    assert list(unable(replace(PAIRS[0], capabilities=CAN))) == []


DEPLOYMENT = next(pair for pair in PAIRS if pair.kind == "Deployment")
OTHER = replace(DEPLOYMENT, router="gatewayapi")


@pytest.mark.parametrize(
    ("provider", "router"),
    [
        pytest.param({}, DEPLOYMENT, id="none is named"),
        pytest.param({"provider": DEPLOYMENT.router}, DEPLOYMENT, id="the usual one"),
        pytest.param({"provider": "gatewayapi"}, OTHER, id="the other one"),
        pytest.param({"provider": "envoy"}, DEPLOYMENT, id="a dialect"),
    ],
)
def test_what_a_router_lacks_is_refused_for_it_alone(provider: dict[str, str], router: Pairing) -> None:
    """Of two routers of a kind, `spec.provider` chooses one, as `pair_of` does."""
    env = NewEnv(variables={"self": Type.DYN})
    spec = {"targetRef": {"kind": DEPLOYMENT.kind}, **provider}
    spared = {
        pair.router: env.compile(unless_routed(pair, (*PAIRS, OTHER))).eval(data={"self": spec}).plain_value()
        for pair in (DEPLOYMENT, OTHER)
    }
    assert spared == {pair.router: pair != router for pair in (DEPLOYMENT, OTHER)}
