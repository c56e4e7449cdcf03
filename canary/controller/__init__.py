"""The controller in the cluster: many rollouts, reconciled in slots, on the same engine as `canary run`.

`metrics.py` and `logs.py` are what people and machines see of it.
"""
