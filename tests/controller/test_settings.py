"""A controller whose settings can't be right ends before it has begun anything."""

import os
from collections.abc import Callable

import pytest

from canary.cli.app import run

Reported = Callable[..., tuple[int, str]]


@pytest.fixture
def reported(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Reported:
    """How it ends, and what it says; there is no cluster for it."""

    def ends(*arguments: str, **environment: str) -> tuple[int, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = run(("controller", "--kubeconfig", os.devnull, *arguments))
        return code, capfd.readouterr().err.strip()

    return ends


ADDRESS = "can't be asked: a Prometheus' address looks like http://prometheus.monitoring:9090, without a query"
LISTEN = "is not an address to listen on; write HOST:PORT, such as 127.0.0.1:8080"
WRONG: dict[str, tuple[str, str, str]] = {
    "a Prometheus without a scheme": (
        "metrics-server",
        "foo:9090",
        f"'foo:9090' {ADDRESS}; did you mean http://foo:9090?",
    ),
    "a Prometheus whose port is none": ("metrics-server", "http://prom:port", f"'http://prom:port' {ADDRESS}"),
    "no Prometheus at all": ("metrics-server", "", f"'' {ADDRESS}"),
    "one address of several": (
        "allowed-metrics-servers",
        "http://a:1,prom:9090 http://b",
        f"'prom:9090' {ADDRESS}; did you mean http://prom:9090?",
    ),
    "an address with secrets": (
        "allowed-metrics-servers",
        "https://u:p@ss@prom/?token=s",
        f"'https://***@prom/?***' {ADDRESS}",
    ),
    "half a label": (
        "selector",
        "a in (b",
        "'a in (b' isn't a label selector, such as team=shop,track in (a, b)",
    ),
    "a Lease": (
        "lease",
        "Bad_Name",
        "'Bad_Name' isn't the name of an object: lower case letters, digits, dashes and dots; did you mean bad-name?",
    ),
    "a namespace with a dot": (
        "lease-namespace",
        "canary.system",
        "'canary.system' isn't the name of a namespace: lower case letters, digits and dashes",
    ),
    "a namespace in capitals": (
        "namespace",
        "NoSuch_NS",
        "'NoSuch_NS' isn't the name of a namespace: lower case letters, digits and dashes; did you mean nosuch-ns?",
    ),
    "a policy": (
        "action-policy",
        "canary actions",
        "'canary actions' isn't the name of an object: lower case letters, digits, dashes and dots",
    ),
    "a host without a port": ("listen", "foo", f"'foo' {LISTEN}; did you mean foo:8080?"),
    "a port without a host": ("listen", "9000", f"'9000' {LISTEN}; did you mean 127.0.0.1:9000?"),
    "a port that is a word": ("listen", "foo:http", f"'foo:http' {LISTEN}"),
    "too many workers": ("workers", "300", "300 isn't from 1 to 256"),
    "no requests": ("qps", "0", "0 isn't a number above 0"),
    "no burst": ("burst", "0", "0 isn't at least 1"),
    "too short a resync": ("resync", "5s", "5s isn't from 10s to 24h"),
    "too short a lease": ("lease-duration", "5s", "5s isn't from 6s to 10m"),
    "a lease of half a second too much": ("lease-duration", "7.5s", "7.5s isn't whole seconds"),
}


@pytest.mark.parametrize(("option", "text", "sentence"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_option_is_named_and_quoted(reported: Reported, option: str, text: str, sentence: str) -> None:
    """In one line, with what was probably meant; passwords are left out."""
    assert reported(f"--{option}", text) == (2, f"canary: --{option}: {sentence}")


def test_a_duration_is_named_and_quoted_too(reported: Reported) -> None:
    """api/test_duration.py has the rest of the sentence."""
    code, said = reported("--resync", "30")
    assert (code, said.partition(" is ")[0]) == (2, "canary: --resync: '30'")


@pytest.mark.parametrize(("name", "text"), [("WORKERS", "300"), ("RESYNC", "30"), ("LISTEN", "foo")])
def test_a_wrong_variable_is_named_as_that(reported: Reported, name: str, text: str) -> None:
    """No one looks for an option that a Deployment doesn't have."""
    code, said = reported(**{f"CANARY_{name}": text})
    assert (code, said.partition(text)[0].rstrip("'")) == (2, f"canary: CANARY_{name}: ")


def test_an_option_counts_before_its_variable(reported: Reported) -> None:
    """It is the one that is wrong then."""
    assert reported("--workers", "300", CANARY_WORKERS="3")[1].startswith("canary: --workers: 300 ")


@pytest.mark.parametrize(
    ("name", "text"), [("workers", "many"), ("burst", "1.5"), ("qps", "fast"), ("cross-namespace", "maybe")]
)
def test_a_value_of_another_type_is_quoted(reported: Reported, name: str, text: str) -> None:
    """The variable's name stands beside the option's."""
    variable = f"CANARY_{name.upper().replace('-', '_')}"
    code, said = reported(**{variable: text})
    assert (code, f"'--{name}' (env var: '{variable}'): '{text}' must be a valid " in said) == (2, True)
