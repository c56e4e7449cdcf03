"""A card as the engine makes it."""

from canary.engine.alerts import AlertCard

FIELDS = (("Canary", "web.shop"), ("Reason", "RolledBack"), ("Weight", "0%"), ("Command", "canary retry web -n shop"))


def a_card(severity: str = "error", text: str = "v1 serves everything again") -> AlertCard:
    """With a few fields."""
    assert severity in ("info", "warn", "error")
    return AlertCard("web.shop", text, severity, FIELDS)  # type: ignore[arg-type]
