"""Who is told what a rollout decided. `events.py`: Kubernetes' Events, as `kubectl describe` shows them."""
