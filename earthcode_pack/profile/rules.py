"""Types of the values in a profile: an SPDX licence, a bare DOI, a date, a slug, a rate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Annotated, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from earthcode_pack.cf import units
from earthcode_pack.execution.waiting import seconds_of
from earthcode_pack.profile.period import TimePattern, parse_period
from earthcode_pack.redact import SIGNATURE, USER

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG]?)(i?)(B|bit)/s")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3}


def bytes_per_second(text: str) -> float:
    """Parses a rate of transfer into bytes per second; ``B`` is bytes, ``bit`` bits (IEC 80000-13).

    Raises ``ValueError`` for what is no rate.

    >>> bytes_per_second("50 MB/s"), bytes_per_second("1.5MiB/s"), bytes_per_second("100 Mbit/s")
    (50000000.0, 1572864.0, 12500000.0)
    """
    match = _RATE.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{text!r} is no rate such as 50 MB/s")
    number, prefix, binary, unit = match.groups()
    rate: float = float(number) * (1024 if binary else 1000) ** _POWERS[prefix] / (8 if unit == "bit" else 1)
    return rate


class Part(BaseModel):
    """A part of the profile: frozen, without unknown keys, its numbers finite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, str_strip_whitespace=True, allow_inf_nan=False
    )


def _not_dots(text: str) -> str:
    if text in (".", ".."):
        raise ValueError("must not be . or ..")
    return text


def _spdx(text: str) -> str:
    """Requires an SPDX id as the Open Science Catalog takes it: ``other`` and near misses fail its validator."""
    if text in ("proprietary", "various"):
        return text
    for attempt in (text, re.sub(r"[\s_]+", "-", text)):
        try:
            known = str(canonicalize_license_expression(attempt))
        except InvalidLicenseExpression:
            continue
        if known == text and " " not in known:
            return text
        raise ValueError(f"{text!r} is not an SPDX id; did you mean {known}?")
    raise ValueError(f"{text!r} is not an SPDX id (https://spdx.org/licenses), nor proprietary or various")


def _bare_doi(text: str) -> str:
    bare = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:)", "", text)
    if not re.fullmatch(r"10\.\d{4,9}/\S+", bare):
        raise ValueError(f"{text!r} is not a DOI such as 10.5281/zenodo.1234567")
    if bare != text:
        raise ValueError(f"write the DOI without its URL: {bare}")
    return text


def _no_secret(text: str) -> str:
    """Refuses a URL with a user or a signature; the user of a git URL (ssh://git@host/…) is no secret."""
    if USER.search(text) and not text.startswith("ssh://git@"):
        raise ValueError("must hold no user name or password; set them in the environment or the AWS files")
    if SIGNATURE.search(text):
        raise ValueError("must hold no signature or token; set credentials in the environment or the AWS files")
    return text


def _no_secret_values(settings: dict[str, Any]) -> dict[str, Any]:
    """Refuses a key that names a secret, and a value that looks like one, however deep it lies."""
    for key, value in _leaves(settings):
        named = _SECRET_KEY.search(key) if isinstance(value, str) else _PASSWORD_KEY.search(key)
        if named and not isinstance(value, bool | None):
            raise ValueError(f"{key}: a secret does not belong in a profile; set it in the environment")
        if isinstance(value, str) and (is_secret("", value) or _ASSIGNED.search(value)):
            raise ValueError(f"{key}: its value looks like a secret, which does not belong in a profile; leave it out")
    return settings


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the single values of nested mappings and lists, and their keys, each with the key above it."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield key, str(name)
            yield from _leaves(part, str(name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part, key)
    else:
        yield key, value


def _no_token(text: str) -> str:
    """Refuses a text that holds a URL with a password or signature, or a key by its own form."""
    if USER.search(text) or SIGNATURE.search(text) or _TOKEN.search(text):
        raise ValueError("must hold no password, signature or token: what the profile says is published")
    return text


def may_hold_a_secret(text: str) -> bool:
    """Tells if a text should not be shown: a user with a password, a query, or what looks like a key."""
    return any(form.search(text) for form in (_PASSWORD, USER, SIGNATURE, _TOKEN)) or _holds_key(text)


def is_secret(key: str, text: str) -> bool:
    """Tells if a field of metadata looks like a secret: by its key, as a URL with a user or signature, or as a key.

    >>> is_secret("secret_access_key", "x"), is_secret("description", "ask mailto:help@example.org")
    (True, False)
    """
    said = any(form.search(text) for form in (USER, SIGNATURE, _TOKEN)) or _holds_key(text)
    return said or bool(_SECRET_KEY.search(key))


def _holds_key(text: str) -> bool:
    """Tells if a text holds a secret of S3: forty characters of base64, with a capital and a digit.

    The sha1 of a commit has forty hexadecimal digits and is none.

    >>> _holds_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), _holds_key("da39a3ee5e6b4b0d3255bfef95601890afd80709")
    (True, False)
    """
    return any(_CAPITAL.search(found[0]) and _DIGIT.search(found[0]) for found in _FORTY.finditer(text))


def _dated(text: object) -> object:
    if isinstance(text, date | int | str) and not isinstance(text, bool):
        parse_period(text)
        return text.isoformat() if isinstance(text, date) else str(text)
    return text


def listed(value: object) -> object:
    """Turns one href into a list of one."""
    return [value] if isinstance(value, str) else value


def stated(value: object) -> object:
    """Expands ``crs: EPSG:4326``, which is short for ``crs: {value: EPSG:4326}``."""
    return value if isinstance(value, Mapping) else {"value": value}


def _known_crs(text: str) -> str:
    from pyproj.exceptions import CRSError  # noqa: PLC0415 - heavy, and only where a profile states a CRS

    from earthcode_pack.geo.crs import stated_crs  # noqa: PLC0415

    try:
        stated_crs(text)
    except CRSError:
        raise ValueError(f"{text!r} is no EPSG code, WKT or PROJ string that PROJ knows") from None
    return text


def _known_units(text: str) -> str:
    """Refuses near misses of units; what UDUNITS does not know at all (``DN``) may be the usage of a field."""
    if not text:
        raise ValueError('must not be empty; a quantity without dimension has units: "1"')
    if not units.is_unit(text) and not units.meanings(text) and (near := units.nearest(text)):
        raise ValueError(f"{text!r} is no unit that UDUNITS reads; did you mean {near}?")
    return text


def _memory(value: str | int) -> str | int:
    """Requires a number of bytes as Dask reads it."""
    from dask.utils import parse_bytes  # noqa: PLC0415 - a quarter of a second, and only where a limit is set

    try:
        enough = parse_bytes(value) > 0
    except ValueError:
        enough = False
    if not enough:
        raise ValueError(f"{value!r} is no amount of memory such as 4GiB")
    return value


def _parsed_by(parse: Callable[[Any], object]) -> AfterValidator:
    """Makes a validator that keeps the value as it is, and requires that ``parse`` accepts it."""

    def validated(value: Any) -> Any:
        parse(value)
        return value

    return AfterValidator(validated)


_PASSWORD = re.compile(r"(?<![^\s/:@])[^\s/:@]{1,200}:[^\s@]{1,200}@")
_SECRET_KEY = re.compile(r"passw|secret|access_?key|api_?key|private_?key|credential|(^|_)token$", re.IGNORECASE)
_PASSWORD_KEY = re.compile(r"passw|secret", re.IGNORECASE)  # of numbers: a token may be counted
# Keys that show by their form what they are: AWS, GitHub, GitLab, Slack, Google, OpenSSH and PEM, JSON Web Tokens.
_TOKEN = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,40}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abposr]-[\w-]{10,}"
    r"|\bAIza[\w-]{30,}|-----BEGIN [A-Z ]{0,30}PRIVATE KEY|\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]{4,}"
)
_CAPITAL, _DIGIT = re.compile("[A-Z]"), re.compile("[0-9]")
_FORTY = re.compile(r"(?<![\w/+])[\w/+]{40}(?![\w/+])")
_ASSIGNED = re.compile(
    r"(?<![A-Za-z])(?:passw(?:or)?d|secret|token|api[_-]?key|secret[_-]?access[_-]?key)s?[\"']?\s{0,3}(?:=|:)\s{0,3}\S"
    r"|--(?:password|passwd|token|secret|api-key)\s{1,3}\S|\bauthorization\s{0,3}:\s{0,3}\S|\bbearer\s{1,3}[\w.~+/-]{16,}",
    re.IGNORECASE,
)

# Each regular expression in words, for the messages and for docs/profile.md.
PATTERNS = {
    r"^[A-Za-z0-9._-]{1,100}$": "1 to 100 of the characters A-Z a-z 0-9 . _ -",
    r"^https?://[^\s]+$": "a URL that begins with https:// or http://",
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$": "an e-mail address",
    r"^[0-9A-Fa-f]{6}$": 'six hexadecimal digits in quotes, such as "006400"',
    r"^[\w.-]+/[\w.-]+$": "owner/name",
    r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$": "a module and a class, such as dask_jobqueue.SLURMCluster",
}

# Ids of the catalogue are its own: nineteen of its projects are longer than a product may be.
CatalogId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,255}$"), AfterValidator(_not_dots)]
Duration = Annotated[str | float, _parsed_by(seconds_of)]
Memory = Annotated[str | int, AfterValidator(_memory)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$"), AfterValidator(_not_dots)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_no_token)]
License = Annotated[Text, AfterValidator(_spdx)]
Doi = Annotated[str, AfterValidator(_bare_doi)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$"), AfterValidator(_no_secret)]
Href = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_no_secret)]  # Linux's PATH_MAX
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Dated = Annotated[str, BeforeValidator(_dated, json_schema_input_type=str | int)]
Units = Annotated[str, AfterValidator(_known_units)]
HexColor = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{6}$")]
Size = Annotated[int, Field(gt=0)]
Pattern = Annotated[str, _parsed_by(TimePattern)]
Crs = Annotated[Text, AfterValidator(_known_crs)]
Rate = Annotated[str, Field(examples=["50 MB/s"]), _parsed_by(bytes_per_second)]
Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
ClassPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")]
Settings = Annotated[dict[str, Any], AfterValidator(_no_secret_values)]
