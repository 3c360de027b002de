"""Status of an upload by its ledger alone: no request is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.model import Value
from earthcode_pack.upload.compare import place_name
from earthcode_pack.upload.ledger import State, ledger_path, read_ledger

if TYPE_CHECKING:
    from earthcode_pack.bundle import Bundle


class Standing(Value):
    """Objects and bytes by state, how many uploads of large files are open, and what the last upload ended with.

    What was left over counts as planned.
    """

    objects: dict[str, int]
    size: dict[str, int]
    open_uploads: int
    error: str | None


def standing(bundle: Bundle) -> Standing | None:
    """Returns the status of a bundle's upload to its profile's store; None where this machine has not begun one."""
    profile = bundle.profile()
    if not ledger_path(bundle).is_file():
        return None
    found, error = read_ledger(ledger_path(bundle), place_name(profile))
    rows = [row if row.is_put else row._replace(state=State.PLANNED) for row in found.values()]
    states = [state for state in State if state is not State.LEFT]
    return Standing(
        objects={state.value: sum(row.state is state for row in rows) for state in states},
        size={state.value: sum(row.size for row in rows if row.state is state) for state in states},
        open_uploads=sum(row.upload_id is not None for row in rows),
        error=error,
    )
