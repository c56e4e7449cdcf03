"""Moments as people read them, in zones that exist and in one that doesn't."""

import os
import subprocess
import sys


def test_a_time_zone_that_does_not_exist_reads_as_utc() -> None:
    """TZ=UTC+99 names no zone: times are shown in UTC, and no command ends in an internal error."""
    code = "from datetime import *; from canary.show import times; t = datetime(2026, 1, 31, 12, 4, 5, tzinfo=UTC); "
    code += "print(times.clock(t), times.day(t), times.moment(t, t))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TZ": "UTC+99"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout == "12:04:05 2026-01-31 12:04:05\n"
