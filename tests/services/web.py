"""A folder behind http on loopback that answers ranges as object stores do, and counts what it gave."""

from __future__ import annotations

import functools
import http.server
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clockless import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator


class Web:
    """Where the folder is served, and how many requests and bytes there were, by path."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: Counter[str] = Counter()
        self.given: Counter[str] = Counter()


class Ranged(http.server.SimpleHTTPRequestHandler):
    """Serves files and ranges of them."""

    web: Web

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool):
        path = self.path.partition("?")[0]
        self.web.requests[path] += 1
        try:
            data = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            return self.send_error(404)
        first, last, asked = 0, len(data) - 1, self.headers.get("Range")
        if asked:
            start, end = asked.removeprefix("bytes=").split("-")
            first, last = int(start or 0), min(int(end or last), last)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        if with_body:
            with suppress(BrokenPipeError, ConnectionResetError):  # who has read enough goes
                for start in range(first, last + 1, 65536):
                    self.wfile.write(data[start : min(start + 65536, last + 1)])
                    self.web.given[path] += min(65536, last + 1 - start)
        return None


@contextmanager
def serving(folder: Path) -> Iterator[Web]:
    """Serves the folder while the block runs."""
    handler = type("Handler", (Ranged,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    handler.web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield handler.web
    finally:
        server.shutdown()
        thread.join(LONG)
        server.server_close()
