"""YAML, as `canary lint -f FILE` reads it: the whole command, with what it prints."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from canary.cli.app import run
from tests.fuzz.texts import drawn

FILE = Path(mkdtemp(prefix="canary-fuzz-")) / "any.yaml"
HEAD = "apiVersion: canary-controller.dev/v1beta1\n"
CORPUS = (
    *(path.read_text() for path in sorted(Path("examples").rglob("*.yaml"))[:12]),
    HEAD + "kind: Canary\nmetadata: {name: a}\nspec:\n  targetRef: {kind: VirtualService, name: a}\n  version: v2\n"
    "  analysis:\n    steps: [{weight: 10, hold: 2m}]\n    metrics:\n    - name: request-success-rate\n"
    "      thresholdRange: {min: 99}\n",
    HEAD + "kind: MetricTemplate\nmetadata: {name: t}\nspec: {query: 'sum(rate(a[{{ interval }}]))'}\n",
    HEAD + "kind: CanaryPolicy\nmetadata: {name: p}\nspec: {guards: [{name: g, expression: 'step.to < 50'}]}\n",
    "a: &a {b: c}\nd: {<<: [*a, *a], e: *a}\n",
)
TOKENS = (
    *(
        "a",
        ": ",
        "- ",
        "\n",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&a ",
        "*a",
        "<<: ",
        "<<: *a",
        "? ",
        "|\n",
        ">-\n",
        "!!",
    ),
    *(
        "!!int ",
        "!!binary ",
        "!!set ",
        "!x ",
        "!!float ",
        "!!python/object ",
        "%YAML 1.1\n",
        "%YAML 3.0\n---\n",
        "%TAG",
    ),
    *(
        "---\n",
        "...\n",
        "--- {a: 1}\n",
        "0x",
        "0xffffffff",
        "0o7",
        "010",
        "1_0",
        ".inf",
        "-.nan",
        "1e999",
        "12:30:45",
    ),
    *(
        "99999999999999999999",
        "2001-01-01",
        "yes",
        "null",
        "~",
        "'",
        '"',
        '"\\u',
        "#",
        "\t",
        "@",
        "spec",
        "kind",
        "kind: ",
    ),
    *(
        "Canary",
        "metadata: ",
        "analysis: ",
        "steps: ",
        "weight",
        "hold 2m",
        "match: [{headers: {x: ",
        "regex: ",
        "query: ",
    ),
    *("interval: ", "&a [*a]", "a: &a {<<: *a}\n", "'1+1+'", HEAD, "kind: Canary\n", "name: ", "=", "\r", "\ufeff"),
)


def prepared(random: Random) -> Callable[[], object]:
    """One run of lint on one file, which ends with 0 or 2."""
    FILE.write_bytes(drawn(random, CORPUS, TOKENS, 6000).encode("utf-8", "surrogatepass"))

    def call() -> None:
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = run(["lint", "-f", str(FILE)])
        assert code in (0, 2), said.getvalue()
        assert "internal error" not in said.getvalue()
        assert "Traceback" not in said.getvalue()

    return call
