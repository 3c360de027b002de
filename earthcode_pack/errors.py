"""Exceptions of the package, by who can fix the problem.

::

    EarthcodePackError
    ├── UserError            the profile or the command line is wrong by itself     exit 2
    │   ├── ProfileError     the profile: file, line, key, remedy
    │   ├── NotApproved      the bundle's digest is not the approved one
    │   ├── MissingExtra     an optional part of the package is not installed
    │   ├── VersionTaken     this version is published with another digest
    │   └── UnknownId        an id that the Open Science Catalog does not hold
    ├── SourceError          one input cannot be used; the others go on             exit 1
    │   ├── Unreadable       not a file of the format that it seems to be
    │   ├── Contradiction    the profile and the data, or two files, disagree
    │   └── NotEqual         the written output differs from the source
    └── OutsideError         storage, gateway or catalogue failed                   exit 3
        └── Locked           another run holds the bundle

A message names the file, the variable and the value; ``remedy`` says what to do, most often which key of the
profile to set. Neither holds a secret: URLs in them lose user, password and query.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, ClassVar

from earthcode_pack.redact import one_line, redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

AGAIN = "fetch or write the file again, or leave it out of source.href"  # the remedy for a file that is damaged


class EarthcodePackError(Exception):
    """Base class: a message, a remedy and the exit code of contract 4.1."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = "\n".join(map(one_line, redacted(message).split("\n")))
        self.remedy = redacted(remedy)
        super().__init__(self.message, self.remedy)

    def __str__(self) -> str:
        return f"{self.message} — {self.remedy}" if self.remedy else self.message


class UserError(EarthcodePackError):
    """The profile or the command line is wrong by itself."""

    exit_code = 2


class ProfileError(UserError):
    """The profile cannot be used as it is written."""


class MissingExtra(UserError):
    """An extra of the package is needed and not installed; the remedy is the command for pip."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs the extra {extra}, which is not installed", install_extra(extra))
        self.purpose, self.extra = purpose, extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        """Pickles the error with its own arguments."""
        return type(self), (self.purpose, self.extra)


def install_extra(extra: str) -> str:
    """Returns the command that installs an extra of the package.

    >>> install_extra("grib")
    "pip install 'earthcode-pack[grib]'"
    """
    return f"pip install 'earthcode-pack[{extra}]'"


class NotApproved(UserError):
    """The bundle's digest is not the approved one."""


class VersionTaken(UserError):
    """The version is already published with another digest; a published version never changes."""


class UnknownId(UserError):
    """An id is not in the Open Science Catalog, nor described under ``catalog.new``."""


class SourceError(EarthcodePackError):
    """One source cannot be used; it is reported, and the others go on."""


class Unreadable(SourceError):
    """The bytes are not what their name says, or hold nothing that can be used."""


class Contradiction(SourceError):
    """The profile and the data, or two files, say different things; the message shows both."""


class NotEqual(SourceError):
    """The output, read back, differs from the source; the message says where and by how much."""


class OutsideError(EarthcodePackError):
    """Storage, gateway or catalogue failed; running again resumes."""

    exit_code = 3


class Locked(OutsideError):
    """Another run holds the bundle."""


_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file is too large for this file system",
}
_SAID = re.compile(r"No space left on device|errno = 28\b|database or disk is full|Free disk space available is")


def full_disk(error: BaseException | None, where: str) -> OutsideError | None:
    """Makes the error for a write that failed for lack of space; None for another error.

    The cause is known by errno, or by the messages of GDAL, HDF5 and SQLite, also where a library wraps the error.

    Args:
        error: as it was raised.
        where: the file, for the message.

    """
    for each in causes(error):
        words = _FULL.get(each.errno or 0) if isinstance(each, OSError) else None
        if words or _SAID.search(str(each)):
            return OutsideError(f"{where}: {words or _FULL[errno.ENOSPC]}", "free space and run again: it resumes")
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and what it was raised from, the first cause last; a circle of them ends."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
