"""boto3's clients, kept: to make one takes longer than most tests."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def client(endpoint: str, access: str, secret: str) -> Any:
    """One for each server and user, whatever the environment says."""
    import boto3

    keys = {"aws_access_key_id": access, "aws_secret_access_key": secret, "region_name": "us-east-1"}
    return boto3.Session().client("s3", endpoint_url=endpoint, **keys)
