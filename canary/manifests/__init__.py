"""Manifests as people write them: YAML or JSON files into resources, each problem with file, line and column.

`documents.py` reads the text, `validation.py` makes resources of it, `fields.py` knows the models' fields,
`reading.py` joins files and lints them; `canary/engine/checks` knows what else can be wrong.
"""

from .located import Located
from .policies import shipped, shipped_names
from .reading import Given, Reading, lint, load, only_canary, read

__all__ = [
    "Given", "Located", "Reading",
    "lint", "load", "only_canary", "read", "shipped", "shipped_names",
]  # fmt: skip
