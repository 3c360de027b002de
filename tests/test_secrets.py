"""Nothing that opens something is ever shown or written: signed links, passwords in URLs, keys (design, rule 8)."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from clockless import LONG
from making import SECRET, profile_of, write_cube, write_tif

from earthcode_pack.cli import execute
from earthcode_pack.redact import is_signed, redacted, shown, unsigned
from earthcode_pack.storage import s3
from earthcode_pack.storage.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA0%2F20200101&X-Amz-Date=20200101T000000Z&X-Amz-Expires=60"
QUERIES = {
    "S3": f"{OLD}&X-Amz-SignedHeaders=host&X-Amz-Signature={SECRET}",
    "S3, temporary keys": f"X-Amz-Expires=60&X-Amz-Security-Token={SECRET}",
    "S3, old form": f"AWSAccessKeyId=me&Expires=1577836860&Signature={SECRET}",
    "Google": f"X-Goog-Date=20200101T000000Z&X-Goog-Expires=60&X-Goog-Signature={SECRET}",
    "Swift": f"temp_url_sig={SECRET}&temp_url_expires=1577836860",
    "Azure": f"sv=2019-02-02&se=2020-01-01T00%3A01%3A00Z&sr=b&sp=r&sig={SECRET}",
    "CloudFront": f"Expires=1577836860&Signature={SECRET}&Key-Pair-Id=K",
    "Aliyun": f"x-oss-signature-version=OSS4&x-oss-signature={SECRET}",
    "a portal": f"format=tif&access_token={SECRET}",
    "a key": f"api-key={SECRET}",
    "a proxy of tiles": f"url=https%3A%2F%2Fhost%2Fa.tif%3Fsig%3D{SECRET}",
}
USERS = {"a user": f"me:{SECRET}@", "@ in a password": f"me:at@{SECRET}@", "a token": f"{SECRET}@"}


# --- links ------------------------------------------------------------------------------------------------------------


def signed(href: str, kind: str) -> str:
    """The href with a secret of this kind in it."""
    if kind in QUERIES:
        return f"{href}?{QUERIES[kind]}"
    return href.replace("://", f"://{USERS[kind]}", 1)


@pytest.mark.parametrize("kind", [*QUERIES, *USERS])
def test_a_link_that_opens_something(kind: str) -> None:
    link = signed("https://host:8080/a/b.nc", kind)
    assert is_signed(link)
    assert shown(link) == "https://host:8080/a/b.nc"
    said = f"403, message='no', url='{link}' and /vsicurl/{link}: refused (see {link})."
    plain = shown(link)
    expected = f"403, message='no', url='{plain}' and /vsicurl/{plain} refused (see {plain})."
    assert redacted(said).replace("nc: ", "nc ") == unsigned(said).replace("nc: ", "nc ") == expected


@pytest.mark.parametrize(
    "href",
    [
        "https://host:8080/a@b/c.nc", "https://[::1]:80/a@b", "s3://bucket/a_??.nc", "s3://bucket/a/b@c.nc",
        "a/b?c=d.nc", "zip://*.nc::s3://bucket/a.zip", "https://host/browser/#/external/host/collections/a",
        "mailto:me@example.org",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(href: str) -> None:
    assert not is_signed(href)
    assert shown(href) == redacted(href) == unsigned(href) == href


def test_a_query_without_a_secret_is_told_of_what_others_wrote() -> None:
    href = "https://host/wms?layers=design&assign=1"
    assert not is_signed(href)
    assert (shown(href), unsigned(href)) == ("https://host/wms", href)


def test_a_chained_href_is_looked_at_link_by_link() -> None:
    href = f"zip://*.nc::simplecache::https://me:{SECRET}@host/a.zip?sig={SECRET}"
    assert is_signed(href)
    assert shown(href) == "zip://*.nc::simplecache::https://host/a.zip"


@pytest.mark.timeout(60)  # seconds, where the square of the length would be minutes
@pytest.mark.parametrize(
    "text",
    ["x://" + "a:" * 10**6, "http://" * 50_000, "://a:" * 50_000, "?x-amz-" * 200_000 + "://"],
    ids=["colons", "schemes", "colons after slashes", "signatures"],
)
def test_a_long_text_of_a_stranger_takes_no_long_time(text: str) -> None:
    assert redacted(text) is not None
    assert unsigned(text) is not None


# --- commands ---------------------------------------------------------------------------------------------------------


LEADS = {"portal": "data", "stale": "403", "html": "page"}


class Answers(http.server.BaseHTTPRequestHandler):
    """What the first part of a path asks for: ``/403/…``, ``/page/…``; ``/portal/…`` leads to a signed link."""

    folder: Path

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        state, _, name = self.path.strip("/").partition("?")[0].partition("/")
        headers = {}
        body = {
            "page": b"<!DOCTYPE html><html><body>Please log in</body></html>",
            "json": b'{"message": "hello"}',
        }.get(state, b"")
        if state in LEADS:
            headers = {"Location": f"/{LEADS[state]}/{name}?{QUERIES['S3']}"}
        if state == "data":
            body = self._stored(self.folder / name)
        code = int(state) if state.isdigit() else 302 if headers else 200 if body else 404
        self.send_response(code)
        for key, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class calls it so

    @staticmethod
    def _stored(path: Path) -> bytes:
        found = path / "index.html" if path.is_dir() else path
        return found.read_bytes() if found.is_file() else b""


@dataclass
class Web:
    """A server by its URL, and the folder that it serves below ``/data/``."""

    url: str
    folder: Path

    def __str__(self) -> str:
        return self.url


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server of every answer."""
    handler = type("Handler", (Answers,), {"folder": tmp_path_factory.mktemp("data")})
    write_tif(handler.folder / "a_20200101.tif")
    write_cube(handler.folder / "a.nc")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield Web(f"http://127.0.0.1:{server.server_port}", handler.folder)
    server.shutdown()
    thread.join(LONG)
    server.server_close()


Said = tuple[int, str]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[..., Said]:
    """Runs a command in a folder of its own, and looks for the secret in all that it says and leaves there."""
    for name in ("XDG_CACHE_HOME", "EARTHCODE_PACK_SCRATCH"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    for name, value in {"ACCESS_KEY_ID": f"id-{SECRET}", "SECRET_ACCESS_KEY": SECRET, "ENDPOINT_URL": GONE}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.WARNING)

    def told(*words: object, typed: Path | None = None) -> Said:
        capfd.readouterr()
        code = execute([str(word) for word in words])
        out, err = capfd.readouterr()
        assert SECRET not in out + err + caplog.text
        for path in tmp_path.rglob("*"):
            assert SECRET not in path.name
            assert path == typed or path.is_dir() or SECRET.encode() not in path.read_bytes(), path
        return code, " ".join((out + err).split())

    return told


GONE = "http://127.0.0.1:9"
STATES = ("403", "404", "500", "page", "json", "stale")
TARGETS = ("a.tif", "a.nc", "a.zarr", "a.zarr.zip", "item.json", "collections/sst", "a.txt")
COMMANDS: dict[str, tuple[str, ...]] = {
    "init": ("init", "{}/a_20200101.tif"),
    "init, written": ("init", "{}/a.nc", "-o", "p.yaml"),
    "init, several": ("init", "raw.nc", "{}/a.nc"),
    "plan": ("plan", "{}/p.yaml"),
    "run": ("run", "{}/p.yaml"),
    "run, workdir": ("run", "p.yaml", "--workdir", "{}/work"),
    "publish": ("publish", "{}/demo/v1.0"),
    "verify": ("verify", "{}/demo/v1.0"),
    "verify, all": ("verify", "{}/demo/v1.0/collection.json", "--read"),
    "handoff": ("handoff", "{}/demo/v1.0"),
    "status": ("status", "{}/demo/v1.0"),
    "report": ("report", "{}/demo/v1.0"),
    "clean": ("clean", "{}/demo/v1.0"),
    "typed wrongly": ("status", "{}/demo/v1.0", "{}/demo/v1.0"),
    "unknown option": ("check", "--{}"),
    "unknown command": ("{}/demo",),
} | {f"check {name}": ("check", f"{{}}/{name}") for name in TARGETS}


def typed(words: tuple[str, ...], root: str, kind: str) -> list[str]:
    return [signed(word.format(root), kind) if "{}" in word else word for word in words]


@pytest.mark.parametrize("kind", ["S3", "a user"])
@pytest.mark.parametrize("state", [*STATES, "gone"])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_shows_a_link(command: Callable[..., Said], web: Web, name: str, state: str, kind: str) -> None:
    Path("p.yaml").write_text(profile_of(Path.cwd()).to_yaml())
    words = typed(COMMANDS[name], GONE if state == "gone" else f"{web}/{state}", kind)
    for form in (words, ["--debug", *words, "--json"]):
        code, said = command(*form)
        assert code in ((1, 2, 3) if name.startswith("check") else (2, 3))
        assert "should not happen" not in said


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_shows_keys_in_an_s3_href(command: Callable[..., Said], tmp_path: Path, name: str) -> None:
    (tmp_path / "p.yaml").write_text(profile_of(tmp_path).to_yaml())
    for root in (f"s3://id:{SECRET}@bucket", f"s3://id:{SECRET}/+@bucket"):
        code, said = command(*(word.format(root) for word in COMMANDS[name]))
        assert code in (2, 3), said
        assert "should not happen" not in said


@pytest.mark.parametrize("state", ["403", "401", "stale"])
@pytest.mark.parametrize("target", ["a.tif", "a.nc", "a.zarr", "a.zarr.zip", "item.json", "collections/sst"])
def test_a_link_that_has_expired_is_no_fault_of_the_file(
    command: Callable[..., Said], web: Web, target: str, state: str
) -> None:
    code, said = command("check", signed(f"{web}/{state}/{target}", "S3"))
    assert code == 3
    assert f"/{state}/{target}: the link has expired (2020-01-01T00:01:00Z) → get a new link" in said


@pytest.mark.parametrize("target", ["a.tif", "a.nc", "a.zarr", "item.json"])
def test_a_server_that_is_not_there_is_told_from_an_object_that_is_not(
    command: Callable[..., Said], web: Web, target: str
) -> None:
    assert "there is no such object" in command("check", f"{web}/404/{target}")[1]
    code, said = command("check", f"{GONE}/{target}")
    assert code == 3
    assert "cannot be reached" in said


@pytest.mark.parametrize("kind", [*QUERIES, *USERS])
def test_init_writes_no_link_into_a_profile(command: Callable[..., Said], web: Web, kind: str) -> None:
    code, said = command("init", signed(f"{web}/data/a_20200101.tif", kind), "-o", "new.yaml")
    assert code == 2
    assert (
        "/data/a_20200101.tif: a link with a password or signature belongs in no profile → fetch what it leads" in said
    )
    assert not Path("new.yaml").exists()


@pytest.mark.parametrize("kind", [*QUERIES, *USERS])
def test_a_profile_that_holds_a_link_is_refused(
    command: Callable[..., Said], web: Web, tmp_path: Path, kind: str
) -> None:
    profile = yaml.safe_load(profile_of(tmp_path).to_yaml())
    profile["source"]["href"] = signed(f"{web}/data/a_20200101.tif", kind)
    (tmp_path / "p.yaml").write_text(json.dumps(profile))
    for verb in ("plan", "run"):
        code, said = command(verb, "p.yaml", typed=tmp_path / "p.yaml")
        assert code == 2
        assert "source.href" in said


# --- what is written --------------------------------------------------------------------------------------------------


def profile_at(web: Web, name: str, **changes: Any) -> str:
    """The URL of a profile whose source lies beside it."""
    stated = profile_of(web.folder, source__href="a_20200101.tif", store=None, **changes)
    profile = yaml.safe_load(stated.to_yaml())
    profile["source"]["href"] = "a_20200101.tif"
    (web.folder / name).write_text(json.dumps(profile))
    return f"{web}/data/{name}"


@pytest.mark.parametrize("kind", [*QUERIES, *USERS])
def test_a_profile_behind_a_link_says_nothing_of_it(command: Callable[..., Said], web: Web, kind: str) -> None:
    href = signed(profile_at(web, "p.yaml"), kind)
    assert command("plan", href, "--workdir", "work")[0] == 0
    if kind in ("S3", "a user"):
        assert command("run", href, "--workdir", "work")[0] == 0
        assert command("--debug", "run", href, "--workdir", "work", "--json")[0] == 0


@pytest.mark.parametrize("state", ["portal", "stale", "html"])
def test_where_a_portal_leads_is_not_written_down(
    command: Callable[..., Said], web: Web, tmp_path: Path, state: str
) -> None:
    profile = profile_of(tmp_path, source__href=f"{web}/{state}/a_20200101.tif")
    (tmp_path / "p.yaml").write_text(profile.to_yaml())
    expected = {"portal": 0, "stale": 3, "html": 1}[state]
    for words in (["plan", "p.yaml"], ["run", "p.yaml"], ["--debug", "run", "p.yaml"]):
        assert command(*words)[0] == expected
    bundle = Path(".earthcode-pack/demo/v1.0")
    if state == "portal":
        for verb in ("status", "report", "verify", "check", "handoff", "clean"):
            assert command(verb, bundle)[0] == 0
    if state != "stale":
        assert f"{web}/{state}/a_20200101.tif" in (bundle / "provenance.json").read_text()


def test_a_listing_of_signed_links_is_no_source(command: Callable[..., Said], web: Web, tmp_path: Path) -> None:
    links = "".join(f'<a href="a_2020010{day}.tif?{QUERIES["Azure"]}">' for day in (1, 2))
    (web.folder / "list").mkdir(exist_ok=True)
    (web.folder / "list" / "index.html").write_text(f"<html>{links}</html>")
    pattern = f"{web}/data/list/a_*"
    (tmp_path / "p.yaml").write_text(profile_of(tmp_path, source__href=pattern).to_yaml())
    for words in (["init", pattern], ["plan", "p.yaml"], ["run", "p.yaml"]):
        code, said = command(*words)
        assert code == 2
        assert f"/data/list/a_*: matches a signed link, {web}/data/list/a_20200101.tif" in said


@pytest.mark.parametrize("kind", ["S3", "Azure", "a portal", "a user"])
def test_stac_of_a_stranger_with_links_in_it(command: Callable[..., Said], web: Web, tmp_path: Path, kind: str) -> None:
    """Its hrefs are what is looked at, and told, without what opens them."""
    (tmp_path / "i").mkdir()
    asset = {"type": "image/tiff", "roles": ["data"], "file:size": 1}
    hrefs = [f"{web}/{state}" for state in ("404/a.tif", "403/a.nc", "page/b.tif", "data/a_20200101.tif")]
    hrefs += [f"{GONE}/a.tif", "ftp://host/a.tif", "s3://bucket/a.tif", "https://host/a b.tif"]
    item = {
        "type": "Feature", "stac_version": "1.1.0", "id": "a", "geometry": None, "properties": {"datetime": None},
        "assets": {str(n): asset | {"href": signed(href, kind)} for n, href in enumerate(hrefs)}
        | {"near": asset | {"href": f"./gone.tif?sig={SECRET}"}},
        "links": [{"rel": "self", "href": signed(hrefs[0], kind)}, {"rel": "about", "href": signed(hrefs[0], kind)}],
    }  # fmt: skip
    path, there = tmp_path / "i" / "item.json", web.folder / "item.json"
    for place in (path, there):
        place.write_text(json.dumps(item))
    for target in (path, f"{web}/data/item.json", signed(f"{web}/data/item.json", kind)):
        for form in (["--deep"], ["--json"]):
            code, said = command("check", target, *form, typed=path)
            assert code == 1
            assert ("HREF-UNREACHABLE" if kind in USERS and target != path else "HREF-MISSING") in said


# --- what the environment says ----------------------------------------------------------------------------------------


BUNDLE = ".earthcode-pack/demo/v1.0"


@pytest.mark.parametrize("secret", ["AWS_ENDPOINT_URL", "http_proxy"])
def test_passwords_in_the_environment(
    command: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    (tmp_path / "p.yaml").write_text(profile_of(tmp_path, store__href="s3://bucket/pub").to_yaml())
    assert command("run", "p.yaml", "--prepare-only")[0] == 0
    once = s3.Settings(policy=RetryPolicy(attempts=1), first_contact=RetryPolicy(attempts=1))
    monkeypatch.setattr(s3.Settings, "within", lambda _seconds: once)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv(secret, f"http://me:{SECRET}@127.0.0.1:9")
    for words in (["publish", BUNDLE], ["verify", BUNDLE], ["run", "p.yaml"], ["verify", "s3://bucket/pub/demo/v1.0"]):
        code, said = command("--debug", *words)
        assert code == 3
        assert "s3://bucket/pub/demo/v1.0/" in said
        assert "cannot be reached" in said
    assert "cannot be reached" in command("status", BUNDLE)[1]
    assert "cannot be reached" in command("plan", "p.yaml")[1]
    assert command("clean", BUNDLE)[0] == 0
    assert command("--debug", "init", "s3://bucket/a.tif")[0] == 3


@pytest.mark.parametrize("state", ["stale", "html", "404"])
def test_a_catalogue_behind_a_portal(command: Callable[..., Said], web: Web, tmp_path: Path, state: str) -> None:
    write_tif(tmp_path / "raw" / "a_20200101.tif")
    changes = {
        "product__themes": ["land"],
        "product__documentation": "https://example.org/a.pdf",
        "store__public_href": "https://example.org",
        "catalog__metadata": f"{web}/{state}/osc.tar.gz",
    }
    changes |= {"product__variables": {"index": {"from": 1, "units": "1", "osc": "ndvi"}}}
    (tmp_path / "p.yaml").write_text(profile_of(tmp_path, **changes).to_yaml())
    for words in (["plan", "p.yaml"], ["--debug", "run", "p.yaml"]):
        code, said = command(*words)
        assert code == 3
        assert f"catalog.metadata: {web}/{state}/osc.tar.gz" in said
