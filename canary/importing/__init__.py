"""Manifests of Flagger and Argo Rollouts to ours, as text with comments; pure.

`flagger.py` keeps the text of a file or writes the steps in full, and `differences.py` says what means something else
here. `argo.py` makes other objects, with `argo_analysis.py` and `argo_objects.py`.
`commented.py` puts sentences beside fields.
"""

from .argo import argo
from .commented import Imported, together
from .flagger import flagger, flagger_objects

__all__ = ["Imported", "argo", "flagger", "flagger_objects", "together"]
