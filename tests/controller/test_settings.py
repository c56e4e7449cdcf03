"""A controller whose settings can't be right ends before it has begun anything."""

import os
import subprocess
import sys

import pytest


def told(*arguments: str, **environment: str) -> tuple[int, str]:
    """How it ends, and what it says; there is no cluster for it."""
    ran = subprocess.run(
        [sys.executable, "-m", "canary", "controller", "--kubeconfig", os.devnull, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stderr.strip()


@pytest.mark.parametrize("url", ["foo:9090", "http://prometheus:port", ""])
def test_a_prometheus_that_can_not_be_asked(url: str) -> None:
    """Each Canary without a server of its own would have none."""
    sentence = "metrics-server: a Prometheus' address looks like http://prometheus.monitoring:9090, without a query"
    code, said = told("--metrics-server", url)
    assert (code, sentence in said, len(said.splitlines())) == (2, True, 1)


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        ("selector", "a in (b", "'a in (b' isn't a label selector, such as team=shop,track in (a, b)"),
        ("lease", "Bad_Name", "did you mean bad-name?"),
        ("lease-namespace", "canary.system", "isn't the name of a namespace"),
        ("namespace", "NoSuch_NS", "did you mean nosuch-ns?"),
        ("action-policy", "canary actions", "isn't the name of an object"),
    ],
)
def test_what_nothing_can_be_called(option: str, text: str, sentence: str) -> None:
    """The server would refuse each request, again and again."""
    code, said = told(f"--{option}", text)
    assert (code, f"{option}: " in said, sentence in said, len(said.splitlines())) == (2, True, True, 1)
