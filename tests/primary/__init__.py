"""The objects of a target that is released through a primary, from its Deployment and its Canary alone."""
