"""Rates of transfer, such as ``50 MB/s``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG]?)(i?)(B|bit)/s")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3}


def bytes_per_second(text: str) -> float:
    """Bytes per second; ``ValueError`` for what is no rate. ``B`` stands for bytes, ``bit`` for bits (IEC 80000-13).

    >>> bytes_per_second("50 MB/s"), bytes_per_second("1.5MiB/s"), bytes_per_second("100 Mbit/s")
    (50000000.0, 1572864.0, 12500000.0)
    """
    match = _RATE.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{text!r} is no rate such as 50 MB/s")
    number, prefix, binary, unit = match.groups()
    rate: float = float(number) * (1024 if binary else 1000) ** _POWERS[prefix] / (8 if unit == "bit" else 1)
    return rate


def _checked(text: str) -> str:
    bytes_per_second(text)
    return text


Rate = Annotated[str, Field(examples=["50 MB/s"]), AfterValidator(_checked)]
