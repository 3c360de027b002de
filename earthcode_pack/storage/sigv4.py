"""Signatures of requests to S3: AWS Signature Version 4, the payload's sha256 always signed.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY = hashlib.sha256(b"").hexdigest()


class Keys(NamedTuple):
    """What a user proves with. Never shown: its text has no secret."""

    access: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return "Keys(…)"


class Signer:
    """Signs for one region. ``keys`` is asked for each request, for some are renewed; ``clock`` gives Unix time."""

    def __init__(self, keys: Callable[[], Keys], region: str, clock: Callable[[], float] = time.time) -> None:
        self._keys, self._region, self._clock = keys, region, clock

    def __call__(self, method: str, path: str, query: str, headers: Mapping[str, str], sha256: str) -> dict[str, str]:
        """The headers, with date and signature. ``path`` and ``query`` as ``path_of`` and ``query_of`` write them.

        ``headers`` have names in lower case, ``host`` among them; all are signed. ``sha256`` (hex) is the payload's.
        """
        keys = self._keys()
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        signed = {**headers, "x-amz-content-sha256": sha256, "x-amz-date": moment}
        if keys.token:
            signed["x-amz-security-token"] = keys.token
        names = sorted(signed)
        fields = "".join(f"{name}:{signed[name]}\n" for name in names)
        canonical = f"{method}\n{path}\n{query}\n{fields}\n{';'.join(names)}\n{sha256}"
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        text = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(_key(keys.secret, moment[:8], self._region), text.encode(), "sha256").hex()
        proof = f"Credential={keys.access}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
        return {**signed, "authorization": f"{_ALGORITHM} {proof}"}


@lru_cache(maxsize=4)
def _key(secret: str, day: str, region: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def path_of(bucket: str, key: str = "") -> str:
    """The path of an object, path style, as it is sent and signed.

    >>> path_of("bucket", "a b/é+c")
    '/bucket/a%20b/%C3%A9%2Bc'
    """
    return quote(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/-_.~")


def query_of(parameters: Mapping[str, str]) -> str:
    """A query in the order in which it is signed.

    >>> query_of({"uploadId": "x/y", "partNumber": "1"})
    'partNumber=1&uploadId=x%2Fy'
    """
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
