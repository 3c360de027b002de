"""Limits HTTP for strangers' files to public addresses, and to hosts that a person named.

Addresses are judged after they are resolved and when the connection is made, that of each redirect too: no spelling of
an address (``127.1``, ``0x7f.1``) and no second answer of a name server gets round it. Private, loopback, link-local
and other special addresses are those of the IANA registries (RFC 6890).
"""

from __future__ import annotations

import ipaddress
import os
import socket
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from earthcode_pack.errors import OutsideError
from earthcode_pack.storage.connection import REQUEST, aiohttp_timeout, proxy_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED_HOSTS = "EARTHCODE_PACK_ALLOWED_HOSTS"
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052, 2.1
_COMPATIBLE = ipaddress.ip_network("::/96")  # RFC 4291, 2.5.5.1
_named: ContextVar[frozenset[str] | None] = ContextVar("named", default=None)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@contextmanager
def only_public(url: str | None = None) -> Iterator[None]:
    """Restricts HTTP to public addresses, to the host and port of ``url``, and to what the operator allows."""
    token = _named.set(frozenset({urlsplit(url).netloc} if url and url.startswith("http") else ()))
    try:
        yield
    finally:
        _named.reset(token)


def may_reach(url: str) -> bool:
    """Tells whether a file's http or https URL may be asked: each address of its host is public or allowed."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    allowed = _Allowed.now(proxy_for(url))
    return all(allowed.includes(address, port) for address in _addresses(host, port))


def http_options(url: str) -> dict[str, Any]:
    """Options of fsspec's HTTP file system for a URL; none for another protocol.

    Raises:
        OutsideError: the URL may not be asked.

    """
    if not url.startswith(("http://", "https://")):
        return {}
    return {"client_kwargs": {"timeout": aiohttp_timeout()}} if _named.get() is None else _restricted(url)


def _restricted(url: str) -> dict[str, Any]:
    if not may_reach(url):
        raise _forbidden(urlsplit(url).hostname or "")
    proxy = proxy_for(url)
    return _options(os.getpid(), _Allowed.now(proxy), proxy)


@dataclass(frozen=True)
class Answered:
    """An HTTP answer: status, headers in lower case, and the first bytes of the body."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


def ask(method: str, url: str, *, headers: dict[str, str] | None = None, most: int = 0) -> Answered:
    """Asks for a URL, following redirects; the body is read up to ``most`` bytes.

    Raises what aiohttp raises, and ``OutsideError`` where the URL may not be asked.
    """
    from fsspec.asyn import sync  # noqa: PLC0415 - only for what is remote
    from fsspec.implementations.http import HTTPFileSystem  # noqa: PLC0415

    fs = HTTPFileSystem(**_restricted(url))
    answered: Answered = sync(fs.loop, _asked, fs, method, url, headers or {}, most)
    return answered


async def _asked(fs: Any, method: str, url: str, headers: dict[str, str], most: int) -> Answered:
    session, body = await fs.set_session(), bytearray()
    async with session.request(method, fs.encode_url(url), headers=headers, allow_redirects=True, **fs.kwargs) as got:
        while len(body) < most and (block := await got.content.read(most - len(body))):
            body += block
        return Answered(got.status, {key.lower(): value for key, value in got.headers.items()}, bytes(body))


# --- which addresses


@dataclass(frozen=True)
class _Allowed:
    """Addresses with ports that a person named, and networks that the operator allows."""

    endpoints: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[Any, ...] = field(default=())

    @classmethod
    def now(cls, proxy: str | None) -> _Allowed:
        """Returns those of the environment, of ``only_public``, and the proxy."""
        named = {*(_named.get() or ()), *([urlsplit(proxy).netloc] if proxy else [])}
        networks, hosts = _operators(os.environ.get(ALLOWED_HOSTS, ""))
        endpoints = {each for name in named for each in _endpoints(name)}
        addresses = {(address, 0) for host in hosts for address in _addresses(host, 0)}
        return cls(frozenset(endpoints | addresses), networks)

    def includes(self, address: str, port: int) -> bool:
        """Tells whether a connection may go there."""
        if {(address, port), (address, 0)} & self.endpoints:
            return True
        ip = ipaddress.ip_address(address.partition("%")[0])
        return _is_public(ip) or any(ip in network for network in self.networks)


def _operators(setting: str) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The networks, and the names of hosts, of a list with commas between."""
    networks, hosts = [], []
    for part in filter(None, (part.strip() for part in setting.split(","))):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError:
            hosts.append(part)
    return tuple(networks), tuple(hosts)


def _endpoints(netloc: str) -> set[tuple[str, int]]:
    parts = urlsplit(f"//{netloc}")
    ports = [parts.port] if parts.port else list(_PORTS.values())
    return {(address, port) for port in ports for address in _addresses(parts.hostname or "", port)}


@lru_cache(maxsize=1000)
def _addresses(host: str, port: int) -> frozenset[str]:
    """The addresses of a host by whatever spelling; none where it has none, and connecting says why."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(info[4][0]) for info in found)


def _is_public(address: Address) -> bool:
    """Tells whether an address is reachable from everywhere, and so is the IPv4 address that it stands for, if any.

    >>> [_is_public(ipaddress.ip_address(text)) for text in ("8.8.8.8", "169.254.169.254", "::ffff:10.0.0.1")]
    [True, False, False]
    """
    return all(each.is_global and not each.is_multicast for each in (address, *_within(address)))


def _within(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    tunnelled = [low] if address in _NAT64 or address in _COMPATIBLE else []
    return [each for each in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()), *tunnelled) if each]


# --- the client


@lru_cache(maxsize=16)
def _options(process: int, allowed: _Allowed, proxy: str | None) -> dict[str, Any]:  # noqa: ARG001 - a key
    """The same object for the same answer, so that fsspec keeps one client."""
    return {"get_client": _Client(allowed), **({"proxy": proxy} if proxy else {})}


@dataclass(frozen=True)
class _Client:
    """Makes sessions whose connections and redirects go to allowed addresses only."""

    allowed: _Allowed

    async def __call__(self, **options: Any) -> Any:
        import aiohttp  # noqa: PLC0415 - only for what is remote

        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(self._redirected)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=self._socket, happy_eyeballs_delay=None),
            timeout=aiohttp_timeout(total=REQUEST),
            trace_configs=[trace],
            **{key: value for key, value in options.items() if key != "loop"},
        )

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self.allowed.includes(str(address[0]), int(address[1])):
            raise _forbidden(str(address[0]))
        return socket.socket(family, kind, protocol)

    async def _redirected(self, _session: Any, _context: Any, said: Any) -> None:
        """Judges where a redirect leads, for a proxy would connect there itself."""
        url = said.response.url
        target = url.join(type(url)(said.response.headers.get("Location", "")))
        port = target.port or 0
        if not all(self.allowed.includes(address, port) for address in _addresses(target.host or "", port)):
            raise _forbidden(target.host or "")


def _forbidden(host: str) -> OutsideError:
    return OutsideError(
        f"{host}: an address of this machine or of a private network, which a file or a redirect leads to",
        f"name it in {ALLOWED_HOSTS} if you trust it",
    )
