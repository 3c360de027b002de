"""The working directory: a folder, or a URL of which this machine keeps a mirror."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from earthcode_pack import bundle as bundles
from earthcode_pack.bundle import Bundle
from earthcode_pack.errors import OutsideError, ProfileError, UserError
from earthcode_pack.files import locked
from earthcode_pack.model import File
from earthcode_pack.remote.mirror import Mirror
from earthcode_pack.storage import Folder
from earthcode_pack.storage.error_messages import shown
from earthcode_pack.storage.scratch import mirrors, stands_here

if TYPE_CHECKING:
    from collections.abc import Collection

_READ_ONLY = ("http", "https", "data", "github", "git", "zip", "tar", "reference", "filecache", "simplecache")


def bundle_in(workdir: str | Path, product: str, version: str) -> Bundle:
    """Returns the bundle of a product, ``<workdir>/<product id>/v<version>``; reads and creates nothing.

    Raises ``ProfileError`` where the workdir is a URL that cannot be one.
    """
    if "://" not in str(workdir):
        return Bundle(Path(workdir).absolute() / product / f"v{version}")
    url = _checked(str(workdir))
    folder = mirrors() / hashlib.sha256(url.encode()).hexdigest()[:16]
    return Bundle(folder / product / f"v{version}", url=f"{url}/{product}/v{version}")


def _checked(workdir: str) -> str:
    """Normalises the URL of a workdir; refuses credentials in it."""
    protocol, _, rest = workdir.rstrip("/").partition("://")
    if protocol in _READ_ONLY or "::" in workdir:
        raise ProfileError(f"workdir {shown(workdir)}: it cannot be written to", "name a folder, or s3://bucket/prefix")
    if "@" in rest.partition("/")[0] or "?" in rest:
        raise ProfileError(
            f"workdir {shown(workdir)}: it must not hold credentials or a query", "set credentials in the environment"
        )
    return f"{'s3' if protocol == 's3a' else protocol}://{rest}"


def open_bundle(target: str | Path) -> Bundle:
    """Opens the bundle in a folder, or at a URL as it is there now, without the data (see ``with_data``).

    Raises ``UserError`` where there is none, ``OutsideError`` where the storage fails.
    """
    if "://" not in str(target):
        return bundles.open_bundle(target)
    workdir, product, version = ["", "", *str(target).rstrip("/").rsplit("/", 2)][-3:]
    bundle = bundle_in(workdir, product, version.removeprefix("v"))
    if not version.startswith("v") or not refresh(bundle) or not (bundle.root / "profile.yaml").is_file():
        raise UserError(f"{shown(str(target))}: no bundle there (no profile.yaml)", "name the URL that `run` printed")
    return bundle


def on_disk(target: str, *, data: bool = True) -> str:
    """Returns the target; for a bundle at a URL the folder of its mirror, with its data or without."""
    if not _is_bundle_url(target):
        return target
    bundle = open_bundle(target)
    return str((with_data(bundle) if data else bundle).root)


def _is_bundle_url(target: str) -> bool:
    """Tells if a URL is that of a bundle: it ends in a version, and has a profile."""
    is_version = target.rstrip("/").rpartition("/")[2].startswith("v")
    protocol, sign, _ = target.partition("://")
    if not sign or not is_version or "::" in target or protocol in _READ_ONLY:
        return False
    try:
        return Folder(target).read("profile.yaml") is not None
    except OutsideError:
        return False  # who reads what is there says what is wrong


def refresh(bundle: Bundle) -> bool:
    """Updates the mirror of a bundle at a URL, unless a run on this machine holds it; tells if there is a bundle."""
    mirror = mirror_of(bundle)
    if mirror is None or stands_here(mirror.url, mirror.root):
        return True
    if not mirror.there and not bundle.root.is_dir():
        return False
    with locked(bundle.root / ".work" / "lock") as is_free:
        if is_free:
            mirror.pull()
        return not is_free or "profile.yaml" in mirror.there


def with_data(bundle: Bundle, but: Collection[str] = ()) -> Bundle:
    """Fetches the data in the manifest of a bundle at a URL, except the keys in ``but``; returns the bundle."""
    mirror = mirror_of(bundle)
    if mirror is not None and bundle.digest is not None:
        entries = (File(key=e.key, size=e.size, sha256=e.sha256.removeprefix("1220")) for e in bundle.manifest())
        mirror.fetch(entry for entry in entries if entry.key.startswith("data/") and entry.key not in but)
    return bundle


def mirror_of(bundle: Bundle) -> Mirror | None:
    """Returns the mirror of a bundle at a URL; None for one in a folder."""
    return None if bundle.url is None else Mirror(bundle.root, bundle.url)
