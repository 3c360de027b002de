import functools
import http.server
import json
import sys
import threading
from pathlib import Path

import pytest

from earthcode_pack.checks import check
from earthcode_pack.checks.targets import by_name, kind_of
from earthcode_pack.errors import OutsideError, UserError


@pytest.mark.parametrize("name", ["readme.txt", "data.csv", "folder"])
def test_what_is_nothing_known_is_named(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_text("x")
    with pytest.raises(UserError, match=name) as error:
        check(path)
    assert "STAC" in error.value.remedy


def test_what_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.tif: no such file"):
        check(tmp_path / "gone.tif")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "no STAC"),
        ('{"type": "Feature"}', "stac_version"),
        ('{"type": "FeatureCollection"}', "no STAC"),
    ],
)
def test_json_that_is_no_stac_says_why(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=said):
        check(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("marks", "kind"),
    [
        (["profile.yaml", "product/collection.json"], "bundle"),
        (["collection.json", "manifest.json"], "product"),
        ([".zgroup"], "zarr"),
        (["zarr.json"], "zarr"),
    ],
)
def test_folders_by_what_they_hold(tmp_path, marks, kind):
    for mark in marks:
        (tmp_path / mark).parent.mkdir(exist_ok=True)
        (tmp_path / mark).touch()
    assert kind_of(str(tmp_path)) == kind


def test_names_of_any_case():
    assert [by_name(name) for name in ("A.TIFF", "a.Zarr/", "a.nc4", "a.gpkg")] == ["cog", "zarr", "netcdf", None]


def test_the_import_is_light():
    import subprocess

    heavy = "rasterio xarray zarr h5py jsonschema pystac matplotlib"
    code = f"import sys, earthcode_pack.checks; print([m for m in {heavy.split()!r} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


# --- remote


class Ranged(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and answers ranges, as object stores do."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        try:
            data = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            return self.send_error(404)
        first, last = 0, len(data) - 1
        if asked:
            start, end = asked.removeprefix("bytes=").split("-")
            first, last = int(start or 0), min(int(end or last), last)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        return self.wfile.write(data[first : last + 1])


@pytest.fixture
def served(tmp_path):
    """The test's folder behind http on loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Ranged, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_remote_cog(make_cog, tmp_path, served, broken):
    make_cog(tmp_path / "good.tif")
    make_cog(tmp_path / "poor.tif", units=None)
    assert check(f"{served}/good.tif") == ()
    assert broken(check(f"{served}/poor.tif")) == {"COG-UNITS"}


@pytest.mark.parametrize("version", [2, 3])
def test_a_remote_store(cube, write_zarr, served, version):
    write_zarr(cube, version=version)
    (finding,) = check(f"{served}/demo.zarr")
    assert (finding.rule, finding.level.value) == ("ZARR-NOT-LISTED", "info")


def test_a_remote_netcdf(cube, write_netcdf, served):
    write_netcdf(cube)
    assert check(f"{served}/demo.nc") == ()


@pytest.mark.usefixtures("schemas")
def test_a_remote_item_says_that_its_assets_were_not_opened(product, served, tmp_path, broken):
    (tmp_path / "item.json").write_text(json.dumps(product.item))
    assert broken(check(f"{served}/item.json?token=secret")) == {"HREF-REMOTE"}
    assert "secret" not in str(check(f"{served}/item.json?token=secret"))


@pytest.mark.parametrize("name", ["a.tif", "a.nc", "a.zarr", "a.json"])
def test_a_remote_file_that_is_not_there_is_the_outside_worlds_fault(served, name):
    with pytest.raises(OutsideError, match=name):
        check(f"{served}/{name}")


def test_a_remote_zip_is_refused_with_the_way_out():
    with pytest.raises(UserError, match="download"):
        check("https://example.org/a.zarr.zip")
