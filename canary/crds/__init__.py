"""CustomResourceDefinitions of the kinds of `canary/api`: `definitions.py` generates them, the rest writes CEL."""
