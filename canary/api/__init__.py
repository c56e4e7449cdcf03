"""The resources as users write them and the status as it is stored: frozen pydantic models, nothing else.

`canary.py` holds the resource, `analysis.py` and `plan.py` its parts, `status.py` what a rollout remembers:
`pinned.py` the rules that it began with, `evidence.py` what evaluations leave.
The engine above reads these models; nothing here decides anything.
"""
