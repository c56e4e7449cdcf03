"""The docstrings of fields, which are read when they are asked for."""

import ast
import subprocess
import sys

from canary.api.canary import ClusterCanaryPolicy
from canary.api.model import descriptions
from canary.api.webhooks import HookRequest, Webhook


def test_a_model_has_the_descriptions_of_the_model_that_it_extends() -> None:
    """The fields of both models are described."""
    assert descriptions(Webhook).items() > descriptions(HookRequest).items() != set()
    assert descriptions(ClusterCanaryPolicy).keys() == {"apiVersion", "kind", "metadata", "spec"}


def test_the_schema_has_each_description() -> None:
    """By the name that a manifest writes, also of a field that is a model."""
    properties = ClusterCanaryPolicy.model_json_schema()["properties"]
    assert {name: each.get("description") for name, each in properties.items()} == descriptions(ClusterCanaryPolicy)


def test_no_source_is_read_when_the_models_are_imported() -> None:
    """Python keeps the lines of each source that it reads, and to read all of them would slow every command down."""
    script = "import linecache, canary.api.kinds; print([one for one in linecache.cache if 'canary' in one])"
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ast.literal_eval(ended.stdout) == []
