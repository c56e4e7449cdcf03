"""One reconcile and what drives it, over the sandbox: what is saved, written and told when things go wrong."""
