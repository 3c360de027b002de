"""The double of the PRR with a bucket to stage in, and a bundle that goes there."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prr_places import StageIn
    from services.gateway import Gateway

    from earthcode_pack.bundle import Bundle

HERE = Path(__file__).parent
for _folder in (HERE, HERE.parent, HERE.parent / "handoff"):  # for prr_places, services and osc_bundles
    sys.path.insert(0, str(_folder))


@pytest.fixture(scope="session")
def _s3() -> Iterator[StageIn]:
    """moto, behind a line of its own."""
    from clockless import LONG
    from moto.server import create_backend_app
    from prr_places import StageIn
    from services.line import Line
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # a connection for each request takes longer than the request

        def log_request(self, *_: Any) -> None:
            """So does a line in a log."""

    held = StageIn("", Line())
    moto = create_backend_app("s3")  # its dispatcher looks at every service of AWS for each request

    def app(environ: Any, start: Any) -> Any:
        if held.whole_only and environ["QUERY_STRING"].startswith("uploads") and environ["REQUEST_METHOD"] == "POST":
            start("400 Bad Request", [("Content-Type", "application/xml")])
            return [b"<Error><Code>InvalidRequest</Code><Message>?uploads</Message></Error>"]
        return moto(environ, start)

    server = make_server("127.0.0.1", 0, held.line.wsgi(app), threaded=True, request_handler=Handler)
    held.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield held
    server.shutdown()
    thread.join(LONG)
    server.server_close()


@pytest.fixture
def storage(_s3: StageIn) -> StageIn:
    """The stage-in storage, with an empty bucket of the user's."""
    from prr_places import Mounted

    _s3.whole_only = False
    _s3.line.renew()
    Mounted().renew()
    return _s3


@pytest.fixture(scope="session")
def _double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    from services.gateway import Gateway
    from services.stac_api import Catalogue

    with Gateway(tmp_path_factory.mktemp("archive"), Catalogue()).served() as gateway:
        yield gateway


@pytest.fixture
def prr(
    _double: Gateway,
    storage: StageIn,  # noqa: ARG001 - its bucket is empty then
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Gateway]:
    """The double as new; a user of it in the environment; no long waits."""
    from prr_places import COLLECTION, PASSWORD, USER, Mounted

    for name in [name for name in os.environ if name.startswith(("RAPI_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAPI_USERNAME", USER)
    monkeypatch.setenv("RAPI_PASSWORD", PASSWORD)
    _hurry(monkeypatch)
    _double.renew(tmp_path / "archive", COLLECTION)
    _double.users[USER] = PASSWORD
    _double.writers[USER, COLLECTION] = Mounted()
    yield _double
    assert _double.deleted == [], "a DELETE takes the data too"


def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    from clockless import LONG

    import earthcode_pack.catalogs.prr.catalogued
    import earthcode_pack.catalogs.prr.http_client
    import earthcode_pack.storage.s3
    from earthcode_pack.storage.retry import RetryPolicy

    hurried = RetryPolicy(seconds=LONG, attempts=3, first=0.01, longest=0.02)
    monkeypatch.setattr(earthcode_pack.catalogs.prr.http_client, "PATIENCE", hurried)
    settings = earthcode_pack.storage.s3.Settings(policy=hurried, first_contact=hurried)
    monkeypatch.setattr(earthcode_pack.storage.s3.Settings, "within", lambda _seconds: settings)
    monkeypatch.setattr(earthcode_pack.catalogs.prr.catalogued, "POLL", 0.05)


@pytest.fixture
def bundle(prr: Gateway, storage: StageIn, tmp_path: Path) -> Bundle:
    """A bundle of two Items with two files each."""
    import osc_bundles as made
    from prr_places import place

    store = {"prr": place(prr, storage), "access": "public"}
    return made.bundle(tmp_path / "bundle", made.profile(project=made.NEW_PROJECT, catalog=None, store=store))
