"""What the objects are called."""

import pytest

from canary.primary.names import Names

from .podinfo import canary


@pytest.mark.parametrize(
    ("service", "names"),
    [
        pytest.param(
            {},
            Names("podinfo", "podinfo", "podinfo-primary", "podinfo-primary", "podinfo-canary"),
            id="all after the target",
        ),
        pytest.param(
            {"name": "web"},
            Names("podinfo", "web", "podinfo-primary", "web-primary", "web-canary"),
            id="the Services after their own name, the primary after the target",
        ),
        pytest.param(
            {"name": ""},
            Names("podinfo", "podinfo", "podinfo-primary", "podinfo-primary", "podinfo-canary"),
            id="an empty name is none",
        ),
    ],
)
def test_names(service: dict[str, str], names: Names) -> None:
    """As Flagger has them; the Canary's own name is in none."""
    assert Names.of(canary(service, name="release")) == names
