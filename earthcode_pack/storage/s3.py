"""S3: control calls through boto3, bytes through obstore, every payload signed and every object verified.

Measured on Ceph RGW: botocore's default checksums fail there over TLS, and an unsigned payload lets a damaged byte
through. Hence the settings below, which are not options.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.model import Receipt
from earthcode_pack.storage.inputs import BLOCK
from earthcode_pack.storage.stores import Stored, checked_blocks, now
from earthcode_pack.storage.words import code_of, outside, safe_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import S3Store as Objects

    from earthcode_pack.profile.model import StoreSpec

PART = 8 * 2**20  # bytes of a part, and the largest object that is sent in one request
_PARTS = 10_000  # a multipart upload holds no more (S3 API)
_IN_FLIGHT = 32 * 2**20  # bytes of one object on their way at once
_SLOWEST = 50_000  # bytes per second; a request slower than this is given up
_CONNECT = 10  # s
_RETRIES = 6  # of a put, with jitter and exponential waits
_ATTEMPTS = 4  # of a control call: some five seconds


class Engine(Protocol):
    """Sends the parts of one object; visible only when all are there. Gives the ETag, where the answer holds it."""

    def __call__(self, key: str, parts: Iterator[bytes], *, single: bool, headers: dict[str, str]) -> str | None: ...


class S3Store:
    """A bucket and prefix. Credentials come from the environment and the AWS files alone."""

    def __init__(self, spec: StoreSpec) -> None:
        assert spec.href is not None
        bucket, _, prefix = spec.href.removeprefix("s3://").partition("/")
        self._bucket, self._prefix = bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        if not bucket:
            raise UserError(f"store.href: {spec.href} names no bucket", "write s3://bucket/prefix")
        self._ca = _ca_bundle(spec)
        with outside(spec.href):
            self._session = _session(spec)
            self._client = _client(self._session, spec, self._ca)
        self._engines: dict[int, Engine] = {}

    def __repr__(self) -> str:
        return f"S3Store({self.href('')})"

    def put(self, local: Path, key: str, *, sha256: str, media_type: str) -> Receipt:
        """As ``Store.put``. The server refuses what differs from the signed hash; then the ETag, or HEAD, is compared.

        ``x-amz-meta-sha256`` carries the sha256.
        """
        name = self._name(key)
        size = local.stat().st_size if local.is_file() else 0
        part = part_size(size)
        md5s: list[bytes] = []
        parts = checked_blocks(local, sha256, part, md5s)
        headers = {"Content-Type": media_type, "sha256": sha256}
        with outside(self.href(key)):
            etag = self._engine(part)(name, parts, single=size <= part, headers=headers)
        expected = etag_of(md5s)
        if (etag or "").strip('"') != expected:
            self._confirm(Stored(key=key, size=size, sha256=sha256, etag=expected))
        return Receipt(key=key, size=size, sha256=sha256, etag=expected, verified_at=now())

    def head(self, key: str) -> Stored | None:
        """As ``Reader.head``; the sha256 is the one stated when the object was put."""
        answer = self._ask(self._client.head_object, key)
        if answer is None:
            return None
        stated = answer.get("Metadata", {}).get("sha256")
        return Stored(key=key, size=answer["ContentLength"], sha256=stated, etag=answer["ETag"].strip('"'))

    def read(self, key: str) -> bytes | None:
        """As ``Reader.read``."""
        answer = self._ask(self._client.get_object, key)
        if answer is None:
            return None
        with outside(self.href(key)), closing(answer["Body"]) as body:
            return bytes(body.read())

    def sha256(self, key: str) -> str | None:
        """As ``Reader.sha256``."""
        answer = self._ask(self._client.get_object, key)
        if answer is None:
            return None
        digest = hashlib.sha256()
        with outside(self.href(key)), closing(answer["Body"]) as body:
            for block in body.iter_chunks(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def keys(self, folder: str = "") -> Iterator[str]:
        """As ``Reader.keys``."""
        pages = self._client.get_paginator("list_objects_v2")
        with outside(self.href("")):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + folder):
                yield from (entry["Key"].removeprefix(self._prefix) for entry in page.get("Contents", ()))

    def href(self, key: str) -> str:
        """``s3://bucket/prefix/key``."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _name(self, key: str) -> str:
        return self._prefix + safe_key(key)

    def _ask(self, call: Any, key: str) -> Any:
        with outside(self.href(key)):
            try:
                return call(Bucket=self._bucket, Key=self._name(key))
            except Exception as error:
                if code_of(error) in ("NoSuchKey", "404", "NotFound"):
                    return None
                raise

    def _confirm(self, sent: Stored) -> None:
        """HEAD; where the ETag is not made of md5s, as under some encryption, the bytes are read back."""
        found = self.head(sent.key)
        if found is None or (found.size, found.sha256) != (sent.size, sent.sha256):
            raise OutsideError(f"{self.href(sent.key)}: what is stored differs from what was sent", "run again")
        if found.etag != sent.etag and self.sha256(sent.key) != sent.sha256:
            raise OutsideError(f"{self.href(sent.key)}: the stored bytes differ from those sent", "run again")

    def _engine(self, part: int) -> Engine:
        if part not in self._engines:
            self._engines[part] = self._new_engine(part)
        return self._engines[part]

    def _new_engine(self, part: int) -> Engine:
        """obstore; boto3 where the server shows a self-signed CA as its own certificate, which only OpenSSL takes."""
        engine = _Obstore(self._client.meta, self._session, self._bucket, part, self._ca)
        own_authority = self._ca and self._client.meta.endpoint_url.startswith("https:")
        return _Boto3(self._client, self._bucket) if own_authority and engine.refuses_certificate() else engine


def part_size(size: int) -> int:
    """Bytes of each part of an object of ``size`` bytes: 8 MiB, or as many MiB as keep it within 10,000 parts.

    >>> part_size(0), part_size(10**12) // 2**20
    (8388608, 96)
    """
    return max(PART, -(-size // _PARTS // 2**20) * 2**20)


def etag_of(md5s: list[bytes]) -> str:
    """The ETag of an object sent in these parts: the md5 of its bytes, or md5(md5s)-N of a multipart upload.

    >>> etag_of([])
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    if len(md5s) > 1:
        return f"{hashlib.md5(b''.join(md5s), usedforsecurity=False).hexdigest()}-{len(md5s)}"
    return (md5s[0] if md5s else hashlib.md5(b"", usedforsecurity=False).digest()).hex()


class _Obstore:
    """The fast engine. It signs every payload, and aborts a multipart upload whose parts raise."""

    def __init__(self, meta: Any, session: Any, bucket: str, part: int, ca: str | None) -> None:
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - heavy

        timeout = max(120, part / _SLOWEST)  # of a whole request, body included
        client: dict[str, Any] = {
            "timeout": timedelta(seconds=timeout),
            "connect_timeout": timedelta(seconds=_CONNECT),
            "allow_http": meta.endpoint_url.startswith("http:"),
        }
        if ca:
            client["root_certificate"] = Path(ca).read_bytes()
        self._part = part
        self._options: dict[str, Any] = {
            "endpoint": meta.endpoint_url,
            "region": meta.region_name,
            "virtual_hosted_style_request": False,
            "unsigned_payload": False,
            "skip_signature": False,
            "credential_provider": Boto3CredentialProvider(session),
            "client_options": client,
        }
        self._bucket = bucket
        self._objects = self._open(_RETRIES)

    def _open(self, retries: int) -> Objects:
        from obstore.store import S3Store as Objects  # noqa: PLC0415

        return Objects(self._bucket, **self._options, retry_config={"max_retries": retries})

    def refuses_certificate(self) -> bool:
        """Whether the server's certificate, though trusted, is one that rustls never takes (CaUsedAsEndEntity)."""
        import obstore  # noqa: PLC0415

        try:
            obstore.head(self._open(0), "-")
        except Exception as error:  # noqa: BLE001 - any other failure is told by the first put
            return "CaUsedAsEndEntity" in str(error)
        return False

    def __call__(self, key: str, parts: Iterator[bytes], *, single: bool, headers: dict[str, str]) -> str | None:
        import obstore  # noqa: PLC0415

        answer = obstore.put(
            self._objects,
            key,
            b"".join(parts) if single else parts,
            attributes=headers,
            use_multipart=not single,
            chunk_size=self._part,
            max_concurrency=max(1, _IN_FLIGHT // self._part),
        )
        return answer["e_tag"]


class _Boto3:
    """The patient engine: one part after the other."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def __call__(self, key: str, parts: Iterator[bytes], *, single: bool, headers: dict[str, str]) -> str | None:
        place = {"Bucket": self._bucket, "Key": key}
        told = {"ContentType": headers["Content-Type"], "Metadata": {"sha256": headers["sha256"]}}
        if single:
            return str(self._client.put_object(**place, **told, Body=b"".join(parts))["ETag"])
        upload = place | {"UploadId": self._client.create_multipart_upload(**place, **told)["UploadId"]}
        try:
            sent = [
                {"PartNumber": n, "ETag": self._client.upload_part(**upload, PartNumber=n, Body=part)["ETag"]}
                for n, part in enumerate(parts, 1)
            ]
            return str(self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})["ETag"])
        except BaseException:
            self._client.abort_multipart_upload(**upload)
            raise


def _ca_bundle(spec: StoreSpec) -> str | None:
    """The file of trusted authorities, where one is set; the AWS tools know the same variables."""
    bundle = spec.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or None
    if bundle and not Path(bundle).is_file():
        raise UserError(f"store.ca_bundle: {bundle}: no such file", "name a file of PEM certificates")
    return bundle


def _session(spec: StoreSpec) -> Any:
    import boto3  # noqa: PLC0415 - heavy
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    try:
        session = boto3.Session(profile_name=spec.profile)
    except ProfileNotFound:
        name = spec.profile or os.environ.get("AWS_PROFILE")
        raise OutsideError(f"the AWS files have no profile {name}", "correct store.profile or AWS_PROFILE") from None
    if session.get_credentials() is None:
        raise OutsideError(
            f"{spec.href}: there are no credentials for the storage",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or name store.profile",
        )
    return session


def _client(session: Any, spec: StoreSpec, ca: str | None) -> Any:
    """boto3's client; it also knows the endpoint, from the profile, the environment or the AWS files."""
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path", "payload_signing_enabled": True},
        retries={"mode": "standard", "max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT,
        read_timeout=30,
        max_pool_connections=16,
    )
    region = spec.region or session.region_name or os.environ.get("AWS_REGION") or "us-east-1"
    return session.client("s3", endpoint_url=spec.endpoint_url, region_name=region, verify=ca, config=config)
