"""What storage refuses, through the command line: exit code 3, what is wrong, what to do; done that, it goes on."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from clockless import LONG, until
from making import profile_of, write_tif
from services.faults import Fault, FaultProxy
from services.s3 import client

from earthcode_pack.cli import execute
from earthcode_pack.pipeline import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from services.rgw import Rgw

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
SECRET = "n0t-to-be-shown"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two maps."""
    folder = tmp_path_factory.mktemp("prepared")
    for day in (1, 2):
        write_tif(folder / "raw" / f"a_2020010{day}.tif")
    return prepare(profile_of(folder), folder / "work").root


@dataclass
class Bound:
    """A bundle that goes to a bucket of Ceph RGW."""

    root: Path
    rgw: Rgw
    bucket: str

    @property
    def published(self) -> set[str]:
        """The keys in the bucket."""
        found = client(self.rgw.http, *self.rgw.user).list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return {entry["Key"] for entry in found}

    def goes_on(self) -> bool:
        """Whether the same command, without another step, brings exactly the product there."""
        assert execute(["publish", str(self.root)]) == 0
        assert execute(["verify", str(self.root), "--read"]) == 0
        product = self.root / "product"
        keys = {path.relative_to(product).as_posix() for path in product.rglob("*") if path.is_file()}
        return self.published == {f"pub/demo/v1.0/{key}" for key in keys}


@pytest.fixture
def bundle(prepared: Path, rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> Bound:
    """The same, to a bucket of its own."""
    shutil.copytree(prepared, tmp_path / "bundle")
    aim(tmp_path / "bundle", f"s3://{rgw_bucket}/pub")
    return Bound(tmp_path / "bundle", rgw, rgw_bucket)


def aim(bundle: Path, href: str) -> None:
    profile = yaml.safe_load((bundle / "profile.yaml").read_text())
    profile["store"] = {"href": href}
    (bundle / "profile.yaml").write_text(json.dumps(profile))


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must end with exit code 3; what is wrong and the remedy, as a person reads them."""

    def told(*words: object) -> str:
        capsys.readouterr()
        assert execute([*map(str, words), "--json"]) == 3
        answer = capsys.readouterr()
        error = json.loads(answer.out)["error"]
        assert error["remedy"]
        assert SECRET not in answer.out + answer.err
        return f"{error['message']} → {error['remedy']}"

    return told


# --- who and where ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [("AWS_SECRET_ACCESS_KEY", f"wrong-{SECRET}"), ("AWS_ACCESS_KEY_ID", "nobody")])
def test_wrong_credentials(
    bundle: Bound, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, str]
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv(*wrong)
        said = refused("publish", bundle.root)
    assert "does not accept these credentials → set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said
    assert bundle.goes_on()


def test_a_user_without_rights(bundle: Bound, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setenv("AWS_ACCESS_KEY_ID", bundle.rgw.other.access)
        other.setenv("AWS_SECRET_ACCESS_KEY", bundle.rgw.other.secret)
        said = refused("publish", bundle.root)
    assert "refuses access (403) → check the credentials" in said
    assert bundle.goes_on()


def test_a_bucket_that_is_missing(bundle: Bound, refused: Callable[..., str]) -> None:
    bundle.bucket += "-new"
    aim(bundle.root, f"s3://{bundle.bucket}/pub")
    assert "the bucket does not exist → create it" in refused("publish", bundle.root)
    client(bundle.rgw.http, *bundle.rgw.user).create_bucket(Bucket=bundle.bucket)
    assert bundle.goes_on()


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_wrong(
    bundle: Bound, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    from earthcode_pack.storage import s3

    with monkeypatch.context() as skewed:
        within = s3.Settings.within
        late = lambda seconds: replace(within(seconds), clock=lambda: time.time() + hours * 3600)  # noqa: E731
        skewed.setattr(s3.Settings, "within", late)
        said = refused("publish", bundle.root)
    assert "the clock of this machine differs too much from the storage's → set the clock" in said
    assert bundle.goes_on()


def test_temporary_credentials_that_have_expired(
    bundle: Bound, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the upload: what is there already stays."""
    proxy = FaultProxy(
        bundle.rgw.port, [Fault("PUT .*/items/", "status", status=400, code="ExpiredToken", times=10**6)]
    )
    with monkeypatch.context() as through:
        through.setenv("AWS_ENDPOINT_URL", proxy.url)
        said = refused("publish", bundle.root)
    proxy.stop()
    assert "the credentials have expired → renew them and run again" in said
    assert "pub/demo/v1.0/manifest.json" in bundle.published
    assert "pub/demo/v1.0/collection.json" not in bundle.published
    assert bundle.goes_on()


# --- room -------------------------------------------------------------------------------------------------------------


def test_a_quota_that_is_used_up(bundle: Bound, refused: Callable[..., str]) -> None:
    at = ("--quota-scope", "bucket", "--bucket", bundle.bucket)
    bundle.rgw.admin("quota", "set", *at, "--max-objects", "2")
    bundle.rgw.admin("quota", "enable", *at)
    said = refused("publish", bundle.root)
    assert "its quota used up → free space or have the quota raised, and run again: it resumes" in said
    assert "pub/demo/v1.0/collection.json" not in bundle.published
    bundle.rgw.admin("quota", "disable", *at)
    assert bundle.goes_on()


ON_A_SMALL_DISK = """
    import json, subprocess, sys
    from earthcode_pack.cli import execute
    disk, size, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
    first = execute(command)
    subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
    print(json.dumps([first, execute(command)]))
"""


def on_a_small_disk(disk: Path, size: str, *command: object) -> tuple[list[int], str]:
    """Exit codes of a command on a disk that is full, and again when it has become larger; and what was told."""
    mounting = ["unshare", "--user", "--map-root-user", "--mount"]  # a namespace of its own needs no root
    if (
        shutil.which("unshare") is None
        or subprocess.run([*mounting, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs user namespaces, for a disk that is full")
    disk.mkdir()
    program = [sys.executable, "-c", textwrap.dedent(ON_A_SMALL_DISK), str(disk), size, *map(str, command)]
    done = subprocess.run([*mounting, *program], capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), " ".join(done.stderr.split())


def test_a_store_on_a_disk_that_is_full(prepared: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(prepared, bundle)
    aim(bundle, str(tmp_path / "disk" / "pub"))
    codes, said = on_a_small_disk(tmp_path / "disk", "16k", "publish", bundle)
    assert codes == [3, 0]
    assert "the disk is full → free space and run again: it resumes" in said


@pytest.mark.parametrize("size", ["16k", "300k"])  # before anything is converted; in the middle of it
def test_a_workdir_on_a_disk_that_is_full(tmp_path: Path, size: str) -> None:
    for day in (1, 2):
        noise = np.random.default_rng(day).integers(0, 9999, (400, 400)).astype("int16")
        write_tif(tmp_path / "raw" / f"a_2020010{day}.tif", noise)
    (tmp_path / "profile.yaml").write_text(profile_of(tmp_path).to_yaml())
    work = tmp_path / "disk"
    codes, said = on_a_small_disk(work, size, "run", tmp_path / "profile.yaml", "--workdir", work)
    assert codes == [3, 0]
    assert "No space left" in said or "the disk is full" in said
    assert "→ free space" in said


# --- links ------------------------------------------------------------------------------------------------------------


@contextmanager
def portal(link: Callable[[], str]) -> Iterator[str]:
    """A server with plain addresses that sends its readers to signed links."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", link())
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the base class calls it so

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(LONG)
    server.server_close()


@pytest.fixture
def signed(rgw: Rgw, rgw_bucket: str, tmp_path: Path) -> Callable[[int], str]:
    """Signed links to a map on Ceph RGW, valid for so many seconds."""
    s3 = client(rgw.http, *rgw.user)
    raw = write_tif(tmp_path / "a.tif").read_bytes()
    s3.put_object(Bucket=rgw_bucket, Key="a.tif", Body=raw)
    place = {"Bucket": rgw_bucket, "Key": "a.tif"}
    return lambda seconds: s3.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)


def expired(link: str) -> str:
    """The link once the server thinks so, too."""
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, build_opener

    def is_refused() -> bool:
        try:
            build_opener(ProxyHandler({})).open(link, timeout=LONG).close()
        except HTTPError as error:
            error.close()
            return True
        return False

    until(is_refused, "a link that has expired")
    return link


def test_a_source_behind_a_signed_link_that_has_expired(
    signed: Callable[[int], str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    links = [expired(signed(1))]
    with portal(lambda: links[-1]) as place:
        href = f"{place}/a_20200101.tif"
        (tmp_path / "p.yaml").write_text(profile_of(tmp_path, source__href=href).to_yaml())
        command = ("run", tmp_path / "p.yaml", "--workdir", tmp_path / "work")
        said = refused(*command)
        assert f"{href}: the signed link that it leads to has expired (20" in said
        assert "run again for a new one" in said
        assert "Signature" not in said
        links.append(signed(600))
        assert execute([*map(str, command)]) == 0


def test_a_link_that_expires_while_a_run_reads(
    signed: Callable[[int], str], tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the file was looked at, before it is fetched."""
    from earthcode_pack import storage

    links, fetch = [signed(600)], storage.fetch
    old = expired(signed(1))

    def late(*given: Any) -> Path:
        links.append(old)
        return fetch(*given)

    with portal(lambda: links[-1]) as place:
        (tmp_path / "p.yaml").write_text(profile_of(tmp_path, source__href=f"{place}/a_20200101.tif").to_yaml())
        command = ("run", tmp_path / "p.yaml", "--workdir", tmp_path / "work")
        with monkeypatch.context() as patched:
            patched.setattr(storage, "fetch", late)
            assert "has expired (20" in refused(*command)
        links.append(signed(600))
        assert execute([*map(str, command)]) == 0


def test_a_signed_link_belongs_in_no_profile(signed: Callable[[int], str], tmp_path: Path) -> None:
    text = profile_of(tmp_path).to_yaml()
    profile = yaml.safe_load(text)
    profile["source"]["href"] = signed(600)
    (tmp_path / "p.yaml").write_text(json.dumps(profile))
    assert execute(["run", str(tmp_path / "p.yaml")]) == 2


def test_what_is_published_behind_a_link_that_has_expired(
    signed: Callable[[int], str], refused: Callable[..., str]
) -> None:
    links = [expired(signed(1))]
    with portal(lambda: links[-1]) as place:
        said = refused("verify", f"{place}/demo/v1.0", "--read")
    assert f"{place}/demo/v1.0/manifest.json: the signed link that it leads to has expired (20" in said
