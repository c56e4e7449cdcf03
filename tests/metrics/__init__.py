"""The Prometheus adapter, on a real Prometheus that scrapes pods whose every request is known.

mesh.py has the pods; server.py a server for answers that a real Prometheus doesn't give on demand.
"""
