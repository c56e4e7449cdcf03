"""RouteConfigurations and traffic states for property tests, and text that they may be written in."""

import json
from io import StringIO
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

from canary.api.plan import Match, StringMatch, Traffic
from tests.envoy.world import NAME

Data = dict[str, Any]

CLUSTERS = ("v1", "v2", "v3", "v4")
_words = st.sampled_from(("", "a", "x: y", "on", "'q'", '"d"', "# no", "1", " lead", "a-b/c", "{", "é"))
_weights = st.sampled_from((0, 1, 3, 95, 100, 101, 2**20))
_metadata = st.fixed_dictionaries(
    {},
    optional={
        "filter_metadata": st.fixed_dictionaries({}, optional={"mine": st.fixed_dictionaries({"note": _words})}),
        "typed_filter_metadata": st.just({}),
    },
)
_policies = st.lists(
    st.fixed_dictionaries(
        {"cluster": st.sampled_from(CLUSTERS)},
        optional={"trace_sampled": st.booleans(), "runtime_fraction": st.just({})},
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def actions(draw: st.DrawFn, *, pair: bool = False) -> Data:
    """A route action as users write them, with what may stand beside the clusters; `pair`: it sends to v1 or v2."""
    beside = st.fixed_dictionaries(
        {}, optional={"timeout": st.just("1.5s"), "prefix_rewrite": _words, "request_mirror_policies": _policies}
    )
    if draw(st.booleans()):
        action = {"cluster": draw(st.sampled_from(CLUSTERS[:2] if pair else CLUSTERS)), **draw(beside)}
    else:
        names = draw(st.lists(st.sampled_from(CLUSTERS), unique=True, min_size=1))
        extra = st.fixed_dictionaries({}, optional={"host_rewrite_literal": _words})
        entries = [{"name": name, "weight": draw(_weights), **draw(extra)} for name in names]
        if pair and not any(entry["weight"] for entry in entries if entry["name"] in CLUSTERS[:2]):
            entries = [{"name": "v1", "weight": 7}, *(entry for entry in entries if entry["name"] != "v1")]
        action = {"weighted_clusters": {"clusters": entries}, **draw(beside)}
    return dict(draw(st.permutations(list(action.items()))))


@st.composite
def routes(draw: st.DrawFn) -> Data:
    """A route: for anybody, for single users, or one that answers by itself."""
    match: Data = {"prefix": draw(st.sampled_from(("/", "/api", "/a b")))}
    match |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "headers": st.lists(
                    st.fixed_dictionaries({"name": st.sampled_from((":method", "x-user", "cookie"))}), max_size=2
                ),
                "query_parameters": st.just([{"name": "q", "present_match": True}]),
            },
        )
    )
    kind = st.fixed_dictionaries({"route": actions()}) | st.just({"redirect": {"https_redirect": True}})
    more = st.fixed_dictionaries({}, optional={"name": _words, "metadata": _metadata, "decorator": st.just({"a": 1})})
    route = {"match": match, **draw(kind), **draw(more)}
    return dict(draw(st.permutations(list(route.items()))))


@st.composite
def configs(draw: st.DrawFn) -> Data:
    """A RouteConfiguration in which at least one route moves between v1 and v2."""
    hosts: list[Data] = []
    for number in range(draw(st.integers(1, 2))):
        hosts.append({"name": f"host {number}", "domains": ["*"], "routes": draw(st.lists(routes(), max_size=2))})
    moves = {"match": {"prefix": "/moves"}, "route": draw(actions(pair=True))}
    host = draw(st.sampled_from(hosts))
    host["routes"].insert(draw(st.integers(0, len(host["routes"]))), moves)
    hosts += draw(st.sampled_from(([], [{"name": "idle", "domains": ["i"]}], [{"name": "idle", "routes": []}])))
    return {"name": NAME, "virtual_hosts": hosts, "response_headers_to_remove": ["x-a"]}


_how = (
    st.builds(StringMatch, exact=_words)
    | st.builds(StringMatch, prefix=_words)
    | st.builds(StringMatch, regex=_words)
)
_conditions = st.dictionaries(st.sampled_from(("x-user", "cookie", "x-beta")), _how, min_size=1, max_size=2)
_matches = st.builds(Match, headers=_conditions) | st.builds(Match, query_params=_conditions)
traffics = st.builds(
    Traffic,
    weight=st.integers(0, 100),
    mirror=st.sampled_from((0, 0, 1, 50, 100)),
    match=st.lists(_matches, max_size=2, unique_by=lambda match: match.model_dump_json()).map(tuple),
)


@st.composite
def texts(draw: st.DrawFn, data: Any) -> tuple[str, str]:
    """(extension, text) of the data: JSON with an indentation or YAML in a style."""
    if draw(st.booleans()):
        return ".json", json.dumps(data, indent=draw(st.sampled_from((None, 1, 2, 4, "\t"))))
    return draw(st.sampled_from((".yaml", ".yml"))), _yaml(data, draw)


def _yaml(data: Any, draw: st.DrawFn) -> str:
    writer = YAML(typ="rt", pure=True)
    writer.default_flow_style = draw(st.sampled_from((True, False, None)))
    offset = draw(st.sampled_from((0, 2)))
    writer.indent(mapping=2, sequence=2 + offset, offset=offset)
    writer.width = draw(st.sampled_from((40, 4096)))
    out = StringIO()
    writer.dump(data, out)
    lines = out.getvalue().splitlines()
    if writer.default_flow_style is False and draw(st.booleans()):
        lines = [line if _unsafe(line) else f"{line}  # note {number}" for number, line in enumerate(lines)]
    return "\n".join(lines) + draw(st.sampled_from(("\n", "", "\n# the end\n")))


def _unsafe(line: str) -> bool:
    """Lines where a comment might end up inside of a text."""
    return any(sign in line for sign in "'\"#|>\\") or not line.strip() or ":" not in line
