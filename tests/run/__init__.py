"""`canary run` and its companions as processes, on a real Envoy under load."""
