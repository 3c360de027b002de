"""Signed links: when they end, and what is said of one that is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from earthcode_pack.storage.error_messages import expiry, in_words, refused

END = datetime(2020, 1, 1, 0, 1, tzinfo=UTC)
PLACE = "https://example.org/a.nc"


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=abc",
        "X-Goog-Date=20200101T000000Z&X-Goog-Expires=60&X-Goog-Signature=abc",
        f"AWSAccessKeyId=me&Signature=abc&Expires={END.timestamp():.0f}",
        f"temp_url_sig=abc&temp_url_expires={END.timestamp():.0f}",
        "sv=2019-02-02&se=2020-01-01T00%3A01%3A00Z&sig=abc",
    ],
)
def test_the_end_of_a_link_by_its_query(query: str) -> None:
    assert expiry(f"{PLACE}?{query}") == END


@pytest.mark.parametrize(
    "query", ["", "?year=2020", "?Expires=soon", "?X-Amz-Expires=60", "?se=later", "?Expires=9e99"]
)
def test_a_link_that_does_not_say_when_it_ends(query: str) -> None:
    assert expiry(PLACE + query) is None


def test_a_link_that_is_still_valid_is_refused_for_another_reason() -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    valid = f"{PLACE}?Expires={later.timestamp():.0f}&Signature=abc"
    assert refused(valid, valid, "403")[0] == "the server refuses access (403)"
    assert refused(PLACE, "", "401")[0] == "the server refuses access (401)"


def test_whose_link_it_is_says_who_can_renew_it() -> None:
    old = f"{PLACE}?Expires=1&Signature=abc"
    assert refused(old, old, "403") == (
        "the link has expired (1970-01-01T00:00:01Z)",
        "get a new link and run again: it resumes",
    )
    meaning, remedy = refused(PLACE, old, "403")
    assert meaning == "the signed link that it leads to has expired (1970-01-01T00:00:01Z)"
    assert "run again for a new one" in remedy


class Answered(Exception):
    """What aiohttp raises: a status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status}, url='{PLACE}'")
        self.status = status


@pytest.mark.parametrize(
    ("status", "words"), [(403, "refuses access (403)"), (404, "no such object"), (503, "overloaded"), (507, "quota")]
)
def test_not_found_is_what_the_server_said(status: int, words: str) -> None:
    """fsspec's http says so of every answer that is none of success."""
    error = FileNotFoundError(PLACE)
    error.__cause__ = Answered(status)
    assert words in in_words(error, f"{PLACE}?Signature=abc").message
    assert "abc" not in str(in_words(error, f"{PLACE}?Signature=abc"))
