"""For any content of a file, lint answers with problems and never with a traceback."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.kinds import KINDS
from canary.api.model import Model
from canary.manifests import lint, read
from canary.manifests.documents import documents
from canary.manifests.fields import known
from tests.examples import examples

from .test_reading import CANARY

SAMPLES = {
    "string": st.sampled_from(["EnvoyRoute", "v1", "http://x", "up", "{{ name }}", "request-duration", ""]),
    "integer": st.integers(1, 100),
    "number": st.floats(),
    "boolean": st.booleans(),
    "time": st.just("2030-01-31T12:00:00Z"),
    "duration": st.sampled_from(["0s", "1s", "90s", "1h30m", "2562047h"]),
}
ODD: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})
)


def like(model: type[Model], odd: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Data of the right shape: some of the model's fields, with values of the right kind; or with odd ones."""
    fields = {
        name: ordinary(field, odd) for name, field in known(model).items() if name not in ("status", "apiVersion")
    }
    required = {name: fields.pop(name) for name, field in known(model).items() if field.required and name in fields}
    return st.fixed_dictionaries(required, optional=fields)


def ordinary(field: Any, odd: bool) -> st.SearchStrategy[Any]:
    """A value of the field's kind, or now and then an odd one."""
    one = like(field.model, odd) if field.model is not None else SAMPLES.get(field.kind.lstrip("[]").split()[0])
    if one is None:
        one = st.sampled_from(field.kind.split(" | "))
    if field.many == "list":
        one = st.lists(one, max_size=3)
    if field.many == "mapping":
        one = st.dictionaries(st.sampled_from(["a", "x", "window"]), one, max_size=2)
    return st.one_of(*[one] * 9, ODD) if odd else one


def lines(text: str, folder: Path) -> list[str]:
    """What lint prints."""
    file = folder / "any.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return [str(each).removeprefix(str(file)) for each in lint(read([str(file)]))]


def test_any_text(tmp_path: Path) -> None:
    """Of characters that mean something in YAML."""

    @settings(max_examples=examples(400))
    @given(st.text(alphabet="ab:-,[]{}&*!|>'\"%@`#?<=\n\t \\0x1.~\x07\ud800", max_size=40))
    def check(text: str) -> None:
        for line in lines(text, tmp_path):
            assert re.match(r"(:\d+:\d+)?: (error|warning): \S", line)
            assert "\n" not in line

    check()


def test_any_change_of_a_good_manifest(tmp_path: Path) -> None:
    """A stretch of it replaced with something else."""

    @settings(max_examples=examples(300))
    @given(st.integers(0, len(CANARY)), st.integers(0, 30), st.text(max_size=6))
    def check(start: int, length: int, text: str) -> None:
        for line in lines(CANARY[:start] + text + CANARY[start + length :], tmp_path):
            assert re.match(r"(:\d+:\d+)?: (error|warning): \S", line)
            assert "\n" not in line

    check()


@pytest.mark.parametrize("odd", [False, True], ids=["of the right shape", "with odd values"])
@pytest.mark.parametrize("kind", KINDS)
def test_any_manifest(kind: str, odd: bool, tmp_path: Path) -> None:
    """Those of the right shape reach the checks behind it as well."""
    judged, tries = 0, examples(100) if odd else 100

    @settings(max_examples=tries, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(like(KINDS[kind], odd))
    def check(data: dict[str, Any]) -> None:
        nonlocal judged
        text = json.dumps({**data, "apiVersion": "canary-controller.dev/v1beta1", "kind": kind})
        for line in lines(text, tmp_path):
            assert re.match(r":1:\d+: (error|warning): [a-z]\S*: \S", line)
        judged += bool(read([str(tmp_path / "any.yaml")]).placed[0].resource)

    check()
    assert odd or judged > 20


@given(st.recursive(ODD, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=20))
def test_any_data_is_read_back(data: Any) -> None:
    """What JSON writes, the YAML reader reads, with any data."""
    text = json.dumps(data, allow_nan=False) if _finite(data) else "null"
    found = list(documents(text))
    assert all(not each.problems for each in found)
    assert [each.data for each in found] == ([] if data is None or text == "null" else [data])


def _finite(data: Any) -> bool:
    try:
        json.dumps(data, allow_nan=False)
    except ValueError:
        return False
    return True
