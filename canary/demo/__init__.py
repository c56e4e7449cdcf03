"""A real Envoy, versions of a small service, and a steady load: rollouts to watch, on this machine alone.

`stage.py` puts them together and drives the rollouts, `story.py` is what people read; each part has a file.
"""
