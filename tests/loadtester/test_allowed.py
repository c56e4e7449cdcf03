"""Which commands the load tester starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.engine.errors import Invalid
from canary.loadtester.commands import AllowedCommands, allowed

HEY = "hey -z * -q * http://*.test/**"


@pytest.mark.parametrize(
    ("patterns", "kind", "text", "command"),
    [
        ([HEY], "cmd", "hey -z 1m -q 10 http://podinfo-canary.test/", ("hey", "-z", "1m", "-q", "10")),
        (["curl **"], "cmd", "curl -sf 'http://a b/'", ("curl", "-sf", "http://a b/")),
        (["curl **"], "bash", "curl -sf http://a/", ("curl", "-sf", "http://a/")),
        (["helm test *"], "helm", "test podinfo", ("helm", "test", "podinfo")),
        (["helm test *"], "helmv3", "test podinfo", ("helm", "test", "podinfo")),
        (["kubectl get **"], "kubectl", "get pods -n test", ("kubectl", "get", "pods", "-n", "test")),
    ],
)
def test_what_a_pattern_allows_is_started(
    patterns: list[str], kind: str, text: str, command: tuple[str, ...]
) -> None:
    assert tuple(allowed(patterns, []).command(kind, text))[: len(command)] == command


@pytest.mark.parametrize(
    ("patterns", "kind", "text"),
    [
        ([], "cmd", "true"),
        ([HEY], "cmd", "hey -z 1m -q 10 http://podinfo.prod/"),
        ([HEY], "cmd", "hey -z 1m -o /etc/passwd -q 10 http://a.test/"),
        ([HEY], "cmd", "hey -z 1m -q 10 http://a.test/ extra"),
        (["hey *"], "cmd", "hey"),
        (["hey *"], "cmd", "/tmp/hey a"),
        (["hey *"], "cmd", "PATH=/tmp hey a"),
        (["test **"], "helm", "test podinfo"),
        (["helm test *"], "helm", "delete podinfo"),
        (["curl **"], "cmd", "curl a; rm -rf /"),
        (["curl **"], "cmd", "curl $(id)"),
        (["curl **"], "bash", "curl a | sh"),
        (["curl **"], "kubectl", "curl a"),
        (["bash **"], "bash", "id && id"),
    ],
)
def test_nothing_else_is_started(patterns: list[str], kind: str, text: str) -> None:
    with pytest.raises(Invalid):
        allowed(patterns, []).command(kind, text)


def test_a_script_is_allowed_word_for_word() -> None:
    """Only such texts reach a shell."""
    script = "curl -s http://a/ | grep ok"
    some = allowed([], [script])
    assert some.command("bash", script) == ("bash", "-c", script)
    with pytest.raises(Invalid, match="--allow-bash"):
        some.command("bash", f"{script}; id")
    with pytest.raises(Invalid, match="without a shell"):
        some.command("cmd", script)
    assert allowed([], ["*"]).command("bash", "a; b") == ("bash", "-c", "a; b")


@given(st.text(max_size=60), st.sampled_from(["cmd", "helm", "helmv3", "kubectl", "bash"]))
def test_what_is_started_is_a_program_of_the_list(text: str, kind: str) -> None:
    """For any text."""
    try:
        command = AllowedCommands((("hey", "**"), ("helm", "**")), ()).command(kind, text)
    except Invalid:
        return
    assert command[0] in ("hey", "helm")


@pytest.mark.parametrize("pattern", ["", "* a", "/bin/sh **", "hey ** a", "hey 'a"])
def test_a_pattern_that_allows_more_than_it_seems_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        allowed([pattern], [])
