"""Alerts to chats and other services: what is sent where, off the critical path of a reconcile."""
