"""The command line. This file is only the way in; app.py comes next, then one file per command."""

import sys


def main() -> None:
    """Run `canary` with the process's arguments and leave with its exit code."""
    from canary.cli.app import run

    sys.exit(run(sys.argv[1:]))
