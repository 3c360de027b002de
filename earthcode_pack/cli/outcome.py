"""What a command came to: data for --json, the same in words for a person, and the exit code."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console


def _nothing(console: Console) -> None:
    """Where the data say it all."""


@dataclass(frozen=True)
class Outcome:
    """``data`` is a value of the model or plain JSON; ``show`` writes to the console what a person reads."""

    data: Any
    show: Callable[[Console], None] = _nothing
    code: int = 0
    as_json: bool = False

    def tell(self) -> None:
        """Writes one of the two to standard output."""
        if self.as_json:
            write_json(self.data)
        else:
            self.show(Console(file=sys.stdout, highlight=False))


def write_json(data: Any) -> None:
    """One object on standard output."""
    sys.stdout.write(json.dumps(_plain(data), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _plain(data: Any) -> Any:
    """Values of the model as the JSON that they write, all through lists and mappings."""
    if hasattr(data, "model_dump_json"):
        return json.loads(data.model_dump_json())
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    return data
