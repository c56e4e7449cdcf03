"""`spec.service` is read as Flagger's manifests have it, and written as it was read."""

import pytest
from pydantic import ValidationError

from canary.api.canary import Canary
from canary.api.service import Service
from tests.crds.objects import GOOD, WHOLE_SERVICE, canary


def test_a_service_is_written_as_it_was_read() -> None:
    """Each field, and what Istio defines with everything in it."""
    assert set(WHOLE_SERVICE) == {field.alias for field in Service.model_fields.values()}
    assert Service.model_validate(WHOLE_SERVICE, extra="forbid").wire() == WHOLE_SERVICE
    body = canary(GOOD["all of a Service"])
    assert Canary.model_validate(body, extra="forbid").wire()["spec"]["service"] == WHOLE_SERVICE


@pytest.mark.parametrize("port", [1, 65535, "http", "9898"])
def test_a_target_port_is_a_number_or_a_name(port: int | str) -> None:
    """Neither becomes the other: the API server tells 9898 from "9898"."""
    assert Service.model_validate({"port": 80, "targetPort": port}).wire()["targetPort"] is port


@pytest.mark.parametrize("port", [0, 65536, True, 1.5, [80], "x" * 64])
def test_nothing_else_is_a_target_port(port: object) -> None:
    """The sentence says what is."""
    with pytest.raises(ValidationError, match="is no port: write a number from 1 to 65535"):
        Service.model_validate({"port": 80, "targetPort": port})
