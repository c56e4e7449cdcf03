"""Canary rollouts: shift traffic in steps, judge each on evidence, promote or roll back."""

__version__ = "0.1.0"
