"""Talks to a Kubernetes API server. `connection.py` is the only importer of `kubernetes`; import it when needed.

A request is data first (`requests.py`, kinds in `resources.py`), then sent (`client.py`), and what fails is one of
the few errors of `errors.py`. `rbac.py` has the permissions that all of it takes.
"""
