"""Sequential statistics: formulas over arrays of counts, pure, for the judge and for simulations of it.

All functions work over leading axes, one entry for each canary, metric or simulated rollout. Import this package
where it is used, not at the head of a file: it imports numpy, which takes a quarter of a second and 16 MiB.
"""
