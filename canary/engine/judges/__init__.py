"""The judges by name. A new one is a file beside `threshold.py` and a line here."""

from collections.abc import Mapping

from . import sequential, threshold
from .judge import Judge

JUDGES: Mapping[str, Judge] = {
    threshold.NAME: threshold.Threshold(),
    sequential.NAME: sequential.Sequential(),
}
USUAL = threshold.NAME
"""Where the manifest names none."""
