"""A server that gives the answers which a real Prometheus won't give on demand, and remembers what it was asked."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Reply = tuple[int, str | bytes]


def vector(*rows: tuple[Mapping[str, str], str], **more: Any) -> str:
    """A complete answer with these rows, and more beside it, such as warnings."""
    found = [{"metric": dict(labels), "value": [1700000000.0, value]} for labels, value in rows]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}, **more})


@dataclass
class Asked:
    """One request."""

    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass
class Server:
    """`reply` says what each query gets, and may take its time."""

    reply: Callable[[str], Reply]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    drip: threading.Event | None = None
    """Until it is set, bodies come one byte at a time and never end."""
    headers: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def serve(reply: Callable[[str], Reply] | Reply, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """The server, until the end of the block."""
    state = Server(reply if callable(reply) else lambda _: reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            asked = Asked(self.path, dict(self.headers), {name: values[0] for name, values in form.items()})
            state.asked.append(asked)
            status, text = state.reply(asked.form["query"])
            body = text.encode() if isinstance(text, str) else text
            self.send_response(status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(10**6 if state.drip else len(body)))
            self.end_headers()
            while state.drip is not None and not state.drip.wait(0.02):
                self.wfile.write(b" ")
            self.wfile.write(body)

    server = _Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    state.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave, or aren't let in, are what these tests are about."""
