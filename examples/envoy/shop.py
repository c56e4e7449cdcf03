"""A service to roll out: `python3 shop.py PORT VERSION [SHARE]`; it answers a share of its requests with 500."""

import random
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

port, version = int(sys.argv[1]), sys.argv[2]
share = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        failed = self.path != "/health" and random.random() < share
        body = f"{version}\n".encode()
        self.send_response(500 if failed else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that left before its answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


Server(("127.0.0.1", port), Shop).serve_forever()
