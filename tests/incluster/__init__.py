"""`canary controller` as a process, on a real API server with bookinfo in the miniature mesh."""
