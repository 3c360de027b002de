"""What the gateway answered, a file for each Item in ``prr/answers/``: with the catalogue, all that a resume needs."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from earthcode_pack.bundle import write_atomic
from earthcode_pack.model import Moment, Value

if TYPE_CHECKING:
    from pathlib import Path

    from earthcode_pack.bundle import Bundle


CREATED = 201  # the only status of an Item that was taken


class Answer(Value):
    """The last that is known of an Item: ``status`` is the gateway's, None where the catalogue had the Item already.

    ``posted`` is the sha256 of the Item as it is posted; ``published`` is when every file was seen at its href.
    """

    item: str
    posted: str
    status: int | None
    body: Any
    answered: Moment
    published: Moment | None = None

    @property
    def is_registered(self) -> bool:
        """Whether the catalogue has the Item, as the gateway or it itself said."""
        return self.status in (None, CREATED)


class Answers:
    """The answers in a bundle. What is unreadable is as good as none: the catalogue is asked anyway."""

    def __init__(self, bundle: Bundle) -> None:
        self._folder = bundle.root / "prr" / "answers"

    def of(self, name: str, posted: str) -> Answer | None:
        """The answer to this very form of an Item."""
        try:
            found = Answer.from_json(self._path(name).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return found if found.posted == posted else None

    def keep(self, answer: Answer) -> None:
        """Writes an answer, whole or not at all."""
        write_atomic(self._path(answer.item), answer.to_json())

    def forget(self, name: str) -> None:
        """Removes the answer about an Item that is not, or not as it is here, in the catalogue."""
        self._path(name).unlink(missing_ok=True)

    def sweep(self, names: set[str]) -> None:
        """Removes the answers about Items that are no more."""
        for path in self._folder.glob("*.json"):
            if path.stem not in names:
                path.unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def digest_of(item: dict[str, Any]) -> str:
    """The sha256 of an Item, whatever the order of its members."""
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()
