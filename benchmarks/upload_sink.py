"""An S3 server that takes everything and keeps nothing but sizes: what an upload costs when the server costs nothing.

``python -m benchmarks.upload_sink`` prints its port and serves until its standard input ends; a line of it is answered
by one. Bodies are discarded in the kernel (MSG_TRUNC, tcp(7)), so that it is no bottleneck. Bodies of at most ``SMALL``
bytes are kept, their signed sha256 is checked and their ETag is their md5: a client can see that this server refuses
what was damaged. Larger ones are not looked at, and their ETag is no md5, as that of an encrypted object; that of an
upload in parts is made of its parts'.
"""

from __future__ import annotations

import hashlib
import os
import re
import selectors
import socket
import sys
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

SMALL = 200_000  # bytes of a body that is kept
_BLOCK = 8 * 2**20
_OPAQUE = "f0" * 16
_UPLOAD = "sink-upload"
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_NOTHING = f"{_XML}<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
_PAGE = 1000  # objects of a listing
_MODIFIED = "2026-01-01T00:00:00.000Z"
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect:\s*100-continue", re.IGNORECASE)
_META = re.compile(rb"\r\nx-amz-meta-sha256:\s*(\w+)", re.IGNORECASE)
_COPY = re.compile(rb"\r\nx-amz-copy-source:\s*([^\s]+)", re.IGNORECASE)
_SIGNED = re.compile(rb"\r\nx-amz-content-sha256:\s*([0-9a-f]{64})\r", re.IGNORECASE)


class Kept(NamedTuple):
    """What is remembered of an object."""

    size: int
    etag: str
    sha256: str
    body: bytes


@dataclass
class Connection:
    """A client: the request that is being read."""

    socket: socket.socket
    read: bytearray = field(default_factory=bytearray)
    head: bytes = b""
    length: int = 0
    left: int = 0
    body: bytearray = field(default_factory=bytearray)


class Sink:
    """All connections in one thread."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.parts: dict[str, list[int]] = {}
        self.uploading: dict[str, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._waste = bytearray(_BLOCK)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._selector.register(self._server, selectors.EVENT_READ, self)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self.port: int = self._server.getsockname()[1]

    def serve(self) -> None:
        """Until standard input ends."""
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not os.read(sys.stdin.fileno(), _BLOCK):
                        return
                    sys.stdout.write("\n")  # there is nothing to forget
                    sys.stdout.flush()
                    continue
                if key.data is self:
                    self._accept()
                else:
                    self._advance(key.data)

    def _accept(self) -> None:
        connection, _ = self._server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ, Connection(connection))

    def _advance(self, client: Connection) -> None:
        try:
            if client.left and client.length > SMALL:
                client.left -= client.socket.recv_into(self._waste, min(client.left, _BLOCK), socket.MSG_TRUNC)
            else:
                self._read(client)
            self._serve_what_is_whole(client)
        except (ConnectionError, TimeoutError):
            self._selector.unregister(client.socket)
            client.socket.close()

    @staticmethod
    def _read(client: Connection) -> None:
        data = client.socket.recv(65536)
        if not data:
            raise ConnectionResetError
        client.read += data

    def _serve_what_is_whole(self, client: Connection) -> None:
        while True:
            if client.head and not self._take_body(client):
                return
            if client.head:
                client.socket.sendall(self.answer(client.head, client.length, bytes(client.body)))
                client.head = b""
            if not self._take_head(client):
                return

    @staticmethod
    def _take_body(client: Connection) -> bool:
        """Whether the body is there."""
        taken = client.read[: client.left]
        del client.read[: client.left]
        client.left -= len(taken)
        client.body += taken[: SMALL - len(client.body)]
        return client.left == 0

    @staticmethod
    def _take_head(client: Connection) -> bool:
        head, blank, rest = client.read.partition(b"\r\n\r\n")
        if not blank:
            return False
        client.head, client.read, client.body = bytes(head), rest, bytearray()
        length = _LENGTH.search(client.head)
        client.length = client.left = int(length[1]) if length else 0
        if _CONTINUE.search(client.head):
            client.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    # --- S3 -----------------------------------------------------------------------------------------------------------

    def answer(self, head: bytes, length: int, body: bytes) -> bytes:
        """The whole answer to a request whose body began so."""
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        url = urlsplit(target)
        query = parse_qs(url.query, keep_blank_values=True)
        key = unquote(url.path)
        if method == "PUT":
            return self._put(key, query, head + b"\r", length, body)
        if method == "POST":
            return self._post(key, query, head, body)
        if method == "DELETE":
            self.kept.pop(key, None)
            return _http("204 No Content")
        return self._get(key, query, method)

    def _put(self, key: str, query: dict[str, list[str]], head: bytes, length: int, body: bytes) -> bytes:
        if source := _COPY.search(head):
            return self._copy(key, f"/{unquote(source[1].decode()).lstrip('/')}")
        etag = _OPAQUE if "partNumber" in query else f"{_OPAQUE}-sink"
        if length <= SMALL:
            signed = _SIGNED.search(head)
            if signed and signed[1].decode() != hashlib.sha256(body).hexdigest():
                return _http("400 Bad Request", _error("XAmzContentSHA256Mismatch"))
            etag = etag if "partNumber" in query else hashlib.md5(body, usedforsecurity=False).hexdigest()
        if "partNumber" in query:
            self.parts.setdefault(key, []).append(length)
        else:
            self.kept[key] = Kept(length, etag, _stated(head), body if length <= SMALL else b"")
        return _http("200 OK", headers=f'ETag: "{etag}"\r\n')

    def _copy(self, key: str, source: str) -> bytes:
        """A copy at the server, by which ``rclone`` corrects a time now and then."""
        found = self.kept.get(source)
        if found is None:
            return _http("404 Not Found", _error("NoSuchKey"))
        self.kept[key] = found
        told = f"<ETag>{found.etag}</ETag><LastModified>{_MODIFIED}</LastModified>"
        return _http("200 OK", f"{_XML}<CopyObjectResult>{told}</CopyObjectResult>")

    def _post(self, key: str, query: dict[str, list[str]], head: bytes, sent: bytes) -> bytes:
        if "uploads" in query:
            self.uploading[key], self.parts[key] = head + b"\r", []
            body = f"<UploadId>{_UPLOAD}</UploadId><Bucket>b</Bucket><Key>k</Key>"
            return _http("200 OK", f"{_XML}<InitiateMultipartUploadResult>{body}</InitiateMultipartUploadResult>")
        if "uploadId" in query:
            stated = _stated(self.uploading.pop(key, b""))
            sizes = self.parts.pop(key, [])
            digest = hashlib.md5(bytes.fromhex(_OPAQUE) * len(sizes), usedforsecurity=False).hexdigest()
            etag = f"{digest}-{len(sizes)}"
            self.kept[key] = Kept(sum(sizes), etag, stated, b"")
            body = f'<ETag>"{etag}"</ETag><Bucket>b</Bucket><Key>k</Key>'
            return _http("200 OK", f"{_XML}<CompleteMultipartUploadResult>{body}</CompleteMultipartUploadResult>")
        for name in re.findall(r"<Key>(.*?)</Key>", sent.decode()):
            self.kept.pop(f"{key.rstrip('/')}/{unescape(name)}", None)
        return _http("200 OK", f"{_XML}<DeleteResult></DeleteResult>")

    def _get(self, key: str, query: dict[str, list[str]], method: str) -> bytes:
        if key.count("/") < 2:  # noqa: PLR2004 - a bucket
            listed = self._listing(key, query) if "list-type" in query or "prefix" in query else _NOTHING
            return _http("200 OK", "" if method == "HEAD" else listed)
        found = self.kept.get(key)
        if found is None:
            return _http("404 Not Found", "" if method == "HEAD" else _error("NoSuchKey"))
        if method == "GET" and len(found.body) != found.size:
            return _http("501 Not Implemented", _error("NotImplemented"))  # it was discarded
        headers = f'ETag: "{found.etag}"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n'
        headers += f"x-amz-meta-sha256: {found.sha256}\r\n" if found.sha256 else ""
        return _http("200 OK", found.body, headers, found.size)

    def _listing(self, bucket: str, query: dict[str, list[str]]) -> str:
        """Up to a thousand objects and folders, of either version of the call; a mark is the last of them."""
        if "uploads" in query:
            return f"{_XML}<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        root = f"{bucket.rstrip('/')}/"
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        after = query.get("continuation-token", query.get("marker", [""]))[0]
        names = sorted(name.removeprefix(root) for name in self.kept if name.startswith(root + prefix))
        rolled = dict.fromkeys(_rolled(name, len(prefix), delimiter) for name in names)
        page = [name for name in rolled if name > after][: _PAGE + 1]
        entries = "".join(_entry(name, self.kept.get(root + name)) for name in page[:_PAGE])
        more = len(page) > _PAGE
        mark = escape(page[_PAGE - 1]) if more else ""
        marks = f"<NextContinuationToken>{mark}</NextContinuationToken><NextMarker>{mark}</NextMarker>" if more else ""
        facts = f"<KeyCount>{min(len(page), _PAGE)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>{marks}"
        facts += "<EncodingType>url</EncodingType>"
        return f"{_XML}<ListBucketResult><Name>b</Name>{facts}{entries}</ListBucketResult>"


def _rolled(name: str, start: int, delimiter: str) -> str:
    """A name as it is listed: up to the first delimiter from ``start`` on."""
    end = name.find(delimiter, start) if delimiter else -1
    return name if end < 0 else name[: end + 1]


def _entry(name: str, found: Kept | None) -> str:
    if found is None:
        return f"<CommonPrefixes><Prefix>{escape(quote(name))}</Prefix></CommonPrefixes>"
    facts = f"<Size>{found.size}</Size><ETag>&quot;{found.etag}&quot;</ETag><LastModified>{_MODIFIED}</LastModified>"
    return f"<Contents><Key>{escape(quote(name))}</Key>{facts}</Contents>"


def _stated(head: bytes) -> str:
    found = _META.search(head)
    return found[1].decode() if found else ""


def _error(code: str) -> str:
    return f"{_XML}<Error><Code>{code}</Code></Error>"


def _http(status: str, body: str | bytes = b"", headers: str = "", length: int | None = None) -> bytes:
    """An answer; ``length`` where it is not that of the body, as of a HEAD."""
    raw = body.encode() if isinstance(body, str) else body
    size = len(raw) if length is None else length
    kind = "Content-Type: application/xml\r\n" if raw else ""
    return f"HTTP/1.1 {status}\r\n{headers}{kind}Content-Length: {size}\r\n\r\n".encode() + raw


def main() -> None:
    """Serves until standard input ends."""
    sink = Sink()
    sys.stdout.write(f"{sink.port}\n")
    sys.stdout.flush()
    sink.serve()


if __name__ == "__main__":
    main()
