"""`canary run` as a process on Istio's example application: a real API server, and a mesh that measures."""
