"""Watches that hold whatever library does the work: a folder that nobody may touch, and a port that nobody may ask."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# <sys/inotify.h>
_READS = 0x1 | 0x20  # IN_ACCESS, IN_OPEN
_WRITES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200  # IN_MODIFY, IN_ATTRIB, IN_MOVED_*, IN_CREATE, IN_DELETE
_EVENT = 16  # bytes of struct inotify_event before the name


class FolderWatch:
    """Notes by inotify what is opened, read or written in a folder; nothing on systems other than Linux."""

    def __init__(self, folder: Path) -> None:
        self._fd = -1
        if sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
                if libc.inotify_add_watch(self._fd, os.fsencode(place), _READS | _WRITES) < 0:
                    raise OSError(ctypes.get_errno(), "inotify_add_watch", str(place))

    def seen(self) -> set[str]:
        """What happened: ``read NAME`` and ``wrote NAME``. Ends the watch."""
        found: set[str] = set()
        while self._fd >= 0 and select.select([self._fd], [], [], 0)[0]:
            data = os.read(self._fd, 65536)
            while data:
                mask, length = int.from_bytes(data[4:8], sys.byteorder), int.from_bytes(data[12:16], sys.byteorder)
                name = os.fsdecode(data[_EVENT : _EVENT + length].rstrip(b"\0")) or "the folder"
                found |= {f"read {name}"} if mask & _READS else set()
                found |= {f"wrote {name}"} if mask & _WRITES else set()
                data = data[_EVENT + length :]
        if self._fd >= 0:
            os.close(self._fd)
        return found


class Listener:
    """A port of this machine that accepts, notes and closes every connection."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.asked += 1
            connection.close()

    def close(self) -> int:
        """Connections that came. Ends the listener; those still in its queue are counted."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        return self.asked
