"""The PromQL of builtins: names as they are, durations as PromQL wants them, everything parses."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.analysis import Reporter
from canary.engine.errors import Invalid
from canary.engine.observed import Query, Shape, Subject
from canary.metrics.promql import PROVIDERS, Dialect, Part, any_of, builtin, custom, duration, parts

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("window", "written"),
    [
        (timedelta(seconds=45), "45s"),
        (timedelta(minutes=1), "1m"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=25, seconds=1), "25h1s"),
        (timedelta(seconds=5.5), "5s500ms"),
        (timedelta(seconds=2, microseconds=1999), "2s1ms"),
    ],
)
def test_durations(window: timedelta, written: str) -> None:
    """Whole units only: 5.5s is a parse error for Prometheus."""
    assert duration(window) == written
    promql_parser.parse(f"rate(x[{written}])")


@pytest.mark.parametrize("window", [timedelta(), timedelta(seconds=-1), timedelta(microseconds=999)])
def test_an_empty_window(window: timedelta) -> None:
    """There is nothing to ask."""
    with pytest.raises(Invalid, match="the window is empty"):
        duration(window)


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_match_themselves_only(name: str, other: str) -> None:
    """With any characters in a name, the expression matches the name, and nothing else."""
    literal = any_of([name])
    pattern = literal[1:-1].replace(r"\n", "\n").replace(r"\"", '"').replace(r"\\", "\\")
    assert re.fullmatch(pattern, name)
    assert name == other or not re.fullmatch(pattern, other)


@pytest.mark.parametrize("provider", ["istio", "envoy"])
@pytest.mark.parametrize("wanted", [(Part.CODES,), (Part.TIMES,), (Part.STRANDED,), tuple(Part)])
@pytest.mark.parametrize("names", [("web",), ("web.v1", "we-b", 'a"b\\c', "outbound|80||web")])
def test_builtins_parse(provider: str, wanted: tuple[Part, ...], names: tuple[str, ...]) -> None:
    """Also with names that no workload of Kubernetes has; Envoy's clusters do."""
    asked = [part for part in wanted if part in PROVIDERS[provider].metrics]
    subjects = [Subject(name, "shop", f"{name}.shop.svc.cluster.local") for name in names]
    for new in (True, False):
        assert not asked or promql_parser.parse(builtin(Dialect(provider), asked, subjects, MINUTE, new=new))


@pytest.mark.parametrize(
    ("metric", "shape", "edges", "made_of"),
    [
        ("request-success-rate", Shape.VALUE, (), (Part.CODES,)),
        ("request-duration", Shape.VALUE, (), (Part.TIMES,)),
        ("requests", Shape.COUNTS, (), (Part.CODES,)),
        ("requests", Shape.COUNTS, (500.0,), (Part.CODES, Part.TIMES)),
    ],
)
def test_what_a_builtin_is_made_of(
    metric: str, shape: Shape, edges: tuple[float, ...], made_of: tuple[Part, ...]
) -> None:
    """Only what is needed is asked for; what reached no pod where a host is known, of those who can know."""
    istio, envoy = PROVIDERS["istio"], PROVIDERS["envoy"]
    sent = Subject("web", "shop", "web.shop.svc.cluster.local")
    deaf = replace(sent, reporter=Reporter.DESTINATION)
    stranded = (Part.STRANDED,) if Part.CODES in made_of else ()
    assert parts(Query(metric, MINUTE, Subject("web"), shape, edges=edges), istio) == made_of
    assert parts(Query(metric, MINUTE, sent, shape, edges=edges), istio) == (*made_of, *stranded)
    assert parts(Query(metric, MINUTE, deaf, shape, edges=edges), istio) == made_of
    assert parts(Query(metric, MINUTE, sent, shape, edges=edges), envoy) == made_of


def test_a_template_is_given_its_words() -> None:
    """`target` and `namespace` are the subject's, `interval` the window that was really asked for."""
    query = Query(
        "mine",
        timedelta(seconds=90),
        Subject("web-canary", "shop"),
        text="{{ name }} {{ target }} {{ namespace }} {{ interval }} {{ variables.x }}",
        names=(("name", "web"), ("target", "web"), ("interval", "1h"), ("variables.x", "y")),
    )
    assert custom(query) == "web web-canary shop 1m30s y"


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"provider": "isto"}, "'isto' is no provider of metrics; did you mean istio?"),
        ({"provider": "client"}, "'client' is no provider of metrics; there are istio, envoy"),
    ],
)
def test_a_dialect_that_is_none(given_: dict[str, str], sentence: str) -> None:
    """The sentence says what there is."""
    with pytest.raises(Invalid, match=re.escape(sentence)):
        Dialect(**given_)  # type: ignore[arg-type]


def test_the_docs_show_what_is_asked() -> None:
    """docs/metrics.md has the PromQL in full; put together it is what is sent."""
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    [shown] = re.findall(r"```promql\n(.*?)```", page, re.DOTALL)
    words = dict(re.findall(r"^\| `([A-Z]+)` \| `(.*?)` \|", page.replace(r"\|", "\0"), re.MULTILINE))
    for word in ("KEPT", "BEFORE", "BEGAN", "WATCHED", "LATER", "ALONE", "X"):
        shown = re.sub(rf"\b{word}\b", words[word].replace("\0", "|"), shown)
    sent = builtin(Dialect(), [Part.CODES], [Subject("web", "shop")], MINUTE)
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", sent)
    [new] = re.findall(r"has `(\(min_over_time.*?)`", page, re.DOTALL)
    first = builtin(Dialect(), [Part.CODES], [Subject("web", "shop")], MINUTE, new=False)
    for word in ("BEFORE", "X"):
        new = re.sub(rf"\b{word}\b", words[word].replace("\0", "|"), new)
    assert re.sub(r"\s", "", new) in re.sub(r"\s", "", first)
    assert not re.search(r"\bup\b", first)
