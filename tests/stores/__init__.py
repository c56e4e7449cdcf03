"""What a run remembers on disk: the state, its lock, and what people ask beside it."""
