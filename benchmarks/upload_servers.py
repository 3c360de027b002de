"""The servers of the upload benchmark, each a process of its own: a Ceph RGW, and a sink that discards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.measure import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET = "bench"
_RGW = ROOT / "tests" / "services" / "rgw.py"


class Server(NamedTuple):
    """Where it answers, and to whom."""

    endpoint: str
    access: str
    secret: str
    forget: Callable[[], object] = bool  # has what was deleted leave its memory

    def environment(self) -> dict[str, str]:
        """What leads every client there, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        }


@contextmanager
def serving(name: str) -> Iterator[Server]:
    """A server, with an empty bucket, until the end. Raises ``RuntimeError`` where it does not start."""
    command = [sys.executable, str(_RGW)] if name == "rgw" else [sys.executable, "-m", "benchmarks.upload_sink"]
    pipe: Any = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)  # noqa: S603 - ours
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} does not start: {process.communicate()[1][-500:]}")
        server = _told(name, line)
        _make_bucket(server)
        yield server._replace(forget=lambda: _say_and_hear(process))
    finally:
        process.communicate()  # its input ends, and so does RGW
        process.wait()


def _say_and_hear(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline()


def _told(name: str, line: str) -> Server:
    if name == "rgw":
        return Server(**json.loads(line))
    return Server(f"http://127.0.0.1:{int(line)}", "someone", "n0t-to-be-shown")


def _make_bucket(server: Server) -> None:
    import boto3  # noqa: PLC0415 - heavy

    keys = {"aws_access_key_id": server.access, "aws_secret_access_key": server.secret}
    boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
