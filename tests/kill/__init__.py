"""kill -9 at every point of the reconcile, in every phase, and the same end after a new start."""
