"""Reads a profile from a file, a URL or a mapping, and makes its paths absolute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from earthcode_pack.errors import EarthcodePackError, OutsideError, ProfileError
from earthcode_pack.profile.messages import explain
from earthcode_pack.profile.model import Profile
from earthcode_pack.profile.yaml_source import MAX_SIZE, Written, parse
from earthcode_pack.redact import shown

_ABSENT = (404, 410)


def load_profile(profile: str | Path | Mapping[str, Any], base: str | Path | None = None) -> Profile:
    """Reads and validates a profile, and makes its relative paths absolute.

    Args:
        profile: a path, any fsspec URL, or a mapping in the form of the YAML.
        base: folder of relative paths; by default that of the file, and the current folder for a mapping.

    Returns:
        The profile.

    Raises:
        ProfileError: names the file, the line, the key and the nearest valid one.
        OutsideError: the server of a URL does not answer, or refuses it.

    """
    if isinstance(profile, Mapping):
        written = Written("profile", dict(profile))
        return _resolve(_validate(written), str(base or Path.cwd()))
    href = str(profile)
    folder = base or (shown(href).rsplit("/", 1)[0] if "://" in href else Path(href).resolve().parent)
    written = parse(_read(href), Path(shown(href)).name)
    return _resolve(_validate(written), str(folder))


def _open(href: str) -> Any:
    if "://" not in href and "::" not in href:
        if Path(href).is_fifo() and not href.startswith(("/dev/", "/proc/")):  # those of a shell, <(…), are written to
            raise OSError("a named pipe, which may never deliver anything")
        return Path(href).open(encoding="utf-8")
    from fsspec.core import url_to_fs  # noqa: PLC0415 - takes as long as all the rest of reading a profile

    fs, path = url_to_fs(href)
    return fs.open(path, "rt", encoding="utf-8")


def _read(href: str) -> str:
    try:
        with _open(href) as file:
            text = str(file.read(MAX_SIZE + 1))
    except Exception as error:  # noqa: BLE001 - every file system raises its own
        raise _unread(href, error) from None
    if len(text) > MAX_SIZE:
        raise ProfileError(f"{shown(href)}: larger than {MAX_SIZE} characters", "name a profile, not data")
    return text


def _unread(href: str, error: Exception) -> EarthcodePackError:
    """Makes the error for a profile that cannot be read: of the profile's name, or of the server."""
    what = f"{shown(href)}: the profile cannot be read"
    # fsspec's http says "not found" whatever the server answered: the answer is the cause
    answer = (error.__cause__ or error) if isinstance(error, FileNotFoundError) else error
    status = getattr(answer, "status", None)
    if "://" not in href or isinstance(answer, (ValueError, ImportError)):
        return ProfileError(f"{what} ({error})", "name an existing YAML file")
    if status in _ABSENT or isinstance(answer, FileNotFoundError):
        return ProfileError(f"{what} (there is no such file)", "name an existing YAML file")
    why = f"the server answers {status}" if isinstance(status, int) else type(answer).__name__
    return OutsideError(f"{what} ({why})", "see that you may read it, and that the link is still valid, and run again")


def _validate(written: Written) -> Profile:
    if not isinstance(written.data, dict):
        raise ProfileError(
            f"{written.name}: the profile is not a mapping of keys", "begin with product:, as docs/profile.md shows"
        )
    try:
        return Profile.model_validate(written.data)
    except ValidationError as error:
        raise explain(error, written) from None


def _resolve(profile: Profile, base: str) -> Profile:
    """Makes the paths of a profile absolute."""
    paths = {key: [_absolute(href, base) for href in getattr(profile.source, key)] for key in ("href", "follow")}
    source = profile.source.model_copy(update={key: hrefs for key, hrefs in paths.items() if hrefs})
    changes: dict[str, Any] = {"source": source}
    if profile.store is not None:
        changes["store"] = _with_paths(profile.store, ("href", "ca_bundle"), base)
    if profile.catalog is not None:
        changes["catalog"] = _with_paths(profile.catalog, ("metadata",), base)
    return profile.model_copy(update=changes)


def _with_paths[P: BaseModel](part: P, keys: tuple[str, ...], base: str) -> P:
    given = {key: getattr(part, key) for key in keys if getattr(part, key) is not None}
    return part.model_copy(update={key: _absolute(href, base) for key, href in given.items()})


def _absolute(href: str, base: str) -> str:
    if "://" in href or href.startswith("git@"):
        return href
    if "://" in base and not href.startswith(("/", "~")):
        root, _, folder = base.partition("://")[2].partition("/")
        parts = _without_dots((*folder.split("/"), *href.split("/")))
        return "/".join([f"{base.partition('://')[0]}://{root}", *parts])
    path = (Path(base) / Path(href).expanduser()).absolute()
    return str(Path(*path.parts[:1], *_without_dots(path.parts[1:])))


def _without_dots(parts: tuple[str, ...]) -> list[str]:
    """Resolves ``a/../b`` to ``b`` by text alone: links are not followed, and stars of a glob stay."""
    kept: list[str] = []
    for part in parts:
        if part not in ("", "."):
            kept = kept[:-1] if part == ".." else [*kept, part]
    return kept
