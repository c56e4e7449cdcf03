"""Whole rollouts as tables: how each strategy goes with each behaviour of a canary."""
