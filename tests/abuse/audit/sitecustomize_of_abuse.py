"""Writes each address that Python connects to into the file ``ABUSE_SOCKETS``."""

import os
import sys

_LOG = os.environ.get("ABUSE_SOCKETS")


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        with open(_LOG, "a") as log:  # noqa: PTH123 - no import in a hook  # type: ignore[arg-type]
            log.write(f"{arguments[1][0]}\n")


if _LOG:
    sys.addaudithook(_note)
