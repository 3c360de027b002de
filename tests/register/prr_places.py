"""Where the double of the PRR is, for profiles; and its stage-in storage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from services.gateway import OfObjects

if TYPE_CHECKING:
    from services.gateway import Gateway
    from services.line import Line

USER, PASSWORD, COLLECTION = "provider", "n0t-to-be-shown", "demo-prr"
BUCKET = f"sg-{USER}-generic"


class Mounted(OfObjects):
    """A bucket of moto as its gateway has it, from inside: nothing of it goes over the line."""

    def __init__(self, bucket: str = BUCKET) -> None:
        from moto.s3.models import s3_backends

        self._backend, self._bucket = s3_backends["123456789012"]["aws"], bucket

    def renew(self) -> None:
        """An empty bucket."""
        if self._bucket not in self._backend.buckets:
            self._backend.create_bucket(self._bucket, "us-east-1")
        for key in self.keys():
            self._backend.delete_object(self._bucket, key)

    def keys(self, prefix: str = "") -> dict[str, int]:
        """What is there, with sizes."""
        bucket = self._backend.buckets[self._bucket]
        return {key: found.size for key, found in sorted(bucket.keys.items()) if key.startswith(prefix)}

    def put(self, key: str, content: bytes) -> None:
        """An object that somebody else put there."""
        self._backend.put_object(self._bucket, key, content)

    def take(self, key: str) -> bytes:
        """Takes an object out."""
        found: bytes = self._backend.get_object(self._bucket, key).value
        self._backend.delete_object(self._bucket, key)
        return found


@dataclass
class StageIn:
    """An S3 server behind a line; ``whole_only`` refuses multipart uploads as the PRR's storage has done."""

    url: str
    line: Line
    whole_only: bool = False

    @cached_property
    def client(self) -> Any:
        """boto3's client of it."""
        import boto3

        keys = {"aws_access_key_id": USER, "aws_secret_access_key": PASSWORD, "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.url, **keys)

    def keys(self, bucket: str = BUCKET) -> list[str]:
        """What is staged; moto does not refuse what storage is tried with, so that a killed run leaves the trial."""
        return [key for key in Mounted(bucket).keys() if not key.startswith(".earthcode-pack-")]  # noqa: SIM118 - as S3

    def put(self, key: str, content: bytes) -> None:
        """An object that somebody else put there."""
        Mounted().put(key, content)


def place(prr: Gateway, storage: StageIn, **more: Any) -> dict[str, Any]:
    """``store.prr`` of a profile that goes to the double."""
    where = {"api": prr.api, "stac": prr.stac, "s3_endpoint": storage.url}
    return {"collection": COLLECTION, **where, "pause": 0, "patience": 0.3, **more}
