"""Raw inputs and published objects: the only place that knows S3.

Reading: ``glob``, ``size``, ``sha256``, ``identify`` and ``fetch`` take a path or any fsspec URL.
Publishing: ``open_store`` gives a ``Store``, on disk or on S3; ``open_reader`` one that can only be read.
Working: ``Folder``, to which runs on several machines put what they make.
"""

import logging

from earthcode_pack.storage.base import (
    Begun,
    Listed,
    Reader,
    Store,
    Stored,
    UrlReader,
    open_reader,
    open_store,
)
from earthcode_pack.storage.concurrency import each
from earthcode_pack.storage.folders import Folder, Remote
from earthcode_pack.storage.identity import IdentityCache, changed, identify, is_unchanged, sha256
from earthcode_pack.storage.inputs import INSTEAD_OF_SIGNED, fetch, glob, is_folder, is_there, size
from earthcode_pack.storage.local import LocalStore

# At level DEBUG they write each request that they sign, with its session token.
for _name in ("botocore", "aiobotocore"):
    logging.getLogger(_name).setLevel(logging.INFO)

__all__ = [
    "INSTEAD_OF_SIGNED",
    "Begun",
    "Folder",
    "IdentityCache",
    "Listed",
    "LocalStore",
    "Reader",
    "Remote",
    "Store",
    "Stored",
    "UrlReader",
    "changed",
    "each",
    "fetch",
    "glob",
    "identify",
    "is_folder",
    "is_there",
    "is_unchanged",
    "open_reader",
    "open_store",
    "sha256",
    "size",
]
