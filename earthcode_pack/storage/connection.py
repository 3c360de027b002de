"""Time-outs, proxies and certificate authorities: one place for every HTTP client of this package.

botocore and obstore talk to S3, aiohttp (under fsspec) reads http inputs and schemas, urllib3 talks to the PRR's
gateway, and GDAL reads what was published.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from earthcode_pack.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from urllib3 import PoolManager

CONNECT = 10.0  # s to connect
IDLE = 60.0  # s between two bytes of an answer
REQUEST = 120.0  # s for a request with its answer
CONNECTIONS = 64  # that a client keeps

_PROXY_REMEDY = "name one as http://host:port"


@dataclass(frozen=True)
class Timeouts:
    """Seconds. A request may take ``request``, or where that is longer its size at ``slowest`` bytes/s."""

    connect: float = CONNECT
    request: float = REQUEST
    slowest: float = 50_000

    def of(self, size: int) -> float:
        """Returns the longest that a request may take which moves ``size`` bytes."""
        return max(self.request, size / self.slowest)


def proxy_for(url: str) -> str | None:
    """Returns the proxy that the environment names for a URL, as curl and urllib read it; None without one.

    Raises:
        UserError: What it names is no address of an HTTP proxy; the message does not repeat it, it may hold a password.

    """
    parts = urlsplit(url)
    found = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    if not found:
        return None
    proxy = found if "://" in found else f"http://{found}"
    try:
        address = urlsplit(proxy)
        is_address = bool(address.hostname and (address.port is None or address.port))
    except ValueError:
        is_address = False
    if not is_address:
        raise UserError(f"{parts.scheme}_proxy: no address of a proxy", _PROXY_REMEDY)
    if address.scheme not in ("http", "https"):
        raise UserError(f"{parts.scheme}_proxy: a proxy by {address.scheme}", _PROXY_REMEDY)
    return proxy


def ca_bundle(stated: str | None, variables: Sequence[str] = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")) -> str | None:
    """Returns the file of trusted authorities: the one stated, else that of the environment.

    Args:
        stated: ``store.ca_bundle`` of the profile.
        variables: Names of the environment, those that the AWS tools know by default.

    Raises:
        UserError: There is no such file.

    """
    bundle = stated or next((found for name in variables if (found := os.environ.get(name))), None)
    if bundle and not Path(bundle).is_file():
        raise UserError(f"store.ca_bundle: {bundle}: no such file", "name a file of PEM certificates")
    return bundle


def endpoint_of(url: str) -> SplitResult:
    """Returns the parts of an S3 endpoint.

    Raises:
        UserError: It is no ``http(s)://host[:port]``.

    """
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, or half an IPv6 address
        is_server = False
    if not is_server or parts.path.strip("/") or parts.query or parts.fragment:
        remedy = "write http(s)://host or http(s)://host:port in store.endpoint_url (or AWS_ENDPOINT_URL)"
        raise UserError(f"{url}: no endpoint of S3 storage", remedy)
    return parts


# --- the options of each client


def botocore_options(timeouts: Timeouts) -> dict[str, Any]:
    """Returns options of ``botocore.config.Config``, which s3fs takes too; each request is made once.

    The checksums that botocore adds by default fail on Ceph RGW over TLS.
    """
    return {
        "connect_timeout": min(timeouts.connect, timeouts.request),
        "read_timeout": timeouts.request,
        "retries": {"total_max_attempts": 1},
        "max_pool_connections": CONNECTIONS,
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }


def obstore_options(endpoint: str, ca: str | None, connect: float, request: float) -> dict[str, Any]:
    """Returns ``client_options`` and ``retry_config`` of an obstore store; each request is made once."""
    proxy = proxy_for(endpoint)
    return {
        "client_options": {
            "allow_http": endpoint.startswith("http://"),
            "http1_only": True,
            "connect_timeout": timedelta(seconds=min(connect, request)),
            "timeout": timedelta(seconds=request),
            **({"root_certificate": Path(ca).read_bytes()} if ca else {}),
            **({"proxy_url": proxy} if proxy else {}),
        },
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=request)},
    }


def urllib3_pool(url: str, ca: str | None, connections: int) -> PoolManager:
    """Returns a pool of connections to the server of a URL, through the proxy that the environment names."""
    from urllib3 import PoolManager, ProxyManager  # noqa: PLC0415 - only for a gateway

    proxy = proxy_for(url)
    settings: dict[str, Any] = {
        "ca_certs": ca_bundle(ca, ("REQUESTS_CA_BUNDLE",)),
        "maxsize": connections,
        "num_pools": connections,
    }
    return ProxyManager(proxy, **settings) if proxy else PoolManager(**settings)


def aiohttp_timeout(total: float | None = None) -> Any:
    """Returns the time-outs of an aiohttp session; without ``total`` a file may take as long as bytes of it come."""
    from aiohttp import ClientTimeout  # noqa: PLC0415 - heavy

    return ClientTimeout(total=total, sock_connect=CONNECT, sock_read=IDLE)


# One file is opened, without a look at its neighbours, and what is there now is read, not what was read before.
GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": f"{CONNECT:.0f}",
    "GDAL_HTTP_TIMEOUT": f"{REQUEST:.0f}",
    "GDAL_HTTP_MAX_RETRY": "3",
    "VSI_CACHE": "FALSE",
    "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsicurl/",
}
