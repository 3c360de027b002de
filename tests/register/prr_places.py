"""Where the double of the PRR is, for profiles; and its stage-in storage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.gateway import Gateway
    from services.line import Line

USER, PASSWORD, COLLECTION = "provider", "n0t-to-be-shown", "demo-prr"
BUCKET = f"sg-{USER}-generic"


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
        found = self.client.list_objects_v2(Bucket=bucket).get("Contents", ())
        return [entry["Key"] for entry in found if not entry["Key"].startswith(".earthcode-pack-")]

    def put(self, key: str, content: bytes) -> None:
        """An object that somebody else put there."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)


def place(prr: Gateway, storage: StageIn, **more: Any) -> dict[str, Any]:
    """``store.prr`` of a profile that goes to the double."""
    where = {"api": prr.api, "stac": prr.stac, "s3_endpoint": storage.url}
    return {"collection": COLLECTION, **where, "pause": 0, "patience": 0.3, **more}
