"""The Helm chart, rendered by a real Helm, installed on a real API server, and enough for the controller; the image.

helm.py is the program, release.py what is installed and who may do what.
"""
