"""Removes user, password and signature from hrefs, and from text that holds hrefs (design, rule 8).

All errors, findings and log lines are redacted, since libraries quote the URLs that they were given.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# a password may itself hold «@», and S3's secrets hold «/»: everything up to the last «@» before the host
_LONG = "{0,2000}"  # no user and password are longer
USER = re.compile(rf"://(?:[^/\s:@\[]+:(?!\d+/)[^\s@?#]{_LONG}@(?:[^/\s@]{_LONG}@)*|[^/\s]{_LONG}@)")
_NAMES = (
    r"(?:x-(?:amz|goog|oss|obs|ms|cos)|awsaccesskeyid|googleaccessid|ossaccesskeyid|key-pair-id)[\w-]*"
    r"|[\w-]*(?:signature|token|secret|password|passwd|credentials?)|(?:[\w-]*_)?sig|sign"
    r"|(?:api|access|account|auth|private|subscription)[_-]?key|authorization|jwt"
)
# as a URL, or as a part of another one's query, where it is percent-encoded
SIGNATURE = re.compile(rf"(?:[?&;#]|%3F|%26)(?:{_NAMES})(?:=|%3D)", re.IGNORECASE)

_TAIL = re.compile(r"\?.*|#[^#]*=.*", re.DOTALL)
CHAIN = re.compile(r"::(?=[a-z][a-z0-9+]*(?:://|::))")  # fsspec's, as in zip://a.nc::https://host/a.zip
_IN_TEXT = re.compile(r"(?<![\w+.-])[\w+.-]*://[^\s'\"<>«»]+")
_QUERY = re.compile(r"\?[^\s'\"<>«»]+")  # of a relative href, or behind a space in a wrong one
_AFTER = "),.:;]}"  # ends a URL in a sentence, not itself


def shown(href: str) -> str:
    """Removes query, user and password from an href.

    >>> shown("https://me:word@host/a.nc?X-Amz-Signature=abc")
    'https://host/a.nc'
    >>> shown("s3://KEY:se/cret@bucket/a.nc"), shown("s3://bucket/2020-??.nc")
    ('s3://bucket/a.nc', 's3://bucket/2020-??.nc')
    """
    return "::".join(map(_shown, CHAIN.split(href))) if "://" in href else href


def _shown(href: str) -> str:
    public = USER.sub("://", href)
    is_pattern = not public.startswith("http") and "=" not in public  # "?" is a character of a glob, and no query
    return public if is_pattern else _TAIL.sub("", public)


def is_signed(href: str) -> bool:
    """Tells if an href gives access by itself: by a user and password, or by a signature or token.

    >>> is_signed("https://host/a?X-Goog-Signature=abc"), is_signed("https://host/a?sig=abc"), is_signed("s3://b/a")
    (True, True, False)
    """
    return any(USER.search(part) or SIGNATURE.search(part) for part in CHAIN.split(href))


def redacted(text: str) -> str:
    """Redacts each URL in a text as ``shown`` does, and signatures of relative hrefs.

    >>> redacted("403, url='https://host/a.nc?X-Amz-Signature=abc': Forbidden")
    "403, url='https://host/a.nc': Forbidden"
    """
    return _each_url(text, lambda _: True)


def unsigned(text: str) -> str:
    """Redacts a text as ``redacted`` does, and keeps queries of URLs without signature or token.

    >>> unsigned("https://host/wms?layers=sst and https://host/a?sig=abc, too")
    'https://host/wms?layers=sst and https://host/a, too'
    """
    return _each_url(text, is_signed)


_MOST = 800  # characters of a line
_SHOWN = 600  # of a longer one, from its beginning


def one_line(text: str) -> str:
    r"""A text that may hold a stranger's words as one line: control characters escaped, a long one cut short.

    >>> one_line("the id is a\n\x1b[2J")
    'the id is a\\n\\x1b[2J'
    >>> len(one_line("a" * 10**6))
    790
    """
    short = text if len(text) <= _MOST else f"{text[:_SHOWN]} … {text[_SHOWN - _MOST + 13 :]}"
    if short.isprintable():
        return short
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in short)


def _escaped(sign: str) -> str:
    r"""``\n``, ``\x1b``; of a byte that is no UTF-8 (PEP 383) that byte."""
    return f"\\x{ord(sign) - 0xDC00:02x}" if "\udc80" <= sign <= "\udcff" else sign.encode("unicode_escape").decode()


def _each_url(text: str, chosen: Callable[[str], bool]) -> str:
    def replaced(match: re.Match[str]) -> str:
        url = match[0].rstrip(_AFTER)
        return shown(url) + match[0][len(url) :] if chosen(url) else match[0]

    plain = _IN_TEXT.sub(replaced, text) if "://" in text else text
    return _QUERY.sub(_unsigned_query, plain) if "?" in plain else plain


def _unsigned_query(match: re.Match[str]) -> str:
    query = match[0].rstrip(_AFTER)
    return match[0][len(query) :] if SIGNATURE.search(query) else match[0]
