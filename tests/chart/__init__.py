"""The Helm chart, rendered by a real Helm, installed on a real API server, and enough for the controller; the image.

helm.py     the program
release.py  what is installed, and accounts with tokens
asking.py   what an account may do
team.py     people with the chart's roles
"""
