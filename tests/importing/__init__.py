"""Manifests of Flagger and Argo Rollouts become ours, and do the same."""
