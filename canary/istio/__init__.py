"""Istio's routing objects as plain data: what VirtualServices send where, and the patches that change it. Pure.

`reading.py` tells the traffic state and `patch.py` makes the patches; start there. Both look at routes
(`scope.py`, `routes.py`) through names of versions (`destinations.py`), and know what they added
themselves by its marks (`marks.py`, `managed.py`). The adapter in `canary/routers` fetches and sends.
"""
