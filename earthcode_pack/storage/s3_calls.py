"""The requests of the S3 API that are needed, signed, each answered or refused.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from xml.sax.saxutils import escape

from earthcode_pack.execution.waiting import moved
from earthcode_pack.storage.retry import BadAnswer, Patience, Refused, is_busy, persist
from earthcode_pack.storage.s3_pages import Listing, key_of, listed, next_objects, next_parts, next_uploads, text, xml
from earthcode_pack.storage.sigv4 import EMPTY, Signer, path_of, query_of
from earthcode_pack.storage.wire import Request, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from xml.etree import ElementTree as ET

    from earthcode_pack.storage.answers import Answer
    from earthcode_pack.storage.pace import Pace
    from earthcode_pack.storage.stores import Listed
    from earthcode_pack.storage.wire import Buffer, Stretch

T = TypeVar("T")

logger = logging.getLogger("earthcode_pack")

_CODE = re.compile(rb"<Code>(\w+)</Code>")
_OK = (200, 204, 206)
_GONE = ("NoSuchKey", "404", "NotFound", "NoSuchUpload")
_FORBIDDEN = 403
_MOST_KEYS = 1000  # of a request that deletes


class Part(NamedTuple):
    """A part that the server has."""

    size: int
    etag: str


class Calls:
    """A bucket. Names are whole: prefix and key. What passes is tried again, within the pace of all.

    The first ``patience`` is for a server that has answered before, another one for one that has not: it may not exist.
    """

    def __init__(self, wire: Wire, signer: Signer, bucket: str, pace: Pace, *patience: Patience) -> None:
        self._wire, self._sign, self._bucket = wire, signer, bucket
        self.pace, self._patience, self._first_contact = pace, patience[0], patience[-1]
        self._is_told = False  # that open uploads cannot be ended

    # --- one attempt --------------------------------------------------------------------------------------------------

    def send(
        self,
        method: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Iterable[Buffer] | Stretch = (),
        length: int = 0,
        sha256: str = EMPTY,
        take: Callable[[bytes], object] | None = None,
        expected: int = 0,
    ) -> Answer:
        """One attempt. Raises ``Refused`` for any answer but success, ``OSError`` where none comes."""
        path, parameters = path_of(self._bucket, name), query_of(query or {})
        signed = self._sign(method, path, parameters, {"host": self._wire.authority, **(headers or {})}, sha256)
        target = f"{path}?{parameters}" if parameters else path
        answer = self._wire.send(Request(method, target, signed, body, length), take, expected)
        code = _CODE.search(answer.body) if answer.body else None
        if answer.status not in _OK:
            raise Refused(answer.status, code[1].decode() if code else "")
        if code and b"<Error" in answer.body and method == "POST" and "delete" not in (query or {}):
            raise Refused(500, code[1].decode())  # 200 was said before it failed
        return answer

    def put(
        self,
        name: str,
        stretch: Stretch,
        sha256: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One attempt to put bytes of a file, in steps where there is a rate to keep. Raises as ``send`` does."""
        body = self._paced(stretch.blocks()) if self.pace.has_rate else stretch
        return self.send("PUT", name, query=query, headers=headers, body=body, length=stretch.size, sha256=sha256)

    def _paced(self, blocks: Iterator[memoryview]) -> Iterator[memoryview]:
        for block in blocks:
            self.pace.spend(len(block))
            moved()
            yield block

    def persist(self, attempt: Callable[[], T]) -> T:
        """An attempt, again where it fails in passing; each has its turn."""

        def in_turn() -> T:
            with self.pace.turn():
                moved()  # what comes before this request has its own bound
                return attempt()

        patience = self._patience if self._wire.has_answered else self._first_contact
        return persist(in_turn, patience, what=self.place, failed=self._failed)

    @property
    def place(self) -> str:
        """The server and the bucket, in words."""
        return f"the storage at {self._wire.authority} (bucket {self._bucket})"

    def _failed(self, error: BaseException) -> None:
        if is_busy(error):
            self.pace.slow_down()

    # --- objects ------------------------------------------------------------------------------------------------------

    def head(self, name: str) -> dict[str, str] | None:
        """The headers of an object; None where there is none."""
        answer = self._unless_gone(lambda: self.send("HEAD", name))
        return None if answer is None else answer.headers

    def get(self, name: str, take: Callable[[bytes], object], begin: Callable[[], object], expected: int = 0) -> bool:
        """Gives the bytes of an object to ``take``; ``begin`` is called before each attempt. Whether there is one."""

        def attempt() -> Answer:
            begin()
            return self.send("GET", name, take=take, expected=expected)

        return self._unless_gone(attempt) is not None

    def delete(self, names: Iterable[str]) -> None:
        """Removes objects, a thousand at once."""
        waiting = list(names)
        for first in range(0, len(waiting), _MOST_KEYS):
            self._delete(waiting[first : first + _MOST_KEYS])

    def _delete(self, names: Sequence[str]) -> None:
        named = "".join(f"<Object><Key>{escape(name)}</Key></Object>" for name in names)
        answer = self.post("", {"delete": ""}, f"<Delete><Quiet>true</Quiet>{named}</Delete>")
        failed = [entry.findtext("{*}Code") for entry in xml(answer.body).findall("{*}Error")] if answer.body else []
        if any(code not in _GONE for code in failed):
            raise Refused(500, str(failed[0]))

    def post(self, name: str, query: Mapping[str, str], document: str = "", **headers: str) -> Answer:
        """A POST with a document."""
        body = document.encode()
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        given = {"content-md5": md5, "content-type": "application/xml"} if body else {}
        digest = hashlib.sha256(body).hexdigest()
        given |= headers
        return self.persist(
            lambda: self.send("POST", name, query=query, headers=given, body=(body,), length=len(body), sha256=digest)
        )

    def _unless_gone(self, attempt: Callable[[], Answer]) -> Answer | None:
        try:
            return self.persist(attempt)
        except Refused as error:
            if error.code in _GONE:
                return None
            raise

    # --- listings -----------------------------------------------------------------------------------------------------

    def listing(self, prefix: str, without: int = 0) -> Iterator[Listed]:
        """The objects of a prefix; keys are names without so many characters at their begin."""
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        for page in self._pages(query, next_objects):
            plain = key_of(page)
            for entry in page.findall("{*}Contents"):
                yield listed(entry, plain, prefix, without)

    def uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Name and id of each open multipart upload of a prefix."""
        query = {"uploads": "", "prefix": prefix, "encoding-type": "url"}
        for page in self._pages(query, next_uploads):
            plain = key_of(page)
            for entry in page.findall("{*}Upload"):
                yield plain(text(entry, "Key")), text(entry, "UploadId")

    def parts(self, name: str, upload: str) -> dict[int, Part] | None:
        """By number the parts of an open upload that are there; None where the server does not know it."""
        found = {}
        try:
            for page in self._pages({"uploadId": upload}, next_parts, name):
                for entry in page.findall("{*}Part"):
                    part = Part(int(text(entry, "Size")), text(entry, "ETag").strip('"'))
                    found[int(text(entry, "PartNumber"))] = part
        except Refused as error:
            if error.code in _GONE:
                return None
            raise
        return found

    def _pages(
        self, query: dict[str, str], following: Callable[[ET.Element], dict[str, str]], name: str = ""
    ) -> Iterator[ET.Element]:
        """``following`` gives what asks for the page after one; ``BadAnswer`` where that is nothing new."""
        seen = Listing()
        while True:
            page = xml(self.persist(lambda asked=dict(query): self.send("GET", name, query=asked)).body)  # type: ignore[misc]
            seen.take([entry for kind in ("Contents", "Upload", "Part") for entry in page.findall(f"{{*}}{kind}")])
            yield page
            if page.findtext("{*}IsTruncated") != "true":
                return
            told = following(page)
            if not all(told.values()) or told.items() <= query.items():
                raise BadAnswer("the listing has no end")
            query |= told

    # --- multipart uploads --------------------------------------------------------------------------------------------

    def create(self, name: str, headers: Mapping[str, str]) -> str:
        """Opens an upload and gives its id; others of this very name, which a killed run or a lost answer left, end.

        Only one run sends to a prefix: they are nobody's. Where the keys may not look for them, they stay.
        """
        answers: list[str] = []

        def attempt() -> None:
            answers.append("")
            answer = self.send("POST", name, query={"uploads": ""}, headers=headers)
            answers[-1] = text(xml(answer.body), "UploadId")

        self._end_others(name)
        self.persist(attempt)
        if len(answers) > 1:
            self._end_others(name, answers[-1])
        return answers[-1]

    def _end_others(self, name: str, mine: str = "") -> None:
        try:
            for key, upload in list(self.uploads(name)):
                if key == name and upload != mine:
                    self.abort(name, upload)
        except Refused as error:
            if error.status != _FORBIDDEN:
                raise
            if not self._is_told:
                words = "s3://%s: what killed runs left of large files may stay: the keys may not look for it (%s)"
                logger.warning(words, self._bucket, error.code)
            self._is_told = True

    def complete(self, name: str, upload: str, etags: Sequence[str]) -> None:
        """Makes one object of the parts. An upload that is gone may have been completed: who asked looks at it."""
        numbered = enumerate(etags, 1)
        parts = "".join(f'<Part><PartNumber>{n}</PartNumber><ETag>"{etag}"</ETag></Part>' for n, etag in numbered)
        document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        try:
            self.post(name, {"uploadId": upload}, document)
        except Refused as error:
            if error.code != "NoSuchUpload":
                raise

    def abort(self, name: str, upload: str) -> None:
        """Ends an upload; one that is gone is no failure."""
        self._unless_gone(lambda: self.send("DELETE", name, query={"uploadId": upload}))


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """What the server takes for the present moment."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - only before an upload

    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
