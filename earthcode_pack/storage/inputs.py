"""Raw inputs, wherever they lie: a path, or any fsspec URL."""

from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from earthcode_pack.errors import EarthcodePackError, OutsideError, Unreadable, UserError
from earthcode_pack.execution.waiting import Wait, waiting
from earthcode_pack.files import refuse_special
from earthcode_pack.redact import CHAIN, is_signed
from earthcode_pack.storage.connection import Timeouts, botocore_options
from earthcode_pack.storage.credentials import granted, mark
from earthcode_pack.storage.error_messages import in_words, outside, safe_key, shown
from earthcode_pack.storage.local_files import files_below, matches
from earthcode_pack.storage.reach import http_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from earthcode_pack.storage.credentials import Grant


BLOCK = 8 * 2**20
INSTEAD_OF_SIGNED = "fetch what it leads to and name the copy, or its plain URL, with credentials in the environment"
_ABSENT = frozenset({404, 410})

# Listings of s3fs go stale under a long run.
_S3_OPTIONS: dict[str, Any] = {
    "use_listings_cache": False,
    "skip_instance_cache": True,
    "config_kwargs": botocore_options(Timeouts(request=30)),  # s3fs itself asks five times
}


@dataclass(frozen=True)
class Tree:
    """The files behind an href: path by relative key; for a single file the key is its own name.

    ``fs`` is None for local files.
    """

    href: str
    fs: Any
    files: dict[str, str]
    is_folder: bool

    def blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of one file, in blocks."""
        with reading(self.href), self.fs.open(path, "rb", block_size=BLOCK) if self.fs else open(path, "rb") as file:  # noqa: PTH123
            while block := self._read(file):
                yield block

    def _read(self, file: Any) -> bytes:
        with _asking(self.href):
            return bytes(file.read(BLOCK))


def local_path(href: str) -> str | None:
    """The path of a local href, None for a remote one.

    >>> local_path("file:///data/a%20b.nc"), local_path("s3://bucket/a.nc")
    ('/data/a b.nc', None)
    """
    if href.startswith("file://"):
        return unquote(urlsplit(href).path)
    return None if "://" in href else href


def is_folder(href: str) -> bool:
    """Tells whether a local href is a folder, such as a Zarr store; False for a remote one."""
    path = local_path(href)
    return path is not None and Path(path).is_dir()


def glob(href: str) -> list[str]:
    """The files and folders that an href names, sorted; one without a wildcard names itself, where it exists.

    ``**`` matches any depth of folders. A Zarr store matches as the folder that it is. An empty list: nothing matches.
    Raises ``OutsideError`` where the storage does not answer, or has no such bucket, ``UserError`` where what matches
    are signed links: they would be written down with the product, and nothing else tells them from a file.
    """
    path = local_path(href)
    if path is not None:
        return _local_matches(path)
    fs, path = filesystem(href)
    if not _has_wildcard(href):
        return [href] if _info(fs, path, href) else []
    with outside(href), _asking(href):
        found = sorted(_with_protocol(fs, match, href) for match in fs.glob(path))
    if signed := [match for match in found if is_signed(match) and not is_signed(href)]:
        raise UserError(f"{shown(href)}: matches a signed link, {shown(signed[0])}", INSTEAD_OF_SIGNED)
    return found


def _local_matches(path: str) -> list[str]:
    try:
        return [path] if Path(path).exists() else matches(path)
    except (OSError, ValueError):  # a name that no file can have
        raise UserError(f"source.href: {path[:100]}… is no path that a file can have", "correct source.href") from None


def is_there(href: str) -> bool:
    """Tells whether a remote href names a file or folder.

    Raises ``OutsideError`` where its server does not answer, or refuses to say.
    """
    fs, path = filesystem(href)
    return _info(fs, path, href) is not None


def size(href: str) -> int:
    """Bytes of a file, or of all files of a folder.

    Raises ``Unreadable`` where there is none, ``OutsideError`` where the storage does not answer.
    """
    found = tree(href)
    with reading(href):
        if found.fs is None:
            return sum(Path(path).stat().st_size for path in found.files.values())
        return sum(_remote_size(found, path) for path in found.files.values())


def fetch(href: str, folder: Path) -> Path:
    """A local copy of a remote file or folder, whole or not at all; what is local is not copied.

    The copy has the name it has remotely, in a new folder of its own below ``folder``: it cannot collide.
    """
    path = local_path(href)
    if path is not None:
        refuse_special(Path(path), href)
        return Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="fetched-", dir=folder))
    try:
        return _download(tree(href), place)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _download(found: Tree, place: Path) -> Path:
    """Copies all files to a temporary name, compares their sizes, and renames it."""
    part = place / ".part"
    targets = {key: part / key if found.is_folder else part for key in map(_safe(found.href), found.files)}
    for target in targets.values():
        target.parent.mkdir(parents=True, exist_ok=True)
    with reading(found.href), _asking(found.href):
        found.fs.get(list(found.files.values()), [str(target) for target in targets.values()])
        for key, target in targets.items():
            if target.stat().st_size != _remote_size(found, found.files[key]):
                raise OutsideError(f"{shown(found.href)}: {key} came incomplete", "run again")
    return part.rename(place / _name(found.href))


def _safe(href: str) -> Any:
    def checked(key: str) -> str:
        try:
            return safe_key(key)
        except UserError:
            raise Unreadable(f"{shown(href)}: {key!r} would lie outside the folder", "rename the object") from None

    return checked


def _name(href: str) -> str:
    """The last part of an href, as a file name.

    >>> _name("https://host/a%20b.nc?token=x"), _name("s3://bucket/store.zarr/")
    ('a b.nc', 'store.zarr')
    """
    name = posixpath.basename(unquote(urlsplit(href.partition("::")[0]).path).rstrip("/"))
    return name.replace("\\", "_").replace("\0", "_")[-200:] if name not in ("", ".", "..") else "input"


def tree(href: str) -> Tree:
    """The files behind an href; raises ``Unreadable`` where there are none."""
    path = local_path(href)
    if path is not None:
        return _local_tree(href, Path(path))
    fs, path = filesystem(href)
    info = _info(fs, path, href)
    if info is None:
        raise Unreadable(f"{shown(href)}: no such file", "correct source.href")
    if info.get("type") != "directory":
        return Tree(href, fs, {posixpath.basename(path) or "input": path}, is_folder=False)
    with reading(href):
        root = path.rstrip("/") + "/"
        return Tree(href, fs, {found.removeprefix(root): found for found in sorted(fs.find(path))}, is_folder=True)


def _local_tree(href: str, path: Path) -> Tree:
    refuse_special(path)
    if path.is_file():
        return Tree(href, None, {path.name: str(path)}, is_folder=False)
    files = {found.relative_to(path).as_posix(): str(found) for found in files_below(path)}
    return Tree(href, None, files, is_folder=True)


def filesystem(href: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it. Raises ``UserError`` for a protocol that there is not."""
    import fsspec  # noqa: PLC0415 - not needed for local files
    from fsspec.core import url_to_fs  # noqa: PLC0415

    try:
        if href.startswith(("s3://", "s3a://")) and not CHAIN.search(href):
            return _s3(os.getpid(), aws_environment(), granted(href)), href.partition("://")[2]
        if href.startswith(("http://", "https://")) and not CHAIN.search(href):  # fsspec takes [::1] for a chain
            return fsspec.filesystem("http", **_options(href)), href
        fs, path = url_to_fs(href, **_options(href))
    except (ValueError, ImportError, TypeError) as error:  # TypeError: it needs settings that a URL does not hold
        raise UserError(f"{shown(href)}: not a URL that can be read ({type(error).__name__})", "correct it") from None
    except OSError as error:  # of those that connect, or open an archive, at once
        raise in_words(error, href) from None
    return fs, path


def _options(href: str) -> dict[str, Any]:
    """Options of fsspec for a URL, or for the links of a chain by their protocol."""
    place = CHAIN.split(href)[-1]
    http = http_options(place)
    return {"s3": _s3_options(granted(place)), "http": http, "https": http} if CHAIN.search(href) else http


@lru_cache(maxsize=4)
def _s3(process: int, environment: int, grant: Grant | None) -> Any:  # noqa: ARG001 - they are the key
    """One client per process and environment: a new one takes a tenth of a second and connections of its own."""
    import s3fs  # noqa: PLC0415

    return s3fs.S3FileSystem(**_s3_options(grant))


def _s3_options(grant: Grant | None) -> dict[str, Any]:
    if grant is None:
        return _S3_OPTIONS
    keys = {"key": grant.keys.access, "secret": grant.keys.secret, "token": grant.keys.token}
    place = {"endpoint_url": grant.endpoint} if grant.endpoint else {}
    region = {"client_kwargs": {"region_name": grant.region}} if grant.region else {}
    return {**_S3_OPTIONS, **keys, **place, **region}


def aws_environment() -> int:
    """A number for what environment and grants say of S3: another one after each change of credentials or endpoint."""
    said = tuple(sorted((key, value) for key, value in os.environ.items() if key.startswith("AWS_")))
    return hash((said, mark()))


def _info(fs: Any, path: str, href: str) -> dict[str, Any] | None:
    """Asks a file system for a path; None where there is nothing."""
    info = ask(partial(_asked, fs), path, href)
    return None if info is None else dict(info)


def _asked(fs: Any, path: str) -> Any:
    """``fs.info``, but that a server which refuses to say, or fails, raises what it said and not «not found»."""
    try:
        return fs.info(path)
    except FileNotFoundError as error:
        cause = error.__cause__
        is_told = isinstance(cause, EarthcodePackError) or getattr(cause, "status", 404) not in _ABSENT
        if cause is None or not is_told:
            raise
        raise cause from None


def ask[T](question: Callable[[str], T], path: str, href: str) -> T | None:
    """The answer of a file system; None where there is nothing. Errors are in words."""
    with outside(href), _asking(href):
        try:
            return question(path)
        except FileNotFoundError as error:
            cause = error.__cause__  # fsspec's http says «not found» of a server that is not there, too
            if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
                raise cause from None
            return None


def _asking(href: str) -> AbstractContextManager[Wait]:
    """A wait that is said when it takes long; the libraries bound each answer."""
    place = shown(href).partition("?")[0]
    return waiting(f"{place} to be read")


def _has_wildcard(href: str) -> bool:
    return any(sign in href for sign in ("*[" if href.startswith("http") else "*?["))


def _with_protocol(fs: Any, path: str, href: str) -> str:
    """The match as an href of the same form; ``zip://*.nc::…`` keeps what it is chained to."""
    return str(fs.unstrip_protocol(path)) + "".join(href.partition("::")[1:])


def _remote_size(found: Tree, path: str) -> int:
    """Returns the size by the listing; where a server does not tell, the object is read to the end."""
    known = found.fs.info(path).get("size")
    return int(known) if known is not None else sum(len(block) for block in found.blocks(path))


@contextmanager
def reading(href: str) -> Iterator[None]:
    """Errors of reading in words: of a local file ``Unreadable``, of a remote one ``OutsideError``."""
    with outside(href):
        try:
            yield
        except FileNotFoundError:
            raise Unreadable(f"{shown(href)}: it is gone", "run again") from None
        except OSError as error:
            if local_path(href) is None:
                raise
            raise Unreadable(f"{href}: cannot be read ({error.strerror})", "check its permissions") from None
