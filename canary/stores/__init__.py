"""Where a rollout's memory lives, with its inbox and its lock beside it.

`file.py`, `lock.py`: without a cluster. `configmap.py`, `lease.py`: in one, in objects that `objects.py` names.
`canary.py`: in the Canary object, for the controller.
"""
