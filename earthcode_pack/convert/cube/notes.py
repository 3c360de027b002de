"""What a conversion added, changed or dropped, in words, each once."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Notes:
    """Lines in the order of their first mention."""

    lines: dict[str, None] = field(default_factory=dict)

    def add(self, line: str) -> None:
        """Notes a line, once."""
        self.lines.setdefault(line)
