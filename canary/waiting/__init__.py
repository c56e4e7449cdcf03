"""Waiting for a rollout that another process carries out: `canary wait`, `canary watch`, `start --wait`."""
