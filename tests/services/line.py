"""The line between a client and a server: requests are counted, dropped, answered early, or their answers lost."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable  # noqa: TC003 - of a dataclass
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Line:
    """``seen`` is every request that arrived, as ``"GET /path"``, dropped ones included."""

    seen: list[str] = field(default_factory=list)
    through: int | None = None  # requests that still get through; after them the line is dead
    lost: list[str] = field(
        default_factory=list
    )  # patterns of requests that are done, and whose answer is lost: each once
    early: list[tuple[str, int]] = field(
        default_factory=list
    )  # patterns and statuses that are answered instead: each once
    watch: Callable[[int, str], None] = lambda _number, _request: None  # called before each request, with its number
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def meet(self, method: str, path: str) -> str | int:
        """What becomes of a request: ``serve``, ``drop``, ``lose``, or a status."""
        request = f"{method} {path}"
        with self._lock:
            self.seen.append(request)
            number = len(self.seen)
        self.watch(number, request)
        with self._lock:
            if self.through is not None:
                self.through -= 1
                if self.through < 0:
                    return "drop"
            if any(self._once(self.lost, pattern, request) for pattern in list(self.lost)):
                return "lose"
            for rule in list(self.early):
                if re.search(rule[0], request):
                    self.early.remove(rule)
                    return rule[1]
        return "serve"

    @staticmethod
    def _once(patterns: list[str], pattern: str, request: str) -> bool:
        if not re.search(pattern, request):
            return False
        patterns.remove(pattern)
        return True

    def renew(self) -> None:
        """As new."""
        self.mend()
        self.seen.clear()
        self.watch = lambda _number, _request: None

    def mend(self) -> None:
        """Everything gets through again."""
        self.through = None
        self.lost.clear()
        self.early.clear()

    def count(self, pattern: str) -> int:
        """How many requests arrived that look like this."""
        return sum(bool(re.search(pattern, request)) for request in self.seen)

    def asgi(self, app: Any) -> Any:
        """An ASGI app behind this line (uvicorn's; it lets go of the connection as a dying server does)."""

        async def behind(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            fate = self.meet(scope["method"], scope["path"])
            if fate == "serve":
                await app(scope, receive, send)
            elif isinstance(fate, int):
                headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": fate, "headers": headers})
                await send({"type": "http.response.body"})
            else:
                if fate == "lose":
                    await app(scope, receive, _nowhere)
                send.__self__.transport.abort()

        return behind

    def wsgi(self, app: Any) -> Any:
        """A WSGI app behind this line (werkzeug's)."""

        def behind(environ: Any, start: Any) -> Any:
            fate = self.meet(environ["REQUEST_METHOD"], environ["PATH_INFO"])
            if fate == "serve":
                return app(environ, start)
            if isinstance(fate, int):
                start(f"{fate} Early", [("Content-Length", "0"), ("Connection", "close")])  # its body was not read
                return [b""]
            if fate == "lose":
                list(app(environ, lambda *_: None))
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            start("500 Gone", [("Content-Length", "0")])
            return [b""]

        return behind


async def _nowhere(_message: Any) -> None:
    """Where lost answers go."""
