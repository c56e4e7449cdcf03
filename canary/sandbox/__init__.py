"""The ports in memory, on virtual time: `canary simulate` and the tests of the engine's world run here.

`scenarios.py` says how a canary behaves, `world.py` turns that into requests, `parts.py` are the ports.
"""
