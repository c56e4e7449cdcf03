"""The live view as a picture for documents."""

import re
from collections.abc import Sequence
from datetime import UTC
from io import StringIO

from rich.console import Console

from canary.rollout.reconcile import Turn
from canary.show.live_rows import Scene
from canary.show.live_view import Picture

FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts from elsewhere, which documents had better not load; the reader's own monospaced one does."""


def picture(turns: Sequence[Turn], width: int = 80) -> str:
    """SVG of the view after these turns; the same turns always give the same picture."""
    last = turns[-1]
    scene = Scene(last.resolved.manifest.metadata.name, "canary approve")
    for turn in turns:
        scene = scene.then(turn)
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Picture(scene, lambda: last.at, UTC))
    drawn = console.export_svg(title=f"canary run {scene.name}", unique_id="canary")
    return FONTS.sub("", drawn)
