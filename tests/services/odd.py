"""An S3 server with oddities that no real one here has: for what a client must not take for granted.

The standard library's HTTP server; one folder of objects in memory, no signatures looked at.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from clockless import LONG


@dataclass
class Odd:
    """``proves``: refuses payloads that were not signed. ``md5``: ETags are. ``acl``: takes them. ``delay`` in s.

    ``answers`` are given to the next PUTs, an S3 error code each, instead of doing them.
    """

    proves: bool = True
    md5: bool = True
    acl: bool = True
    delay: float = 0
    answers: list[str] = field(default_factory=list)
    objects: dict[str, tuple[bytes, str, str]] = field(default_factory=dict)
    refused: int = 0

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(LONG)
        self._server.server_close()

    def put(self, key: str, data: bytes, headers: dict[str, str]) -> str:
        """What is said: an error code, or nothing."""
        time.sleep(self.delay)
        if not self.acl and "x-amz-acl" in headers:
            return "AccessControlListNotSupported"
        if self.proves and hashlib.sha256(data).hexdigest() != headers["x-amz-content-sha256"]:
            return "XAmzContentSHA256Mismatch"
        if self.answers:
            return self.answers.pop(0)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest() if self.md5 else f"odd-{len(data)}"
        self.objects[key] = data, headers.get("x-amz-meta-sha256", ""), etag
        return ""

    def _handler(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - a method for each method of HTTP
        odd = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing."""

            def _say(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else body)

            def _key(self) -> str:
                return unquote(urlsplit(self.path).path)

            def do_PUT(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                code = odd.put(self._key(), data, {name.lower(): value for name, value in self.headers.items()})
                odd.refused += bool(code)
                if code:
                    self._say(400, f"<Error><Code>{code}</Code></Error>".encode())
                else:
                    self._say(200, ETag=f'"{odd.objects[self._key()][2]}"')

            def do_GET(self) -> None:
                found = odd.objects.get(self._key())
                if found is None:
                    self._say(404, b"<Error><Code>NoSuchKey</Code></Error>")
                else:
                    self._say(200, found[0], ETag=f'"{found[2]}"', x_amz_meta_sha256=found[1])

            do_HEAD = do_GET  # noqa: N815 - the library's name

            def do_DELETE(self) -> None:
                odd.objects.pop(self._key(), None)
                self._say(204)

            def do_POST(self) -> None:
                names = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                for name in re.findall("<Key>(.*?)</Key>", names):
                    odd.objects.pop(f"{self._key().rstrip('/')}/{name}", None)
                self._say(200, b"<DeleteResult/>")

        return Handler
