"""What is released and who routes: two tables of the same pairs, and their names in no other place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from canary.engine.pairs import DIALECTS, MESHES, PAIRS, Pairing, TargetType, pair_of
from canary.engine.targets import TARGETS
from canary.metrics.promql import PROVIDERS as DIALECT_TABLES
from canary.registry import PROVIDERS, cluster_of_routes
from canary.routers.cluster import ClusterProvider

CODE = Path(__file__).parents[2] / "canary"
SPELLED = (
    "engine/pairs.py",
    "registry.py",
    *(f"{pair.router}/" for pair in PAIRS),
    *(f"routers/{pair.router}.py" for pair in PAIRS),
    "primary/",  # whose objects are of these kinds
    "importing/",  # other tools' kinds
    "kube/resources.py",  # the kinds of an API server
    "api/canary.py",  # the documentation of the fields
)
"""Where a kind of target may be written out."""


def test_both_tables_have_the_same_pairs() -> None:
    """The facts of a pair and its adapters."""
    assert list(PROVIDERS) == [(pair.kind, pair.router) for pair in PAIRS]
    assert TARGETS.keys() >= {pair.type for pair in PAIRS}
    assert set(DIALECTS) == DIALECT_TABLES.keys()
    assert set(DIALECTS) >= MESHES


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{pair.kind} by {pair.router}" for pair in PAIRS])
def test_the_adapters_of_a_pair_fit_its_facts(pair: Pairing) -> None:
    """Objects of a cluster are asked for in the versions that a manifest may name."""
    provider = PROVIDERS[pair.kind, pair.router]
    assert isinstance(provider, ClusterProvider) == pair.in_cluster
    assert pair.capabilities.name == pair.kind
    if isinstance(provider, ClusterProvider):
        usual = cluster_of_routes(provider.routes.kind)
        assert usual is not None
        assert usual.routes == provider.routes
        assert (provider.provisioning is not None) == (pair.type is TargetType.PRIMARY)
        if pair.type is TargetType.VERSIONS:  # whose target is what routes
            assert provider.routes.kind == pair.kind
            assert tuple(one.api_version for one in provider.routes.variants()) == pair.api_versions
            assert usual is provider


def test_a_router_that_does_not_route_the_kind_leaves_the_usual_one() -> None:
    """`spec.provider` chooses between the routers of a kind; for others it names a dialect only."""
    assert pair_of("EnvoyRoute", "istio") == pair_of("EnvoyRoute", None)
    assert pair_of("HTTPRoute", None) is None


def spells(text: str, kind: str) -> bool:
    """Whether a text names the kind. Many sentences are about Services that aren't the target."""
    return text == kind if kind == "Service" else kind in text


def texts(code: ast.AST) -> Iterator[str]:
    """All string literals but docstrings and the comments that are written as strings."""
    said = {id(one.value) for one in ast.walk(code) if isinstance(one, ast.Expr)}
    for one in ast.walk(code):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in said:
            yield one.value


DIALECTS_SPELLED = (*SPELLED, "metrics/promql.py")
"""Where the name of a router or a dialect may be written out; promql.py has the table of each."""


def test_routers_and_dialects_are_named_in_the_tables_only() -> None:
    """Who needs one asks for that of the spec."""
    names = {*DIALECTS, *(pair.router for pair in PAIRS)} - {"envoy"}  # which is a field of the spec as well
    found = {
        path
        for file in CODE.rglob("*.py")
        if not (path := str(file.relative_to(CODE))).startswith(DIALECTS_SPELLED)
        if names & set(texts(ast.parse(file.read_text())))
    }
    assert found == set()


def test_kinds_are_spelled_in_the_tables_and_their_adapters_only() -> None:
    """Else a new pair would be more than new files and a row."""
    found = {
        (path, pair.kind)
        for file in CODE.rglob("*.py")
        if not (path := str(file.relative_to(CODE))).startswith(SPELLED)
        for pair in PAIRS
        if pair.kind in (code := file.read_text()) and any(spells(text, pair.kind) for text in texts(ast.parse(code)))
    }
    assert found == set()
