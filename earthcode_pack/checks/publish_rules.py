"""The rules of what is published in a store, as ``verify`` holds it against its manifest."""

from __future__ import annotations

from earthcode_pack.model import Level
from earthcode_pack.rule import rule

_E, _W, _I = Level.ERROR, Level.WARNING, Level.INFO
_STORE = "contract 4.1, verify"
_AGAIN = "publish the bundle again: what is right is left alone"

# fmt: off
PUB_PRESENT = rule(_E, "PUB-PRESENT", _STORE, "each object of the manifest", "published", _AGAIN)
PUB_SIZE = rule(_E, "PUB-SIZE", _STORE, "size of each object", "the manifest's", _AGAIN)
PUB_CHECKSUM = rule(_E, "PUB-CHECKSUM", _STORE, "sha256 of each object", "the manifest's", _AGAIN)
PUB_OPEN = rule(_E, "PUB-OPEN", f"{_STORE} --read", "data, with GDAL, zarr or h5netcdf where they lie", "open",
    "where its checksum is right, look at the reader's message; else publish the bundle again")
PUB_UNREAD = rule(_I, "PUB-UNREAD", _STORE, "checksums that the storage states", "there", "verify with --read")
PUB_STRAY = rule(_W, "PUB-STRAY", _STORE,
    "objects that the manifest does not name", "none", "remove it if it is not wanted")
