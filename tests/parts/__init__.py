"""The real programs that tests run against: where they are found, and what happens when one is missing.

processes.py starts any of them; prometheus.py, envoy.py and cluster.py know one each.
"""

import os
from typing import NoReturn

import pytest


def missing(part: str, command: str) -> NoReturn:
    """Skip the test for want of a part, or fail it where parts are required; `command` provides the part."""
    sentence = f"{part} is missing: `{command}` provides it"
    if os.environ.get("CANARY_REQUIRE_PARTS") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
