"""`canary reject`: see `acting.py`."""

from canary.api.action import Verb

from .acting import asking

command = asking(Verb.REJECT)
