"""What is sent for a query, for people to see: its text, and who is asked."""

from contextlib import suppress

from canary.engine.errors import Invalid
from canary.engine.observed import Query

from . import batching
from .answers import ANYTIME
from .credentials import address
from .events import EventCounters
from .promql import Dialect, custom


def sent(query: Query, home: str | None, dialect: str) -> str:
    """The text; empty for a builtin that no Prometheus is asked, and for what can't be asked at all."""
    try:
        if query.bad is not None:
            return EventCounters.of(query, batching.tiled(query.window, ANYTIME)).text(new=False)
        if query.text is not None:
            return custom(query).strip()
        if query.server is None and home is None:
            return ""
        table = Dialect(dialect)
        return "\n".join(batch.text(table) for batch in batching.plan([query], home, table.table, ANYTIME).batches)
    except Invalid:
        return ""


def server_of(query: Query, home: str | None) -> str:
    """The address without a password; empty for the API server and for Envoy itself."""
    own = home if query.provider is None or query.provider.type == "prometheus" else None
    with suppress(Invalid):
        return address(query.server or own or "")[0]
    return ""
