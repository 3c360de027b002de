"""The stage-in bucket: files under ``<item id>/<name>``, so that two Items may each have a ``data.tif``."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path  # noqa: TC003 - of a NamedTuple
from typing import TYPE_CHECKING, Any, NamedTuple

from earthcode_pack.catalogs.prr.gateway import product_key
from earthcode_pack.errors import OutsideError
from earthcode_pack.execution.waiting import seconds_of
from earthcode_pack.storage.concurrency import each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack import storage
    from earthcode_pack.bundle import Bundle
    from earthcode_pack.catalogs.prr.settings import Account, Prr

logger = logging.getLogger("earthcode_pack")

LARGEST = 5 * 2**30  # bytes of an object that is put in one request (S3 API)
_REMEDIES = {
    "store.endpoint_url": "check store.prr.s3_endpoint and the network, and run again: it resumes",
    "store.href": "correct store.prr.bucket",
    "the href": "correct store.prr.bucket",
    "credentials": "correct RAPI_USERNAME and RAPI_PASSWORD, and store.prr.bucket",
    "AWS_": "correct RAPI_USERNAME and RAPI_PASSWORD, and store.prr.bucket",
}


class Staged(NamedTuple):
    """A file of the product to stage: ``product_key`` is its key in the bundle, ``key`` the one in the bucket."""

    product_key: str
    local: Path
    key: str
    size: int
    sha256: str  # hex
    media_type: str


class Files:
    """The files of the assets of a bundle's Items."""

    def __init__(self, bundle: Bundle, public: str | None) -> None:
        self._product, self._public = bundle.product, public
        self._entries = {entry.key: entry for entry in bundle.manifest()}

    def of(self, item: dict[str, Any], staged: dict[str, Any]) -> Iterator[Staged]:
        """Yields the files of an Item, given in the product's form and in the gateway's; remote assets have none."""
        posted = staged["assets"]
        for name, asset in item["assets"].items():
            key = product_key(item, asset["href"], self._public)
            entry = self._entries.get(key)
            if entry is not None:
                yield Staged(
                    product_key=key,
                    local=self._product / key,
                    key=posted[name]["href"],
                    size=entry.size,
                    sha256=entry.sha256.removeprefix("1220"),
                    media_type=asset.get("type") or entry.media_type,
                )


class Staging:
    """The bucket, which this client fills and the gateway empties.

    Args:
        whole: the bucket as a store that sends each file in one request.
        parts: the bucket as a store that sends large files in parts, where that is wanted.

    """

    def __init__(self, whole: storage.Store, parts: storage.Store | None = None) -> None:
        self._store, self._parts = whole, parts

    def fill(self, files: Iterable[Staged]) -> None:
        """Puts the files that are not there with their size and sha256. Raises ``OutsideError`` where that fails."""
        each(self._put, files, self._store.max_concurrency)

    def sweep(self, files: Iterable[Staged]) -> None:
        """Removes files that the archive has already: of two attempts the gateway took one."""
        with _worded():
            left = [file.key for file in files if self._holds(file)]
            if left:
                self._store.delete(left)

    def _put(self, file: Staged) -> None:
        with _worded():
            if not self._holds(file) and not self._put_in_parts(file):
                self._store.put(file.local, file.key, sha256=file.sha256, media_type=file.media_type)

    def _put_in_parts(self, file: Staged) -> bool:
        """Puts a file in parts; tells if the storage did that: the PRR's has refused them (400 InvalidRequest)."""
        if self._parts is None:
            return False
        try:
            self._parts.put(file.local, file.key, sha256=file.sha256, media_type=file.media_type)
        except OutsideError as error:
            is_refused = getattr(error.__context__, "status", None) in (400, 405, 501)  # the request, not this file
            if not is_refused or file.size > LARGEST:
                raise
            logger.warning("the stage-in storage refuses multipart uploads: files go there in one request each")
            self._parts = None
            return False
        return True

    def _holds(self, file: Staged) -> bool:
        found = self._store.head(file.key)
        return found is not None and (found.size, found.sha256) == (file.size, file.sha256)


@contextmanager
def _worded() -> Iterator[None]:
    """Rewrites remedies of the storage, which name settings of ``store.href``, with those of the PRR."""
    try:
        yield
    except OutsideError as error:
        remedy = next((other for setting, other in _REMEDIES.items() if setting in error.remedy), error.remedy)
        raise OutsideError(error.message, remedy) from None


def open_staging(prr: Prr, account: Account) -> Staging:
    """Opens the user's stage-in bucket, with the user's name and password as S3 keys.

    Files go there in one request each; with ``store.prr.part_size`` larger ones in parts of that size.
    """
    from earthcode_pack.storage.credentials import Keys  # noqa: PLC0415
    from earthcode_pack.storage.s3 import S3Store, Settings  # noqa: PLC0415 - heavy

    spec = prr.storage.model_copy(update={"href": f"s3://{prr.bucket or account.bucket}"})
    keys = Keys(account.user, account.password)
    patient = Settings.within(seconds_of(spec.wait))
    whole = S3Store(spec, keys=keys, settings=replace(patient, large=LARGEST))
    if prr.spec.part_size is None:
        return Staging(whole)
    from dask.utils import parse_bytes  # noqa: PLC0415 - a quarter of a second

    size = int(parse_bytes(prr.spec.part_size))
    return Staging(whole, S3Store(spec, keys=keys, settings=replace(patient, large=size, part=size)))
