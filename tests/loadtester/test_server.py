"""The load tester as a process of its own, called over HTTP as by a hook."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.parts.processes import bound, wait_for

CANARY = {"name": "podinfo", "namespace": "test", "phase": "Progressing", "checksum": "1"}


class Server:
    """One `canary loadtester`."""

    def __init__(self, log: Path, *options: str, **env: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "canary", "loadtester", "--listen", "127.0.0.1:0", *options]
        with log.open("w") as stream:
            self.process = subprocess.Popen(bound(command), stderr=stream, env={**os.environ, **env})
        self.port = int(wait_for(lambda: re.findall(r"listening port=(\d+)", log.read_text()), "a port")[0])

    def post(self, path: str = "/", body: Any = CANARY, **headers: str) -> tuple[int, str]:
        """Status and text."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("POST", path, body if isinstance(body, bytes) else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()

    def call(self, cmd: str, kind: str = "cmd", **metadata: str) -> tuple[int, str]:
        """As a hook with this command."""
        return self.post("/", CANARY | {"metadata": {"type": kind, "cmd": cmd, **metadata}})

    def running(self) -> int:
        """Commands."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", "/metrics")
            found = re.search(r"commands_running (\d+)", connection.getresponse().read().decode())
            assert found is not None
            return int(found[1])


Start = Callable[..., Server]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Servers that end after the tests."""
    servers: list[Server] = []

    def begin(*options: str, **env: str) -> Server:
        servers.append(Server(tmp_path_factory.mktemp("loadtester") / "log", *options, **env))
        return servers[-1]

    yield begin
    for one in servers:
        one.process.terminate()
        one.process.wait(30)


SCRIPTS = {
    "background": "sleep 1000 & echo $! > {0}; wait",
    "left": "sleep 1000 & echo $! > {0}",
    "ignores": "trap '' TERM; echo $$ > {0}; while true; do sleep 1; done",
    "environment": "env > {0}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scripts write."""
    return tmp_path_factory.mktemp("scripts")


def script(folder: Path, name: str) -> str:
    """A script that writes a file of its name."""
    return SCRIPTS[name].format(folder / name)


@pytest.fixture(scope="module")
def server(start: Start, folder: Path) -> Server:
    """With a few commands, and a time limit that some of them exceed."""
    scripts = [f"--allow-bash={script(folder, name)}" for name in SCRIPTS]
    patterns = ("true", "false", "printf **", "sleep *", "yes", "missing-program")
    return start(*(f"--allow={one}" for one in patterns), *scripts, "--timeout=3s", CANARY_SECRET="hush")


def gone(file: Path) -> bool:
    """Whether the process of this id is no more; its parent may not have looked yet."""
    try:
        state = Path(f"/proc/{int(file.read_text())}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.parametrize("word", ["gate", "rollback"])
def test_a_gate_is_closed_until_it_is_opened(server: Server, word: str) -> None:
    """Each Canary has its own, and a rollback another one."""
    other = CANARY | {"name": "other"}
    assert server.post(f"/{word}/check") == (403, "Forbidden")
    assert server.post(f"/{word}/open") == (202, "")
    assert server.post(f"/{word}/check") == (200, "Approved")
    assert server.post(f"/{word}/check", other) == (403, "Forbidden")
    assert server.post(f"/{word}/close") == (202, "")
    assert server.post(f"/{word}/check") == (403, "Forbidden")


def test_two_gates_have_always_the_same_answer(server: Server) -> None:
    assert server.post("/gate/approve", b"") == (200, "OK")
    assert server.post("/gate/halt", b"") == (403, "Forbidden")


@pytest.mark.parametrize(
    ("cmd", "kind", "expected"),
    [
        ("printf a", "cmd", (202, "")),
        ("printf a", "bash", (200, "")),
        ("true", "bash", (200, "")),
        ("false", "bash", (500, "exit code 1")),
        ("missing-program", "bash", (500, "missing-program can't be started: No such file or directory")),
        ("id", "cmd", (403, "id isn't allowed; start the load tester with --allow 'id **', or with a pattern for "
                            "each argument")),
        ("test", "concord", (400, "metadata.type 'concord' is unknown; there are cmd, bash, helm, helmv3, kubectl")),
        ("", "cmd", (403, "the command is empty; write it in metadata.cmd")),
    ],
)  # fmt: skip
def test_a_command_is_answered_as_by_flagger(server: Server, cmd: str, kind: str, expected: tuple[int, str]) -> None:
    """One of type cmd isn't waited for."""
    assert server.call(cmd, kind) == expected


def test_the_output_is_returned_if_it_is_asked_for(server: Server) -> None:
    assert server.call("printf 'a  b'", "bash", returnCmdOutput="true") == (200, "a b")


def test_a_command_that_runs_is_not_started_twice(server: Server) -> None:
    """A hook calls at each interval, and load may last longer."""
    assert server.call("sleep 1001") == (202, "")
    wait_for(lambda: server.running() == 1, "a command that runs")
    assert server.call("sleep 1001") == (202, "")
    assert server.running() == 1
    wait_for(lambda: server.running() == 0, "no command that runs")
    assert "it took more than 3 s" in server.log.read_text()


def test_a_command_that_prints_without_end_is_ended(server: Server) -> None:
    """Its output is bounded."""
    status, text = server.call("yes", "bash")
    assert (status, text[:22]) == (500, "it took more than 3 s:")
    assert 1000 < len(text) < 20_000


@pytest.mark.parametrize("name", ["background", "left", "ignores"])
def test_no_child_is_left(server: Server, folder: Path, name: str) -> None:
    """The whole group ends with the command, or at the limit."""
    status, _ = server.call(script(folder, name), "bash")
    assert status == (200 if name == "left" else 500)
    wait_for(lambda: gone(folder / name), "the end of the child")


def test_a_command_whose_client_is_gone_is_ended(server: Server) -> None:
    """A hook that timed out calls again, and two must not run."""
    body = json.dumps(CANARY | {"metadata": {"type": "bash", "cmd": "sleep 1002"}}).encode()
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head + body)
        wait_for(lambda: server.running() == 1, "a command that runs")
    wait_for(lambda: "the client that waited is gone" in server.log.read_text(), "the end of the command")


def test_a_command_gets_no_secret(server: Server, folder: Path) -> None:
    """Only what programs need of the environment."""
    assert server.call(script(folder, "environment"), "bash") == (200, "")
    text = (folder / "environment").read_text()
    assert "PATH=" in text
    assert "hush" not in text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"[" * 60_000, 400),
        (b'{"name": 1, "namespace": "a"}', 400),
        (b'{"name": "a\\nb", "namespace": "a"}', 400),
        (b'{"name": "a", "namespace": "b"}', 400),
        (b"{}" + b" " * 70_000, 413),
    ],
)
def test_a_body_that_is_wrong_is_refused(server: Server, body: bytes, status: int) -> None:
    assert server.post("/", body)[0] == status


def test_other_paths_and_bodies_without_a_length_are_refused(server: Server) -> None:
    assert server.post("/gate/other")[0] == 404
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b" 411 " in connection.recv(1000)


def test_a_token_is_asked_for_if_there_is_one(start: Start) -> None:
    """Of gates too: anyone who opens one lets a rollout go on. Commands don't get it."""
    secured = start("--allow=true", "--allow-bash=env", CANARY_LOADTESTER_TOKEN="hush")
    assert secured.post("/gate/open") == (401, "the token is missing or wrong")
    assert secured.post("/gate/open", Authorization="Bearer hus")[0] == 401
    assert secured.post("/gate/open", Authorization="Bearer hush")[0] == 202
    body = CANARY | {"metadata": {"type": "bash", "cmd": "env", "returnCmdOutput": "true"}}
    status, text = secured.post("/", body, Authorization="Bearer hush")
    assert status == 200
    assert "hush" not in text


def test_its_end_is_the_end_of_its_commands(start: Start) -> None:
    """Also of those that no one waits for."""
    ending = start("--allow=sleep *")
    assert ending.call("sleep 1003") == (202, "")
    wait_for(lambda: ending.running() == 1, "a command that runs")
    ending.process.send_signal(signal.SIGTERM)
    wait_for(lambda: ending.process.poll() is not None, "the end of the load tester")
    assert ending.process.returncode == 0
    assert "problem='the load tester stops'" in ending.log.read_text()
