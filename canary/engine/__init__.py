"""The core: pure functions from spec and observations to actions. No I/O, no clock.

Read `decision_rules.py` first. `decide.py` runs the chain, `situation.py` folds what it looks at, `phases.py` holds
the tables, `next_traffic.py` says what comes next. `validation/` tells what is wrong with a Canary. `targets/` and
`judges/` are the two things with more than one kind.
"""
