"""Calls webhooks: `calls.py` off the critical path, `exchange.py` once, `credentials.py` with what a Secret gives."""
