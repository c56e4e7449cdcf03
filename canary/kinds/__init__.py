"""Our own kinds as objects of a cluster, read from what reflectors keep.

`seen.py` is what is kept of a Canary, `wishes.py` makes of it what is wanted, `store.py` keeps its status,
`inbox.py` has the CanaryActions, `sharing.py` finds Canaries that want the same route.
"""
