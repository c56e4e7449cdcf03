"""One reconcile and what drives it, over the sandbox: what is saved, written and reported when things go wrong."""
