"""ASGI apps on a free port of this machine, in a thread."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from clockless import LONG, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def served(app: Any, certificate: Path | None = None) -> Iterator[str]:
    """The URL of a server of ``app``; over TLS with a PEM file that holds certificate and key."""
    tls = {"ssl_certfile": str(certificate)} if certificate else {}
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", ws="none", log_config=None, log_level="critical", **tls
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "a server that has started")
    assert server.started, "the server did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(LONG)
