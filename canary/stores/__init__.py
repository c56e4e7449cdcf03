"""Where a rollout's memory lives: `file.py` for runs without a cluster, with its inbox and its lock beside it."""
