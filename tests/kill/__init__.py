"""kill -9 at every point of the tick, in every phase, and the same end after a new start."""
