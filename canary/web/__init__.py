"""What is served over HTTP. `serving.py`: metrics and probes."""
