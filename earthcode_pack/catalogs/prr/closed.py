"""What a product says of its own closed store, which is not true at the PRR and is left out of what goes there.

There the hrefs are those of the PRR's archive, and how that lets readers in is the PRR's to say. Access restrictions
reach its operator by the letter.
"""

from __future__ import annotations

from typing import Any

_EXTENSIONS = ("/authentication/", "/storage/", "/alternate-assets/")
_FIELDS = ("auth:", "storage:")

Record = dict[str, Any]


def is_closed(stac: Record) -> bool:
    """Whether an Item or Collection says how readers with keys get into its store."""
    return any(part in url for url in stac.get("stac_extensions", ()) for part in _EXTENSIONS[:2])


def without_store_access(stac: Record) -> Record:
    """An Item or Collection without schemes, references to them, and alternates at another store."""
    if not is_closed(stac):
        return stac
    kept = [url for url in stac["stac_extensions"] if not any(part in url for part in _EXTENSIONS)]
    holders: Record = {
        name: {key: _plain(holder) for key, holder in stac[name].items()}
        for name in ("assets", "item_assets")
        if name in stac
    }
    own = {"properties": _plain(stac["properties"])} if "properties" in stac else {}
    links = [_plain(link) for link in stac.get("links", ())]
    return {**_plain(stac), **own, **holders, "stac_extensions": kept, "links": links}


def _plain(fields: Record) -> Record:
    return {key: value for key, value in fields.items() if not key.startswith(_FIELDS) and key != "alternate"}
