"""`make bench-table`: a table of what is promised and what is measured; exit 1 where a promise is broken."""

import sys

from .cluster import reactions
from .counted import counts
from .timed import timings


def main() -> int:
    """Measures, prints, and says whether all is as promised."""
    rows = [*timings(), *counts(), *reactions()]
    width = max(len(row.what) for row in rows)
    for row in rows:
        limit = f"   (at most {row.limit:g})" if row.limit is not None else ""
        print(f"{row.what:{width}}  {row.value:>9,.6g} {row.unit}{limit}{'   TOO MUCH' if row.broken else ''}")
    return int(any(row.broken for row in rows))


if __name__ == "__main__":
    sys.exit(main())
