"""The objects of a target that is released through a primary, as plain data. Pure.

The target itself is the canary; the promoted version runs in a copy of it, the primary. `names.py` says what the
objects are called, `workload.py` makes the primary and its scaler, `services.py` the Services,
`routes.py` Istio's objects. All are complete, for server-side apply; the adapters fetch and send. What is made
carries the mark of its Canary.
"""
