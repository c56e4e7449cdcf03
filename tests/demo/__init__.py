"""The demo on a real Envoy: it counts exactly, ends as it says, and leaves nothing behind."""
