"""How much `make test` tries: a fifth of a property's examples, one case of some tables. CI runs all beside it."""

import os
from collections.abc import Iterable
from typing import Any

import pytest

ALL = os.environ.get("CANARY_EXAMPLES") == "all"


def examples(number: int) -> int:
    """`number` if CANARY_EXAMPLES is `all`, which `make test-rest` sets."""
    return number if ALL else max(10, number // 5)


def one_now(cases: Iterable[Any]) -> list[Any]:
    """The first case belongs to `make test`; the others are long tests, since each takes seconds of CPU."""
    first, *others = cases
    return [first, *map(_long, others)]


def _long(case: Any) -> Any:
    if isinstance(case, type(pytest.param())):
        return pytest.param(*case.values, id=case.id, marks=(*case.marks, pytest.mark.long))
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
