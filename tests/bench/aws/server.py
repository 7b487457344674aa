"""HTTP/1.1 on the loopback interface, with connections that are kept open and can be cut off."""

import json
import select
import socket
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .admin import PREFIX, Admin
from .engine import Engine
from .redshift_data import running
from .state import now
from .wire import Answer

_REASONS = {status.value: status.phrase for status in HTTPStatus}

# Which have no length either.
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Handler(BaseHTTPRequestHandler):
    """One connection: requests one after the other."""

    protocol_version = "HTTP/1.1"
    # Without this each answer on a kept connection waits for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    server: "Server"

    def do_POST(self) -> None:
        """An API request, or one to the bench itself."""
        body = self._body()
        if self.path.startswith(PREFIX):
            self._send(self._administer(body))
            return
        answer = self.server.engine.handle(self.command, self.path, self.headers, body, self._caller_is_gone)
        if answer is None:
            self._cut_off()
        else:
            self._send(answer)

    do_GET = do_POST
    do_HEAD = do_POST
    do_PUT = do_POST
    do_DELETE = do_POST

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _administer(self, body: bytes) -> Answer:
        url = urlsplit(self.path)
        try:
            status, result = self.server.admin.handle(
                self.command, url.path.removeprefix(PREFIX), json.loads(body or b"{}"), dict(parse_qsl(url.query))
            )
        except (ValueError, KeyError, TypeError) as error:
            status, result = 400, {"error": f"{type(error).__name__}: {error}"}
        text = json.dumps(result, default=str, sort_keys=True)
        return Answer(status, {"Content-Type": "application/json"}, text.encode())

    def _send(self, answer: Answer) -> None:
        lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if "Content-Length" not in answer.headers and answer.status not in _BODILESS:
            lines.append(f"Content-Length: {len(answer.body)}")
        lines += [f"Date: {self.date_time_string(now())}", "", ""]
        body = b"" if self.command == "HEAD" or answer.status in _BODILESS else answer.body
        try:
            # One write: a second small one could wait for the acknowledgement of the first.
            self.wfile.write("\r\n".join(lines).encode() + body)
        except OSError:
            self.close_connection = True

    def _cut_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _caller_is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def log_message(self, *_: Any) -> None:
        """Nothing: the record of calls is the log."""


class Server(ThreadingHTTPServer):
    """The local AWS."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.engine = Engine()
        self.admin = Admin(self.engine)
        running.use(self.engine)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports faults of ours; a client that goes away in the middle is none."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"
