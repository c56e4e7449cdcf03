"""What reaches native code is bounded before it gets there, and the sentence says what to write instead."""

import time

import pytest

from canary.engine import guards, patterns, query_templates
from canary.engine.errors import Invalid
from canary.engine.validation import promql

RANGE = "gives many values of each series, where one is judged; write avg_over_time(...) around it"
AS_A_RULE = "keep a part of it as a recording rule, and ask for that"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        pytest.param(
            "1+" * 30000 + "1", f"is 60001 characters long, and at most 8192 are read; {AS_A_RULE}", id="too long"
        ),
        *(
            pytest.param(text, f"has {count} operators and brackets, and at most 200 are read; {AS_A_RULE}", id=name)
            for name, text, count in (
                ("terms", "1+" * 2000 + "1", 2000),
                ("parentheses", "(" * 4000 + "1" + ")" * 4000, 4000),
                ("calls", "abs(" * 300 + "a" + ")" * 300, 300),
                ("signs", "-" * 300 + "a", 300),
                ("words", " and ".join("a" * 300), 299),
                ("words in capitals", " UNLESS ".join("a" * 300), 299),
                ("subqueries", "max_over_time(" * 150 + "a" + "[1h:1m])" * 150, 300),
                ("comparisons", " == bool ".join("a" * 300), 299),
            )
        ),
        pytest.param(
            'a{b=~"\\\\pL{40}"}',
            "has a regular expression that has 40 Unicode classes such as \\p{L}, counted repetitions written out, "
            "and at most 10 are read; write + in place of a count, or characters such as [a-z]",
            id="a regular expression that takes long to compile",
        ),
        pytest.param(
            "a{" + ",".join(f'b=~"{number}"' for number in range(51)) + "}",
            f"has more than 50 different regular expressions; {AS_A_RULE}",
            id="many regular expressions",
        ),
    ],
)
def test_a_query_that_costs_too_much_is_not_parsed(query: str, sentence: str) -> None:
    """The parser took 566 MB for 2,000 terms, 1.8 GB for 5,000 parentheses, and died of 30,000 terms."""
    found = promql.wrong(query)
    assert found is not None
    assert found.sentence == sentence


@pytest.mark.parametrize(
    "query",
    [
        pytest.param('a{b="' + "((((" * 100 + '"}', id="brackets in a text"),
        pytest.param('a{b=~"' + "(x|y)+" * 100 + '"}', id="operators in a regular expression"),
        pytest.param("a # " + "+ " * 300 + "\n", id="operators in a comment"),
        pytest.param("a{" + ",".join(f'b{number}="c"' for number in range(300)) + "}", id="many labels"),
        pytest.param("+".join("a" * 201), id="as many operators as may be"),
        pytest.param('a{b=~"[[:alpha:]]+|\\\\d{3}"}', id="a regular expression that only RE2 knows"),
        pytest.param("sum(rate(a[5m])) / sum(rate(b[5m] offset 1w)) > bool 1", id="a usual one"),
        pytest.param('{__name__=~"http_.+",job!~".*"}', id="matchers that match nothing beside one that doesn't"),
        pytest.param("double_exponential_smoothing(a[5m], 0.5, 0.5)", id="an experimental function"),
        pytest.param("time()", id="a number"),
    ],
)
def test_what_only_looks_costly_is_parsed(query: str) -> None:
    """A limit that hits what people write would be worse than none."""
    assert promql.wrong(query) is None


@pytest.mark.parametrize(
    ("query", "sentence", "at"),
    [
        pytest.param("rate(a[5m]) + rate(b)", "is no PromQL: expected type matrix in call to function 'rate', got "
                     "vector", "b)", id="the argument of another type"),
        pytest.param("sum(a)\n  + b c", "is no PromQL: invalid promql query", "c", id="two names side by side"),
        pytest.param("sum(rate(a[5m])", "is no PromQL: '(' is never closed", "(rate", id="a bracket left open"),
        pytest.param("rate(a[5m])) + 1", "is no PromQL: ')' closes nothing", ") + 1", id="a bracket too many"),
        pytest.param("(a]", "is no PromQL: ']' closes nothing", "]", id="another bracket"),
        pytest.param('a{b="c}', 'is no PromQL: the quote " is never closed', '"c}', id="a quote left open"),
        pytest.param('a{b=~"(c"}', "has what isn't a regular expression (RE2): missing ): (c", '"(c"',
                     id="a regular expression"),
        pytest.param('a{b=~"\\d"}', "is no PromQL: unknown escape sequence 'd'", '"\\d"', id="an escape"),
        pytest.param('{b=~".*"}', "is no PromQL: vector selector must contain at least one non-empty matcher", '".*"',
                     id="a selector of everything"),
        pytest.param("a[5m]", RANGE, None, id="a range"),
        pytest.param("((a[5m:1m]))", RANGE, None, id="a subquery in brackets"),
        pytest.param('"a"', "gives a text, where a number is judged", None, id="a text"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_a_place(query: str, sentence: str, at: str | None) -> None:
    """The parser has none, and takes ranges and texts, which no server answers with one number for."""
    found = promql.wrong(query)
    assert found is not None
    assert (found.sentence, found.doubtful) == (sentence, False)
    assert (None if found.at is None else query[found.at : found.at + len(at or "")]) == at


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        pytest.param("holt_winters(a[5m], 0.5, 0.5)", "", id="of an older Prometheus"),
        pytest.param("1 + rtae(a[5m])", "; did you mean rate?", id="misspelt"),
    ],
)
def test_an_unknown_function_may_be_known_to_the_server(query: str, hint: str) -> None:
    """Prometheus 2 has holt_winters, and other servers have more: a warning, no error."""
    found = promql.wrong(query)
    assert found is not None
    name = query.partition("(")[0].rpartition(" ")[2]
    assert found == promql.Wrong(
        f"{name} is a function that isn't known here, though the server may know it; nothing more is checked{hint}",
        query.index(name),
        doubtful=True,
    )


ALL = 'sum(rate(istio_requests_total{destination_workload="x"}[1m]))'
GOOD = ALL.replace("}", ',response_code!~"5.*"}')
FLAGS = ALL.replace("}", ',response_flags="-"}')


@pytest.mark.parametrize(
    ("query", "label"),
    [
        (f"{GOOD} / {ALL}", "response_code"),
        (f"{GOOD} / {ALL} * 100", "response_code"),
        (f"100 * {GOOD} / {ALL}", "response_code"),
        (f"round(100 - ({GOOD} * 100 / ({ALL})), 0.1)", "response_code"),
        (f"{FLAGS} / {ALL}", "response_flags"),
        (f"{ALL} - {FLAGS} / {ALL}", "response_flags"),
    ],
)
def test_a_share_without_value_where_no_request_is_in_it(query: str, label: str) -> None:
    """As of good requests, if all fail from the beginning, or of failed ones, if none does: a warning."""
    found = promql.wrong(query)
    assert found == promql.Wrong(promql.NO_DIVIDEND.format(label), doubtful=True)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(f"({GOOD} or vector(0)) / {ALL}", id="the dividend has a value"),
        pytest.param(f"{GOOD} / {ALL} or vector(0)", id="the share has a value"),
        pytest.param(GOOD, id="no share"),
        pytest.param(f"{ALL} / {GOOD}", id="the divisor has no value without requests"),
        pytest.param(f"{GOOD} / {FLAGS}", id="a ratio of two others"),
        pytest.param(f"{ALL} / {ALL}", id="of everything"),
        pytest.param(f"{GOOD} / {ALL}".replace("istio_requests_total", "http_total"), id="a counter may begin at 0"),
        pytest.param(f"{GOOD} / {ALL}".replace("sum(", "sum by (pod) ("), id="with labels, vector(0) is no remedy"),
        pytest.param(f"{GOOD} / {ALL}".replace("5.*", ".*").replace("!~", "=~"), id="every code"),
        pytest.param(f"{GOOD} / {ALL}".replace("response_code", "reporter"), id="not narrowed by what was answered"),
    ],
)
def test_a_share_that_is_not_warned_of(query: str) -> None:
    """The query says what follows without such requests, or nothing is known of it."""
    assert promql.wrong(query) is None


def test_a_query_is_as_short_when_its_words_are_filled_in() -> None:
    """A short template may say a long variable many times."""
    names = {"variables.x": "a" * 1000}
    assert len(query_templates.render("{{ variables.x }}" * 8, names)) == 8000
    with pytest.raises(Invalid, match="is more than 8192 characters long once its words are filled in"):
        query_templates.render("{{ variables.x }}" * 9, names)


@pytest.mark.parametrize("text", ["{{" + " " * 8000, "{{ " * 2700, " " * 8000 + "{{x}}", "{{- " * 2000 + "}}"])
def test_braces_and_blanks_take_no_time(text: str) -> None:
    """Python's regular expressions took minutes for 8,000 characters of them."""
    begun = time.process_time()
    try:
        list(query_templates.pieces(text))
    except Invalid as error:
        assert "never closes" in str(error)  # noqa: PT017 - some of them are templates
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("text", "name", "at"),
    [
        pytest.param("sum({{ name }}) b", "reviews", 16, id="behind a word"),
        pytest.param("{{ name }} b", "reviews", 0, id="in what a word stands for"),
        pytest.param("a {{- name -}}   b", "x", 17, id="behind blanks that are trimmed"),
    ],
)
def test_a_place_in_what_is_rendered_is_one_in_the_template(text: str, name: str, at: int) -> None:
    """People see the template only."""
    rendered = query_templates.render(text, {"name": name})
    index = rendered.index(text[at]) if at else 3
    assert query_templates.place(text, {"name": name}, index) == at


class TestPatterns:
    """Regular expressions, in matches, in queries and in guards."""

    @pytest.mark.parametrize(
        "pattern",
        ["[0-9a-f]{40}", "a{1,1000}", "\\pL+", "\\p{Greek}{5}", "x" * 8192, "(a|aa)+$", "{{{", "a{,}", "a{2}{3}"],
    )
    def test_what_is_cheap_is_left_to_re2(self, pattern: str) -> None:
        """Its memory is bounded, and its time is linear."""
        assert patterns.too_costly(pattern) == ""

    @pytest.mark.parametrize(
        "pattern",
        ["\\pL{40}", "\\pL" * 11, "(\\PN{3}){4}", "(\\pL{1,4}){1,4}", "x" * 8193, "\ud800", "a{1,1000}" * 3],
    )
    def test_what_takes_long_is_not_compiled(self, pattern: str) -> None:
        """A thousand of seven characters took minutes."""
        assert patterns.too_costly(pattern)
        assert guards.refused_regex(pattern) == "costs too much to be compiled"


class TestGuards:
    """CEL."""

    @pytest.mark.parametrize(
        ("expression", "sentence"),
        [
            pytest.param(
                "true || " * 300 + "true",
                "is 2404 characters long, and at most 2048 are read; write two guards of it",
                id="too long, wherever it comes from",
            ),
            pytest.param(
                '"\ud800" == ""',
                "has half of a character (a surrogate) in it; write the whole",
                id="what can't be encoded",
            ),
            pytest.param(
                'canary.name.matches(canary.annotations["x"])',
                "uses matches with a pattern that isn't written in quotes, so that its cost isn't known",
                id="a pattern that comes from elsewhere",
            ),
            pytest.param(
                'matches(canary.name, "a" == "b" ? "c" : "d")',
                "uses matches with a pattern that isn't written in quotes, so that its cost isn't known",
                id="a pattern that is chosen",
            ),
            pytest.param(
                '["\\\\pL{40}"].exists(p, canary.name.matches(p))',
                "uses matches with a pattern that isn't written in quotes, so that its cost isn't known",
                id="a pattern of a list",
            ),
            pytest.param(
                "[1, 2].exists(a, canary.name.matches(r'\\w{900}'))",
                "has a regular expression that is used in a loop, so that it may have 128 characters at most, "
                "counted repetitions written out, and no \\p; write a shorter one, or use it outside of all, exists, "
                "exists_one, filter and map",
                id="a pattern that is compiled in each round",
            ),
            pytest.param(
                " || ".join(f'canary.name.matches("{each}")' for each in range(11)),
                "uses matches 11 times, and at most 10 are evaluated; write two guards of it",
                id="many patterns",
            ),
        ],
    )
    def test_what_costs_too_much_is_refused(self, expression: str, sentence: str) -> None:
        """A pattern of 14 characters in two loops kept the controller busy for minutes."""
        assert guards.compiled(expression) == guards.Broken(sentence)

    @pytest.mark.parametrize(
        "expression",
        [
            'rollout.approvals.exists(a, a.matches("^[a-z]+@example[.]com$"))',
            "matches(canary.name, r'^\\d{3}$') && canary.version.matches('[0-9a-f]{40}')",
            'canary.name == "matches(x)" // matches(y)',
            "canary.name.matches('''it's''')",
        ],
    )
    def test_what_people_write_is_compiled(self, expression: str) -> None:
        """Texts and comments are no calls, and both forms of a call are known."""
        assert not isinstance(guards.compiled(expression), guards.Broken)
