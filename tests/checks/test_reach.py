"""Addresses in STAC and behind redirects: own networks are asked only where a person named them."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from clockless import LONG
from services.web import serving

from earthcode_pack.checks import check
from earthcode_pack.errors import OutsideError
from earthcode_pack.storage.reach import ask, may_reach, only_public

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIFF = "/data/demo_20200101/demo_20200101_sst.tif"
ITEM = "items/demo_20200101.json"
SPELLINGS = [
    "127.0.0.1", "127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "localhost",
    "LOCALHOST", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "me@127.0.0.1",
]  # fmt: skip
OTHERS = [
    "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fd00:ec2::254]", "[fe80::1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255", "0",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _on_the_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARTHCODE_PACK_OFFLINE", raising=False)


@contextmanager
def redirecting(target: str) -> Iterator[str]:
    """A server that leads each request to the same path below ``target``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"{target}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the base class calls it so

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(LONG)
    server.server_close()


@pytest.mark.parametrize(
    ("host", "where"),
    [*((host, "on disk") for host in (*SPELLINGS, socket.gethostname())), ("127.1", "on the net")],
)
def test_an_asset_on_this_machine(product: Any, tmp_path: Path, host: str, where: str) -> None:
    with serving(product.root) as other, serving(tmp_path) as web:
        product.asset["href"] = f"http://{host}:{urlsplit(other.url).port}{TIFF}"
        path = tmp_path / "item.json"
        path.write_text(
            json.dumps(product.item | {"links": [{"rel": "about", "href": f"{other.url}/collection.json"}]})
        )
        found = check(path if where == "on disk" else f"{web.url}/item.json", deep=True)
        assert not other.requests
    assert {"HREF-REMOTE", "HREF-UNREACHABLE"} & {finding.rule for finding in found}


@pytest.mark.parametrize("host", OTHERS)
def test_addresses_of_other_machines(host: str) -> None:
    with only_public("http://127.0.0.1:1/item.json"):
        assert not may_reach(f"http://{host}/latest/meta-data")
        with pytest.raises(OutsideError, match="private network"):
            ask("HEAD", f"http://{host}/latest/meta-data")


def test_public_addresses_are_reached_and_the_server_of_the_stac_too() -> None:
    with only_public("http://127.0.0.1:1/item.json"):
        assert may_reach("https://8.8.8.8/a")
        assert may_reach("http://[2606:4700::1111]/a")
        assert may_reach("http://127.0.0.1:1/a")
        assert not may_reach("http://127.0.0.1:2/a")


@pytest.mark.parametrize("kind", ["item", "tif", "nc", "zarr"])
def test_a_redirect_to_this_machine(product: Any, kind: str) -> None:
    with serving(product.root) as other, redirecting(other.url) as web:
        path = {"item": ITEM, "tif": TIFF[1:], "nc": "data/a.nc", "zarr": "data/a.zarr"}[kind]
        with pytest.raises(OutsideError, match=r"127\.0\.0\.1.*EARTHCODE_PACK_ALLOWED_HOSTS"):
            check(f"{web}/{path}")
        assert not other.requests


def test_an_asset_that_is_redirected_to_this_machine(product: Any) -> None:
    with serving(product.root) as other, redirecting(other.url) as web:
        product.asset["href"] = f"{web}{TIFF}"
        with only_public(web), pytest.raises(OutsideError, match="private network"):
            ask("HEAD", product.asset["href"])
        assert not other.requests


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "localhost", "example.invalid, 127.0.0.1"])
def test_what_the_operator_allows(product: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str) -> None:
    monkeypatch.setenv("EARTHCODE_PACK_ALLOWED_HOSTS", allowed)
    with serving(product.root) as other, redirecting(other.url) as web:
        product.asset["href"] = f"{web}{TIFF}"
        (tmp_path / "item.json").write_text(json.dumps(product.item | {"links": product.item["links"][:0]}))
        rules = {finding.rule for finding in check(tmp_path / "item.json")}
        assert other.requests[TIFF]
    assert not rules & {"HREF-REMOTE", "HREF-UNREACHABLE"}


def test_a_proxy_is_a_person_s_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy on this machine is asked for a public address; a private one is not asked of it."""
    asked: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "7")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with only_public():
        assert ask("HEAD", "http://8.8.8.8/a").status == 200
        with pytest.raises(OutsideError, match="private network"):
            ask("HEAD", "http://10.0.0.1/a")
    server.shutdown()
    server.server_close()
    assert asked == ["http://8.8.8.8/a"]
