"""A command whose import fails: help must not import it."""

raise RuntimeError("this command was imported")
