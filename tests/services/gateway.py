"""A double of the PRR's registration gateway, its catalogue and its archive, as they behave (github EOEPCA/reg-api).

Oddities included: posting again what was taken is 422 "not found in the staging area"; the reason for a missing file
extension names the storage extension; folders in hrefs are dropped; what a stranger's type makes the server stumble
over is a bare 500; the Item is in the catalogue before its files are in the archive; of two assets whose staged paths
begin alike only the first is moved. tests/register/test_double.py compares it with the real server.
"""

from __future__ import annotations

import re
import secrets
import stat
import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path  # noqa: TC003 - of a dataclass
from posixpath import basename, join, normpath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fastapi import Body, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from services.line import Line
from services.serving import served
from services.stac_api import Catalogue  # noqa: TC002 - of a dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_ROOT = "/stagein/bucket"  # as the gateway sees a bucket: a folder
_MUST = {"href": str, "type": str, "roles": list, "file:size": int}

Item = dict[str, Any]


class Refused(Exception):
    """The gateway's reason not to take an Item."""


class StageIn(Protocol):
    """What providers fill and the gateway empties; paths are relative to it."""

    def size(self, path: str) -> int | None:
        """Bytes of a file, -1 of a folder, None where nothing is."""

    def move(self, path: str, target: Path) -> None:
        """Takes a file or folder out."""


class FolderStageIn:
    """A folder, as the real server has it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def size(self, path: str) -> int | None:
        found = self.root / path
        if not found.exists():
            return None
        return found.stat().st_size if stat.S_ISREG(found.stat().st_mode) else -1

    def move(self, path: str, target: Path) -> None:
        (self.root / path).rename(target)


class OfObjects(ABC):
    """Files and folders as a gateway sees them that has mounted a bucket."""

    @abstractmethod
    def keys(self, prefix: str = "") -> dict[str, int]:
        """What is there, with sizes."""

    @abstractmethod
    def take(self, key: str) -> bytes:
        """Takes an object out."""

    def size(self, path: str) -> int | None:
        """As ``StageIn.size``."""
        below = self.keys(path)
        if path in below:
            return below[path]
        return -1 if path in ("", ".") or any(key.startswith(f"{path}/") for key in below) else None

    def move(self, path: str, target: Path) -> None:
        """As ``StageIn.move``."""
        for key in self.keys(path):
            if key == path or key.startswith(f"{path}/"):
                place = target / key.removeprefix(path).lstrip("/") if key != path else target
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(self.take(key))


class BucketStageIn(OfObjects):
    """A bucket of an S3 server, through boto3."""

    def __init__(self, client: Any, bucket: str) -> None:
        self.client, self.bucket = client, bucket

    def keys(self, prefix: str = "") -> dict[str, int]:
        """What is there, with sizes."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", ())}

    def take(self, key: str) -> bytes:
        """Takes an object out."""
        found: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        self.client.delete_object(Bucket=self.bucket, Key=key)
        return found


class Move(NamedTuple):
    """A file or folder from the stage-in to its place in the archive."""

    source: str
    target: str


@dataclass
class Gateway:
    """The double. ``writers`` says which user may write to which Collections, and from which stage-in."""

    archive: Path
    catalogue: Catalogue
    users: dict[str, str] = field(default_factory=dict)
    writers: dict[tuple[str, str], StageIn] = field(default_factory=dict)
    administrators: set[str] = field(default_factory=set)
    line: Line = field(default_factory=Line)
    url: str = ""
    batches: list[int] = field(default_factory=list)  # Items in each request that was let in
    posted: list[str] = field(default_factory=list)  # their ids, refused ones included
    deleted: list[str] = field(default_factory=list)  # ids that DELETE was called for, by anyone
    late: float = 0  # s that readers wait for a file after it was moved
    never: set[str] = field(default_factory=set)  # names of files that readers never see
    cut: set[str] = field(default_factory=set)  # names of files that lose their last byte on the way
    unmovable: set[str] = field(default_factory=set)  # names of files whose move fails, after the Item is catalogued
    own_rules: dict[str, str] = field(default_factory=dict)  # ids of Items, and why a newer version refuses them
    stumbles: set[str] = field(default_factory=set)  # ids of Items that it cannot bear: 500
    slow: float = 0  # s that a posting takes
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def api(self) -> str:
        return f"{self.url}/reg-api"

    @property
    def stac(self) -> str:
        return f"{self.url}/stac"

    def renew(self, archive: Path, *collections: str) -> None:
        """Empties everything, and forgets every switch."""
        fresh = Gateway(archive, self.catalogue, url=self.url)
        self.line.renew()
        self.catalogue.items = {name: {} for name in collections}
        self.catalogue.refuses = None
        vars(self).update({key: value for key, value in vars(fresh).items() if key not in ("line", "catalogue")})

    def files(self) -> dict[str, bytes]:
        """The archive: href and bytes."""
        found = sorted(path for path in self.archive.rglob("*") if path.is_file())
        return {f"/d/{path.relative_to(self.archive).as_posix()}": path.read_bytes() for path in found}

    @contextmanager
    def served(self, certificate: Path | None = None) -> Iterator[Gateway]:
        """This gateway, listening."""
        with served(self.line.asgi(self.app()), certificate) as url:
            self.url = url
            yield self

    def app(self) -> FastAPI:
        """``/reg-api``, ``/stac`` and ``/d``, as on the PRR's one host."""
        app = FastAPI()
        app.mount("/reg-api", self._api())
        app.mount("/stac", self.catalogue.public())
        app.add_api_route("/d/{path:path}", self._read, methods=["GET", "HEAD"])
        return app

    # --- the archive

    def _read(self, path: str) -> Response:
        found = self.archive / path
        hidden = not found.is_file() or found.name in self.never or time.time() < found.stat().st_mtime + self.late
        return Response(status_code=404) if hidden else FileResponse(found)

    # --- the API

    def _api(self) -> FastAPI:
        api = FastAPI()
        basic = HTTPBasic()

        def user(given: HTTPBasicCredentials = Depends(basic)) -> str:  # noqa: B008 - as FastAPI has it
            known = self.users.get(given.username)
            if known is None or not secrets.compare_digest(known.encode(), given.password.encode()):
                raise _unauthorised("Incorrect username or password")
            return given.username

        @api.exception_handler(RequestValidationError)
        def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
            return JSONResponse({"id": "unknown", "failure_reason": str(error)}, 422)

        @api.post("/collections/{collection}/items")
        def post(collection: str, body: dict[str, Any] = Body(), who: str = Depends(user)) -> JSONResponse:  # noqa: B008, FAST002 - annotations are text here
            stage_in = self._writer(who, collection)
            time.sleep(self.slow)
            with self._one_at_a_time:
                return self._posted(body, collection, stage_in)

        @api.delete("/collections/{collection}/items/{item}")
        def delete(collection: str, item: str, who: str = Depends(user)) -> JSONResponse:  # noqa: FAST002
            self.deleted.append(item)
            self._writer(who, collection)
            if who not in self.administrators:
                raise HTTPException(422, "User is not authorized to delete items in this collection")
            return self._delete(collection, item)

        return api

    def _posted(self, body: Item, collection: str, stage_in: StageIn) -> JSONResponse:
        if body.get("type") == "Feature":
            self.batches.append(1)
            taken = self._take(body, collection, stage_in)
            return JSONResponse(taken, _status([taken]))
        features = body.get("features")
        if body.get("type") != "FeatureCollection" or not isinstance(features, list) or not features:
            raise HTTPException(422, "You need to post an item of the type Feature or FeatureCollection")
        self.batches.append(len(features))
        answers = self._take_all(features, collection, stage_in)
        return JSONResponse({"type": "FeatureCollection", "features": answers}, _status(answers))

    def _take_all(self, features: list[Item], collection: str, stage_in: StageIn) -> list[Item]:
        """One that the server stumbles over makes the whole answer a 500; the others are taken all the same."""
        answers, stumbled = [], None
        for feature in features:
            try:
                answers.append(self._take(feature, collection, stage_in))
            except TypeError as error:
                stumbled = error
        if stumbled is not None:
            raise stumbled
        return answers

    def _writer(self, who: str, collection: str) -> StageIn:
        if (who, collection) not in self.writers:
            raise _unauthorised("User is not authorized to this collection")
        return self.writers[who, collection]

    def _delete(self, collection: str, item: str) -> JSONResponse:
        found = self.catalogue.items.get(collection, {}).pop(item, None)
        if found is None:
            raise HTTPException(404, {"id": item, "failure_reason": "Item not found"})
        for asset in found["assets"].values():
            if asset["href"].startswith("/d/"):
                (self.archive / asset["href"].removeprefix("/d/")).unlink(missing_ok=True)
        return JSONResponse({"id": item, "message": "deleted"}, 201)

    # --- an Item

    def _take(self, item: Item, collection: str, stage_in: StageIn) -> Item:
        """The Item as it is catalogued, or its id and the reason why not."""
        if "id" not in item:
            return {"id": "unknown", "failure_reason": "ID is required in the STAC item to be ingested"}
        self.posted.append(item["id"])
        if item["id"] in self.stumbles:
            raise TypeError(item["id"])
        if item["id"] in self.own_rules:
            return {"id": item["id"], "failure_reason": self.own_rules[item["id"]]}
        try:
            _check_item(item, collection)
            moves = _place(item, collection, _check_assets(item, stage_in))
            self._post(item, collection)
            self._move(moves, stage_in)
        except Refused as refused:
            return {"id": item["id"], "failure_reason": str(refused)}
        return item

    def _post(self, item: Item, collection: str) -> None:
        status = self.catalogue.post(collection, item)
        if status == 409:
            raise Refused("Item already exists")
        if status >= 400:
            raise Refused(f"Catalogue refused STAC: HTTP Error {status}")
        if not item["id"]:  # the real one keeps a copy under that name, which is its folder's
            raise Refused("Failed to store STAC in datastore: Exception: Is a directory")

    def _move(self, moves: list[Move], stage_in: StageIn) -> None:
        for source, target in moves:
            place = self.archive / target
            if place.name in self.unmovable:
                raise Refused(f"Failed to store asset {place.name} in datastore: Exception: the disk is full")
            place.parent.mkdir(parents=True, exist_ok=True)
            stage_in.move(source, place)
            if place.name in self.cut:
                place.write_bytes(place.read_bytes()[:-1])
            if place.is_file():
                place.touch()


def _unauthorised(detail: str) -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": "Basic"})


def _status(answers: list[Item]) -> int:
    """The worst of them."""
    reasons = [answer["failure_reason"] for answer in answers if "failure_reason" in answer]
    if any(reason != "Item already exists" for reason in reasons):
        return 422
    return 409 if reasons else 201


def _is_name(text: str) -> bool:
    return len(text) <= 100 and not re.search(r"[^a-zA-Z0-9._-]", text)


def _check_item(item: Item, collection: str) -> None:
    """In the real one's order; what is lacking and has a default is filled in."""
    if not _is_name(item["id"]):
        raise Refused("ID field is invalid. Only [a-zA-Z0-9._-] are allowed")
    extensions = item.get("stac_extensions")
    if not isinstance(extensions, list) or FILE_EXTENSION not in extensions:
        named = "https://stac-extensions.github.io/storage/v1.0.0/schema.json"
        raise Refused(f"STAC Extension '{named}' is required")
    if item.setdefault("collection", collection) != collection:
        raise Refused("Collection ID contained in the STAC JSON is different from the one in the POST")
    item.setdefault("links", [])
    item.setdefault("geometry", None)
    if "properties" not in item:
        raise Refused("Missing required property field from the STAC JSON")
    _check_times(item["properties"])


def _check_times(properties: Item) -> None:
    for key in ("start_datetime", "end_datetime"):
        if key not in properties:
            raise Refused(f"Missing required {key} from the STAC JSON")
    if properties.get("datetime") is None:
        properties["datetime"] = properties["start_datetime"]
    for key in ("start_datetime", "end_datetime", "datetime"):
        try:
            datetime.fromisoformat(properties[key])
        except (TypeError, ValueError):
            raise Refused(f"Failed to parse product date time. {properties[key]} is an invalid ISO time") from None


def _check_assets(item: Item, stage_in: StageIn) -> dict[str, str]:
    """Staged paths, folders with a final slash, and the assets that they are of."""
    lacking = "At least one asset with role 'data' or 'documentation' is mandatory."
    if "assets" not in item:
        raise Refused(f"No assets provided. {lacking}")
    staged, has_data = {}, False
    for key in item["assets"]:
        asset = item["assets"][key]
        _check_fields(key, asset)
        has_data = has_data or "data" in asset["roles"] or "documentation" in asset["roles"]
        if "://" not in asset["href"]:
            staged[_staged(key, asset, stage_in)] = key
    if not has_data:
        raise Refused(lacking)
    return staged


def _check_fields(key: str, asset: Item) -> None:
    for name, kind in _MUST.items():
        if name not in asset:
            raise Refused(f"{key} asset does not have the mandatory '{name}' metadata.")
        if not isinstance(asset[name], kind):
            raise Refused(f"{key} asset metadata '{name}' is invalid.")


def _staged(key: str, asset: Item, stage_in: StageIn) -> str:
    path = normpath(join(_ROOT, asset["href"]))
    if not path.startswith(_ROOT):
        raise Refused(f"{key} asset {asset['href']} is out of the staging area")
    size = stage_in.size(path.removeprefix(_ROOT).lstrip("/"))
    if size is None:
        raise Refused(f"{key} asset {asset['href']} not found in the staging area location")
    if size >= 0 and size != asset["file:size"]:
        raise Refused(f"Asset {key} is invalid. File size does not match the one of the file in the S3 stagein path")
    return f"{path}/" if size < 0 else path


def _place(item: Item, collection: str, staged: dict[str, str]) -> list[Move]:
    """Rewrites the hrefs. A path that begins with the one before it counts as moved with it, a folder or not."""
    day = datetime.fromisoformat(item["properties"]["datetime"]).strftime("%Y/%m/%d")
    base = join(collection, day, item["id"])
    moves: list[Move] = []
    last = last_href = None
    for path in sorted(staged):
        key, asset = staged[path], item["assets"][staged[path]]
        if last is not None and path.startswith(last):
            asset["href"] = last_href + path[len(last) :]
            continue
        last = path.removesuffix("/")
        name = basename(last)
        if not _is_name(name):
            raise Refused(f"Asset {key} file name is invalid. Only [a-zA-Z0-9._-] are allowed")
        target = join(base, name)
        if target in [move.target for move in moves]:
            raise Refused(f"Asset {key} file name is not unique. Another asset in the product has the same file name")
        moves.append(Move(last.removeprefix(_ROOT).lstrip("/"), target))
        asset["href"] = last_href = f"/d/{target}"
    return moves
