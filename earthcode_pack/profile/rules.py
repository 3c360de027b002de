"""Editorial rules as types: an SPDX licence, a bare DOI, a date, a slug."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import AfterValidator, BeforeValidator, Field

from earthcode_pack.period import TimePattern, parse_period


def _not_dots(text: str) -> str:
    if text in (".", ".."):
        raise ValueError("must not be . or ..")
    return text


def _spdx(text: str) -> str:
    """An SPDX id as the Open Science Catalog takes it: ``other`` and near misses fail its validator."""
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
    if re.search(r"://[^/@\s]+@", text):
        raise ValueError("must hold no user name or password; set them in the environment or the AWS files")
    return text


def _dated(text: object) -> object:
    if isinstance(text, date | int | str) and not isinstance(text, bool):
        parse_period(text)
        return text.isoformat() if isinstance(text, date) else str(text)
    return text


def pattern(text: str) -> str:
    TimePattern(text)
    return text


def listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def stated(value: object) -> object:
    return value if isinstance(value, Mapping) else {"value": value}


def known_crs(text: str) -> str:
    from pyproj import CRS  # noqa: PLC0415 - heavy, and only where a profile states a CRS
    from pyproj.exceptions import CRSError  # noqa: PLC0415

    try:
        CRS.from_user_input(text)
    except CRSError:
        raise ValueError(f"{text!r} is no EPSG code, WKT or PROJ string that PROJ knows") from None
    return text


def _known_units(text: str) -> str:
    if not text:
        raise ValueError('must not be empty; a quantity without dimension has units: "1"')
    return text


Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$"), AfterValidator(_not_dots)]
Text = Annotated[str, Field(min_length=1)]
License = Annotated[Text, AfterValidator(_spdx)]
Doi = Annotated[str, AfterValidator(_bare_doi)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$"), AfterValidator(_no_secret)]
Href = Annotated[Text, AfterValidator(_no_secret)]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Dated = Annotated[str, BeforeValidator(_dated)]
Units = Annotated[str, AfterValidator(_known_units)]
HexColor = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{6}$")]
Size = Annotated[int, Field(gt=0)]
Pattern = Annotated[str, AfterValidator(pattern)]
Crs = Annotated[Text, AfterValidator(known_crs)]
