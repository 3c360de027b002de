"""Sizes that the checks judge by, or do not go beyond."""

from earthcode_pack.errors import Unreadable

SMALL = 4_000_000  # bytes: one or two requests fetch it whole
LARGEST_CHUNK = 200_000_000  # bytes, compressed: EarthCODE's upper end
SMALLEST_CHUNK = 1_000_000  # bytes, compressed: below it the requests cost more than the bytes
WIDE = 2048  # rows and columns: a grid of more is not shown on a map without coarser levels
MANY = 1000  # objects
OPENED = 1000  # Items of a product whose data are opened, spread over all, unless everything is asked for
DECODED = 1 << 28  # bytes: a block that would decode to more is not read, for files may claim anything
CHECKSUM = 64_000_000  # bytes: a larger file is hashed only where everything is asked for
NEAR = 0.1  # of a cell: what counts as the same place


def refuse_large_coordinate(name: str, coordinate: str, size: int) -> None:
    """Refuses a coordinate of so many bytes, which opening the file would read: ``Unreadable``."""
    if size > DECODED:
        raise Unreadable(
            f"{name}: the coordinate {coordinate} has {size} bytes, more than {DECODED}", "write it again in parts"
        )
