"""The command line as its user meets it: help, errors, exit codes."""
