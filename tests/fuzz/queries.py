"""PromQL, as lint and the controller check it: rendered, bounded, parsed."""

from collections.abc import Callable
from random import Random

from canary.engine import query_templates
from canary.engine.errors import Invalid
from canary.engine.validation import promql
from tests.fuzz.texts import drawn

CORPUS = (
    'sum(rate(istio_requests_total{destination_workload="{{ target }}",response_code!~"5.*"}[{{ interval }}]))',
    "histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m])))",
    "max_over_time((a / b > bool 1)[1h:1m]) offset 1w unless on (x) group_left (y) c",
    'label_replace(a, "x", "$1", "y", "(.*)") and topk(3, -b ^ 2) or vector(1e3)',
    "avg_over_time(a[5m] @ 1609746000) * 0x1F",
)
TOKENS = (
    *("1+", "1^", "-", "- ", "(", ")", "[", "]", "{", "}", "a", "a{", "abs(", "sum(", "[1h:1m]", "max_over_time("),
    *(" and ", " unless ", " or ", "==", " bool ", ",", ":", "5m", "1h", "Inf", "NaN", "0x", "1e9", " offset ", "@"),
    *('"', "'", "`", '"x"', '=~"', '=~".*"', r'=~"\\pL{40}"', r'=~"(\\w{1,50}){9}"', r'=~"\\PN{9}"', '!~"("', "=~"),
    *(
        'b="c",',
        "by (",
        " on (x) group_left (y) ",
        "#",
        "\n",
        " ",
        "{{ target }}",
        "{{- ",
        " -}}",
        "label_join(",
        "/",
    ),
    *("(1+", "a{b=~'(a|b){30}'}+", "holt_winters(", "foo(", '{"a.b"}', "[[", "start()", " fill(1) ", "\\"),
)


def prepared(random: Random) -> Callable[[], object]:
    """The check of one query, with its words filled in."""
    text = drawn(random, CORPUS, TOKENS, 10_000)
    names = {"target": random.choice(("reviews", "x" * 1024, "((((", '"', "1+" * 500)), "interval": "1m"}

    def call() -> None:
        try:
            found = promql.wrong(query_templates.render(text, names))
            assert found is None or found.at is None or query_templates.place(text, names, found.at) <= len(text)
        except Invalid:
            return

    return call
