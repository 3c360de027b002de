"""Credentials for S3 from blocks of Prefect, in force for one run of a flow, in its own process and context.

A parameter names the block; its content is written to no parameter, environment, log or artifact.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from pydantic import Field, SecretStr

from earthcode_pack.errors import UserError
from earthcode_pack.storage.credentials import EVERYWHERE, Grant, Keys, in_force

_OURS = "s3-keys"


class S3Keys(Block):
    """Keys of S3 storage for the flows of earthcode-pack."""

    _block_type_name = "S3 keys"
    _block_type_slug = _OURS
    _description = "Keys of S3 storage, and where it is. The flows of earthcode-pack take them by the block's name."

    access_key_id: SecretStr = Field(description="The access key")
    secret_access_key: SecretStr = Field(description="The secret key")
    session_token: SecretStr | None = Field(default=None, description="Of temporary keys")
    endpoint_url: str | None = Field(default=None, description="Of storage that is not Amazon's")
    region: str | None = Field(default=None, description="The region, where the storage has some")


@contextmanager
def keys_in_force(credentials: dict[str, str] | str | None) -> Iterator[None]:
    """Uses the keys of a block for S3 inside the context; of several blocks, each for what is below its URL.

    A block is named ``<type>/<name>``, or by its name alone where it is of type ``s3-keys``. AWS and MinIO credentials
    of prefect-aws are taken as well, without that package. Raises ``UserError`` where there is no such block, or no
    keys in it.
    """
    blocks = {EVERYWHERE: credentials} if isinstance(credentials, str) else credentials or {}
    with in_force({_place(href): _grant(block) for href, block in blocks.items()}):
        yield


def _place(href: str) -> str:
    if not href.startswith(EVERYWHERE):
        raise UserError(f"credentials: {href} is no place on S3", "name s3://bucket or s3://bucket/prefix")
    return href


def _grant(block: str) -> Grant:
    kind, _, name = block.rpartition("/")
    found = _known(_held(kind or _OURS, name, block))
    if not found.get("access") or not found.get("secret"):
        raise UserError(
            f"credentials: the block {block} holds no keys",
            f"name a block of type {_OURS}, aws-credentials or minio-credentials that holds an access key and a secret",
        )
    keys = Keys(found["access"], found["secret"], found.get("token"))
    return Grant(keys, found.get("endpoint"), found.get("region"))


def _held(kind: str, name: str, block: str) -> dict[str, Any]:
    """Reads the content of a block from its document, which needs no package of its class."""
    try:
        with get_client(sync_client=True) as client:
            return client.read_block_document_by_name(name, kind, include_secrets=True).data
    except ObjectNotFound:
        raise UserError(
            f"credentials: there is no block {kind}/{name}", f"make it in Prefect, or correct the name {block}"
        ) from None


_NAMES = {
    "access": ("access_key_id", "aws_access_key_id", "minio_root_user"),
    "secret": ("secret_access_key", "aws_secret_access_key", "minio_root_password"),
    "token": ("session_token", "aws_session_token"),
    "endpoint": ("endpoint_url",),
    "region": ("region", "region_name"),
}


def _known(data: Mapping[str, Any]) -> dict[str, str]:
    """Picks keys, endpoint and region by any of their names; prefect-aws has endpoints among client parameters."""
    flat = {**(data.get("aws_client_parameters") or {}), **data}
    found = {what: next((flat[n] for n in names if flat.get(n)), None) for what, names in _NAMES.items()}
    return {what: str(value) for what, value in found.items() if value is not None}
