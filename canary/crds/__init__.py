"""The kinds as CustomResourceDefinitions, made from the models of `canary/api`.

`definition.py` puts one together, `structural.py` makes its schema, `rules.py` has what a schema can't say, in the
words of lint. Files of them lie in the chart; `canary crd` prints them.
"""

from .definition import definition, file_name, text

__all__ = ["definition", "file_name", "text"]
