"""Manifests as people write them: YAML or JSON files into resources, each problem with file, line and column.

`documents.py` reads the text, `validation.py` makes resources of it, `fields.py` knows the models' fields,
`reading.py` reads and joins files, `linting.py` judges them; `canary/engine/validation` knows what else can be wrong.
"""

from .linting import Given, lint, load, only_canary
from .reading import Located, Reading, read, shipped, shipped_names, with_fields

__all__ = [
    "Given", "Located", "Reading",
    "lint", "load", "only_canary", "read", "shipped", "shipped_names", "with_fields",
]  # fmt: skip
