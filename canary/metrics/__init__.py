"""Evidence: asks a source of metrics what the engine's queries mean, and answers each with a sample.

`prometheus.py` is the adapter for Prometheus; around it `batching.py` (what is asked together), `promql.py` (how it
is asked), `answers.py` (what the rows mean), `session.py` (one HTTP exchange) and `credentials.py`.
`sources.py` has sources around it. What can't be read is a Missing; nothing here raises out of `measure`.
"""
