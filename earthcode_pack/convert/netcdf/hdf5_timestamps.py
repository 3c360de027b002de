"""Zeroes the timestamps of an HDF5 file with paged file space, so that the same input gives the same bytes.

HDF5 stamps the object header of the superblock extension, which holds the page settings, and has no setting against
it. The times are set to zero and the header's checksum is made anew (HDF5 File Format Specification 3.0: II.A
superblock version 3, IV.A.1.b object header version 2; checksums are Jenkins' lookup3).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from numcodecs.checksum32 import JenkinsLookup3

if TYPE_CHECKING:
    from pathlib import Path

_SUPERBLOCK = b"\x89HDF\r\n\x1a\n"
_EXTENSION_AT = 20  # address of the extension in a superblock of version 2 or 3 with eight-byte addresses
_NONE = 2**64 - 1
_HAS_TIMES, _HAS_PHASES = 0x20, 0x10
_TIMES_AT, _TIMES = 6, 16


def zero_timestamps(path: Path) -> None:
    """Sets the times of the superblock extension to zero; a file without them is left as it is.

    Raises ``ValueError`` where the header is not what the specification says.
    """
    with path.open("r+b") as file:
        head = file.read(48)
        (at,) = struct.unpack_from("<Q", head, _EXTENSION_AT)
        if not head.startswith(_SUPERBLOCK) or head[8] not in (2, 3) or at == _NONE:
            return
        file.seek(at)
        header = _without_times(file.read(512))
        file.seek(at)
        file.write(header)


def _without_times(data: bytes) -> bytes:
    """Returns the first chunk of an object header with times of zero and the checksum of that."""
    flags = data[5]
    if data[:4] != b"OHDR" or not flags & _HAS_TIMES:
        return data
    at = _TIMES_AT + _TIMES + (4 if flags & _HAS_PHASES else 0)
    width = 1 << (flags & 3)
    end = at + width + int.from_bytes(data[at : at + width], "little")
    checksum = JenkinsLookup3()
    try:
        checksum.decode(data[: end + 4])
    except RuntimeError as error:
        raise ValueError(
            "the object header of the superblock extension has another checksum than the specification says"
        ) from error
    body: bytes = checksum.encode(data[:_TIMES_AT] + bytes(_TIMES) + data[_TIMES_AT + _TIMES : end])
    return body + data[end + 4 :]
