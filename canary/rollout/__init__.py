"""One reconcile and what drives it: gather, decide, save, apply, tell. `ports.py` says what it needs from outside."""
