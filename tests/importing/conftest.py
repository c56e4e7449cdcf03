"""A mesh for each test module."""

from tests.mesh.conftest import shared

__all__ = ["shared"]
