"""Links over http that are refused: a signed one ends at a moment that its query tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit


def expiry(href: str) -> datetime | None:
    """When a signed link ends (UTC); None where it does not say so, as one that is not signed.

    AWS and Google state a date and seconds, older forms and Swift Unix time, Azure a time in ISO 8601.

    >>> print(expiry("https://host/a.nc?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=abc"))
    2020-01-01 00:01:00+00:00
    >>> expiry("https://host/a.nc?year=2020") is None
    True
    """
    said = {key.lower(): value for key, value in parse_qsl(urlsplit(href).query)}
    try:
        for maker in ("x-amz", "x-goog"):
            if f"{maker}-expires" in said:
                signed = datetime.strptime(said[f"{maker}-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                return signed + timedelta(seconds=int(said[f"{maker}-expires"]))
        if moment := said.get("expires") or said.get("temp_url_expires"):
            return datetime.fromtimestamp(int(moment), UTC)
        return datetime.fromisoformat(said["se"]).replace(tzinfo=UTC) if "se" in said else None
    except (KeyError, ValueError, OverflowError):
        return None


def refused(href: str, reached: str, status: str) -> tuple[str, str]:
    """What it means that a server refuses a link with this status, and what to do.

    ``reached`` is the URL that refused, after redirections: a portal sends its readers to signed links.
    """
    now = datetime.now(UTC)
    for link, what, renewal in (
        (href, "the link", "get a new link and run again"),
        (reached, "the signed link that it leads to", "run again for a new one, or ask who serves it"),
    ):
        if (end := expiry(link)) is not None and end <= now:
            return f"{what} has expired ({end:%Y-%m-%dT%H:%M:%SZ})", f"{renewal}: it resumes"
    return (
        f"the server refuses access ({status})",
        "see that it is there, that you may read it, and that the link is still valid, and run again: it resumes",
    )
