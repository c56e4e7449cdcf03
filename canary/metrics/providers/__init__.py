"""Metric providers other than the Canary's own Prometheus. Each type is a file here and a line in
`canary/api/providers.py`; it is imported when a query asks it.

`adapter.py` has the port, `question.py` what a provider is asked with.
"""
