"""What people and programs get to see: decisions and status as lines, as a live view, as JSON.

Nothing here decides. `terminal.py` says what a terminal can do, `lines.py`, `records.py` and `live_view.py` are the
three outputs of a run (`outputs.py` chooses), `summary.py` is the block that `canary status` prints, `tables.py` has
the tables of `canary list` and `canary history`.
"""
