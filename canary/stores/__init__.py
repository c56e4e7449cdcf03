"""Where a rollout's memory lives, with its inbox and its lock beside it.

`file.py`, `inbox.py`, `lock.py`: without a cluster. `configmap.py`, `configmap_inbox.py`, `lease.py`: in one, in
objects that `objects.py` names.
"""
