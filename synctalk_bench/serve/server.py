"""The server: loopback only, one folder, whole files and ranges of them, and answers where a folder takes them."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import fsencode
from pathlib import Path
from socketserver import TCPServer
from types import MappingProxyType
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from synctalk_bench.errors import ConfigError, NewerSchema, StoreError
from synctalk_bench.serve.files import PAGES, content_type, find, listing, part_of
from synctalk_bench.serve.handin import save_answers
from synctalk_bench.study.answers import MOST_BYTES

HOST: Final = "127.0.0.1"
HAND_IN: Final = "/answers"
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
# A page elsewhere that points its own name at this computer (DNS rebinding) still sends that name.
_OWN_NAME = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")
_BLOCK = 1 << 16


class Server(ThreadingHTTPServer):
    """Serves ``root`` on 127.0.0.1.

    Args:
        root: the folder.
        port: 0 lets the system choose one.
        answers: where the answers of the study ``study`` are put; None takes none.
        say: is told what was handed in.

    Raises:
        ConfigError: the port is taken or not allowed.
    """

    daemon_threads = True
    # A second server on a port in use must be told so, not share it.
    allow_reuse_port = False

    def __init__(
        self,
        root: Path,
        port: int = 0,
        *,
        answers: Path | None = None,
        study: str = "",
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.root, self.answers, self.study, self.say = root.resolve(), answers, study, say
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            number = getattr(error, "errno", None)
            problem = "is taken" if number == errno.EADDRINUSE else f"cannot be used: {error}"
            raise ConfigError(
                f"port {port} {problem}", hint="--port 0 lets the system choose a free one", where="--port"
            ) from error

    def server_bind(self) -> None:
        """Bind without asking a name server what this computer is called, which can take long without a network."""
        TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        """Where the folder is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet when a browser hangs up in the middle of a film, as it does at every seek."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "synctalk-bench", ""
    timeout = 60  # seconds that a silent connection is held

    def do_GET(self) -> None:
        self._get(body=True)

    def do_HEAD(self) -> None:
        self._get(body=False)

    def do_POST(self) -> None:
        # What is refused is not read, so the connection cannot be used for another request.
        self.close_connection = True
        if not self._own_name():
            return
        folder = self.server.answers
        if self.path != HAND_IN or folder is None:
            self._say(HTTPStatus.NOT_FOUND, "no answers are taken here: synctalk-bench serve STUDY --answers FOLDER")
            return
        # Another site's page may send here without reading the reply, but neither with this origin nor this type.
        if self.headers.get("Origin") != f"http://{self.headers.get('Host')}":
            self._say(HTTPStatus.FORBIDDEN, "answers are taken from this study's own page only")
            return
        if self.headers.get_content_type() != "application/json":
            self._say(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers are JSON")
            return
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,9}", length) or "Transfer-Encoding" in self.headers:
            self._say(HTTPStatus.LENGTH_REQUIRED, "the length of the answers is not given")
            return
        if int(length) > MOST_BYTES:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"answers have {MOST_BYTES} bytes at most")
            return
        content = self.rfile.read(int(length))
        if len(content) < int(length):
            return
        try:
            saved = save_answers(content, self.server.study, folder)
        except (ConfigError, NewerSchema) as error:
            self._say(HTTPStatus.BAD_REQUEST, error.message)
        except StoreError as error:
            self.server.say(f"answers could not be written: {error}")
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, "the answers could not be written")
        else:
            self.server.say(f"answers: {saved}")
            self._send(HTTPStatus.CREATED, json.dumps({"saved": saved.name}).encode(), "application/json")

    def _own_name(self) -> bool:
        """Return whether the request names this computer as its host; others are answered here."""
        names = self.headers.get_all("Host") or []
        if len(names) == 1 and _OWN_NAME.fullmatch(names[0]):
            return True
        self._say(HTTPStatus.FORBIDDEN, f"this server is {self.server.url} and answers to no other name")
        return False

    def _get(self, *, body: bool) -> None:
        if not self._own_name():
            return
        path = find(self.server.root, self.path)
        if path is None:
            self._say(HTTPStatus.NOT_FOUND, "there is no such file here", body=body)
            return
        if path.is_dir():
            place = self.path.partition("?")[0]
            if not place.endswith("/"):  # relative links of the page would miss the folder's name
                inside = quote(fsencode(path.relative_to(self.server.root)))
                self._send(HTTPStatus.MOVED_PERMANENTLY, b"", "text/plain", body=body, more={"Location": f"/{inside}/"})
                return
            page = next((path / name for name in PAGES if find(self.server.root, f"{place}{name}")), None)
            if page is None:
                text = listing(self.server.root, path)
                self._send(HTTPStatus.OK, text.encode(), "text/html; charset=utf-8", body=body)
                return
            path = page
        try:
            stream = path.open("rb")
        except OSError:
            self._say(HTTPStatus.NOT_FOUND, "there is no such file here", body=body)
            return
        with stream:
            self._file(path, stream, body=body)

    def _file(self, path: Path, stream: BinaryIO, *, body: bool) -> None:
        size = stream.seek(0, 2)
        try:
            part = part_of(self.headers.get("Range") if body else None, size)
        except ValueError:
            asked = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            self._send(asked, b"", "text/plain", more={"Content-Range": f"bytes */{size}"})
            return
        first, stop = (0, size) if part is None else (part.first, part.stop)
        self.send_response(HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT)
        if part is not None:
            self.send_header("Content-Range", f"bytes {first}-{stop - 1}/{size}")
        self._headers(content_type(path), stop - first)
        if not body:
            return
        stream.seek(first)
        left = stop - first
        while left and (block := stream.read(min(_BLOCK, left))):
            self.wfile.write(block)
            left -= len(block)
        self.close_connection = self.close_connection or left > 0  # the file shrank: the reply cannot be completed

    def _say(self, status: HTTPStatus, text: str, *, body: bool = True) -> None:
        self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8", body=body)

    def _send(
        self, status: HTTPStatus, content: bytes, kind: str, *, body: bool = True, more: Mapping[str, str] = _NONE
    ) -> None:
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self._headers(kind, len(content))
        if body:
            self.wfile.write(content)

    def _headers(self, kind: str, length: int) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of each request."""
