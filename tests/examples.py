"""How many examples hypothesis tries: a third by default, so that ``make test`` stays quick; all of them in CI."""

import os

ALL = os.environ.get("EARTHCODE_PACK_EXAMPLES") == "all"


def examples(number: int) -> int:
    """The number, or a third of it, and ten at least."""
    return number if ALL else max(number // 3, 10)
