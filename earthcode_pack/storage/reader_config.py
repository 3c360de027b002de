"""Paths and settings with which GDAL and zarr read what lies in a store, with its credentials."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage.connection import GDAL_OPTIONS, Timeouts, botocore_options
from earthcode_pack.storage.error_messages import safe_key
from earthcode_pack.storage.inputs import filesystem, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReaderConfig:
    """A folder as GDAL and zarr read it: a path, s3:// with the settings of a profile or the environment, or a URL."""

    def __init__(self, href: str, spec: StoreSpec | None = None) -> None:
        path = local_path(href)
        self._root = (href if path is None else str(path)).rstrip("/")
        self._spec = spec or StoreSpec(href=href)
        self._is_s3 = self._root.startswith("s3://")

    def href(self, key: str) -> str:
        """Returns the path that GDAL, through rasterio, opens."""
        return f"{self._root}/{safe_key(key)}"

    @contextmanager
    def gdal(self) -> Iterator[None]:
        """Has GDAL read S3 with the store's settings."""
        import rasterio  # noqa: PLC0415 - heavy

        with rasterio.Env(**self._gdal_options()):
            yield

    def files(self) -> tuple[Any, str]:
        """An fsspec file system, and the folder's path in it. For S3 it is made anew, without a cache of listings."""
        if not self._is_s3:
            return filesystem(self._root)
        import s3fs  # noqa: PLC0415

        return s3fs.S3FileSystem(**self._s3_options()), self._root.removeprefix("s3://")

    def _gdal_options(self) -> dict[str, Any]:
        if not self._is_s3:
            return GDAL_OPTIONS if "://" in self._root else {}
        from rasterio.session import AWSSession  # noqa: PLC0415

        from earthcode_pack.storage.credentials import access  # noqa: PLC0415

        way = access(self._spec)
        endpoint, keys = urlsplit(way.endpoint), way.keys()
        session = AWSSession(
            aws_access_key_id=keys.access,
            aws_secret_access_key=keys.secret,
            aws_session_token=keys.token,
            region_name=way.region,
            endpoint_url=endpoint.netloc,
        )
        place = {"AWS_HTTPS": "YES" if endpoint.scheme == "https" else "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
        return {"session": session, **GDAL_OPTIONS, **place, **({"GDAL_CURL_CA_BUNDLE": way.ca} if way.ca else {})}

    def _s3_options(self) -> dict[str, Any]:
        from earthcode_pack.storage.credentials import access  # noqa: PLC0415

        way = access(self._spec)
        keys = way.keys()
        return {
            "key": keys.access,
            "secret": keys.secret,
            "token": keys.token,
            "endpoint_url": way.endpoint,
            "client_kwargs": {"region_name": way.region, **({"verify": way.ca} if way.ca else {})},
            "config_kwargs": {**botocore_options(Timeouts()), "s3": {"addressing_style": "path"}},
            "use_listings_cache": False,
            "skip_instance_cache": True,
        }
