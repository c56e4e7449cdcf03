"""Operating characteristics of an analysis: how often and how soon it rolls back or promotes, at which harm.

`service.py` describes a service and its two versions, `requests.py` draws their requests for many rollouts at once,
`counters.py` is what scrapes see of them, and `rollouts.py` moves the rollouts from step to step. `threshold.py` is a
judge on a batch. `report.py` puts it together for `canary policy report`. Pure but for the
seeded random numbers; arrays have the rollout as an axis.
"""
