"""The server that hooks call: `canary loadtester` starts commands for them, and keeps gates.

`server.py` has the routes of Flagger's load tester; `commands.py` says which commands may be started, starts and ends
them.
"""
