"""A Deployment with a primary, on a real control plane, mesh and Prometheus."""
