"""The core: pure functions from what is written and what was seen to what shall be done. No I/O, no clock.

Read `rules.py` first. `decide.py` runs the chain, `situation.py` folds what it looks at, `phases.py` holds
the tables, `plan.py` says what comes next; `targets/` and `judges/` are the two things with more than one kind.
"""
