"""Alerts: what a person reads, and what servers that play the endpoints are sent."""
