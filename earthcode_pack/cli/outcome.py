"""Result of a command: data for --json, a function that shows it to a person, and the exit code."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console


@dataclass(frozen=True)
class Outcome:
    """Result of a command.

    Attributes:
        data: a value of the model, or plain JSON.
        show: writes the result to the console, for a person.
        code: the exit code.
        as_json: write ``data`` as JSON instead.

    """

    data: Any
    show: Callable[[Console], None] = lambda _console: None
    code: int = 0
    as_json: bool = False

    def write(self) -> None:
        """Writes the result to standard output."""
        if self.as_json:
            write_json(self.data)
        else:
            self.show(Console(file=sys.stdout, highlight=False))


def write_json(data: Any) -> None:
    """Writes one object to standard output."""
    sys.stdout.write(json.dumps(_plain(data), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _plain(data: Any) -> Any:
    """Converts values of the model to plain JSON, also within lists and mappings."""
    if hasattr(data, "model_dump_json"):
        return json.loads(data.model_dump_json())
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    return data
