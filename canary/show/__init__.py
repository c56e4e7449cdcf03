"""What people and programs get to see: decisions and status as lines, as a live view, as JSON.

Nothing here decides. `screen.py` says what a terminal can do, `lines.py`, `records.py` and `live.py` are the
three outputs of a run (`reporter.py`), `summary.py` is the block that `canary status` prints.
"""
