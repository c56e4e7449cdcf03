"""The benchmark of judges: simulated rollouts, each under several judges with the same requests.

`scenarios.py` has the services, `flagger.py`, `argo.py` and `kayenta.py` the rules of other tools, `contestants.py`
all judges with their settings. `simulate.py` runs them, `figures.py` sums up, `validity.py` shows how often evidence
is wrong, and `bars.py` says what is to be shown. `page.py` and `plot.py` write docs/judge.md from `results.json`.
"""
