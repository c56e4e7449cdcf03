"""What the Envoy adapters share: `admin.py` asks, `stats.py` counts, `routes.py` edits routes as plain data, and
`discovery.py` keeps the file that they are read from (`splice.py` its text)."""
