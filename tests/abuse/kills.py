"""``kill -9`` of the process group at random moments, then the same command again: the same bytes, and nothing left.

    PYTHONPATH=tests KILLS=25 python -m abuse.kills [FORM ...]

``KILLS`` moments (100 by default) of a whole run for each format, which publishes to a folder, and half as many of an
upload to S3 (moto). One line each: ``kill -9: zarr 25 of 25``. The exit code is 1 where any was not as it should be.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abuse.forks import load, spread, start
from abuse.products import FORMS, leftovers, product_of, under_final_names, write_profile
from making import EPOCH, every_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEYS = {
    "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/no-file", "AWS_SHARED_CREDENTIALS_FILE": "/no-file",
    "EARTHCODE_PACK_OFFLINE": "1", "SOURCE_DATE_EPOCH": EPOCH,
}  # fmt: skip


def main(chosen: list[str]) -> int:
    """Prints a line for each format and one for uploads."""
    load()
    number, ok = int(os.environ.get("KILLS", "100")), True
    for form in FORMS:
        if not chosen or form in chosen:
            with tempfile.TemporaryDirectory(prefix="kills-") as folder:
                ok &= spread("kill -9", form, number, _Runs(Path(folder), form).killed)
    if not chosen or "upload" in chosen:
        with tempfile.TemporaryDirectory(prefix="kills-") as folder, s3() as endpoint:
            ok &= spread("kill -9", "upload", number // 2, _Uploads(Path(folder), endpoint).killed)
    return int(not ok)


class _Runs:
    """Whole runs of a product, which publish to a folder."""

    def __init__(self, folder: Path, form: str) -> None:
        self.folder, self.form = folder, form
        self.profile = write_profile(folder, form)
        seconds = []
        for _ in range(3):
            self._forget()
            code, taken = self._start().wait()
            assert code == 0, (folder / "log").read_text()
            seconds.append(taken)
        self.seconds = sorted(seconds)[1]
        self.expected = every_file(product_of(folder / "work"))

    def _forget(self) -> None:
        for name in ("work", "published"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _start(self) -> Any:
        arguments = ["run", str(self.profile), "--workdir", str(self.folder / "work")]
        return start(arguments, self.folder / "log", _KEYS)

    def killed(self, share: float) -> list[str]:
        """What is wrong after a kill at this share of the time, and after the same command again."""
        self._forget()
        run = self._start()
        time.sleep(share * self.seconds)
        run.kill()
        run.wait()
        problems = [*self._half_written(), *self._published_too_early()]
        code, _ = self._start().wait()
        return problems + self._unlike(code)

    def _half_written(self) -> list[str]:
        """Data under a final name is whole; of documents a later one may be there."""
        made = under_final_names(product_of(self.folder / "work") / "data")
        return [f"half-written: data/{key}" for key in made if made[key] != self.expected[f"data/{key}"]]

    def _published_too_early(self) -> list[str]:
        there = under_final_names(self.folder / "published" / "demo" / "v1.0")
        wrong = [f"published half-written: {key}" for key in there if there[key] != self.expected.get(key)]
        if "collection.json" in there and there.keys() != self.expected.keys():
            wrong.append("the Collection was published before the rest")
        return wrong

    def _unlike(self, code: int) -> list[str]:
        work, published = self.folder / "work", self.folder / "published"
        wrong = [] if code == 0 else [f"the next run ended with {code}: {(self.folder / 'log').read_text()[-500:]}"]
        wrong += [] if every_file(product_of(work)) == self.expected else ["another product"]
        wrong += [] if every_file(published / "demo" / "v1.0") == self.expected else ["another publication"]
        return wrong + [f"left over: {path}" for path in leftovers(work, published)]


class _Uploads:
    """``publish`` of a prepared bundle to S3, to another prefix each time."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        import boto3

        self.folder, self.number = folder, 0
        self.environment = _KEYS | {"AWS_ENDPOINT_URL": endpoint}
        keys = {"aws_access_key_id": "someone", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        self.client = boto3.client("s3", endpoint_url=endpoint, **keys)
        self.client.create_bucket(Bucket="kills")
        chunks = {"chunks": {"time": 10, "lat": 50, "lon": 40}}
        profile = write_profile(folder, "zarr", store__href="s3://kills/PREFIX", target__zarr=chunks)
        arguments = ["run", str(profile), "--prepare-only", "--workdir", str(folder / "prepared")]
        code, _ = start(arguments, folder / "log", self.environment).wait()
        assert code == 0, (folder / "log").read_text()
        self.expected = every_file(product_of(folder / "prepared"))
        self._copy()
        code, self.seconds = self._start().wait()
        assert code == 0, (folder / "log").read_text()

    def _copy(self) -> None:
        """The bundle as it was prepared, for a prefix of its own."""
        self.number += 1
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        shutil.copytree(self.folder / "prepared", self.folder / "work")
        profile = self.folder / "work" / "demo" / "v1.0" / "profile.yaml"
        profile.write_text(profile.read_text().replace("s3://kills/PREFIX", f"s3://kills/{self.number}"))

    def _start(self) -> Any:
        arguments = ["publish", str(self.folder / "work" / "demo" / "v1.0")]
        return start(arguments, self.folder / "log", self.environment)

    def killed(self, share: float) -> list[str]:
        """As ``_Runs.killed``."""
        self._copy()
        run = self._start()
        time.sleep(share * self.seconds)
        run.kill()
        run.wait()
        problems, there = [], self._there()
        wrong = [key for key in there if there[key] != self.expected.get(key) and not key.startswith(".")]
        problems += [f"stored half-written: {key}" for key in wrong]
        if "collection.json" in there and not self.expected.keys() <= there.keys():
            problems.append("the Collection was published before the rest")
        code, _ = self._start().wait()
        if code != 0:
            problems.append(f"the next run ended with {code}: {(self.folder / 'log').read_text()[-500:]}")
        problems += [] if self._there() == self.expected else ["another publication, or more than that"]
        uploads = self.client.list_multipart_uploads(Bucket="kills").get("Uploads", [])
        return problems + [f"an upload is open: {upload['Key']}" for upload in uploads]

    def _there(self) -> dict[str, bytes]:
        prefix = f"{self.number}/demo/v1.0/"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="kills", Prefix=prefix)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {
            key.removeprefix(prefix): self.client.get_object(Bucket="kills", Key=key)["Body"].read() for key in keys
        }


@contextmanager
def s3() -> Iterator[str]:
    """A small S3 server in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
