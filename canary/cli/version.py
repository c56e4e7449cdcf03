"""`canary version`: what a report of a problem needs."""

import platform

from canary import __version__


def command() -> None:
    """Print the versions of canary and Python."""
    print(f"canary {__version__}")
    print(f"python {platform.python_version()} ({platform.system()} {platform.machine()})")
