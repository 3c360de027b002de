"""The letter that hands a product over to the PRR: five points, and what is missing (EarthCODE's PRR tutorial)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.product_facts import format_size
from earthcode_pack.register.collection import prr_id, public_folder
from earthcode_pack.register.handover import MANY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from earthcode_pack.model import Finding
    from earthcode_pack.profile import Profile


def letter(profile: Profile, project: Mapping[str, Any], items: int, size: int, findings: Iterable[Finding]) -> str:
    """``letter.md``: to the EarthCODE team, ESA's technical officer in copy."""
    officer = profile.project.technical_officer
    copy = f"{officer.name} <{officer.email}>" if officer else "ESA's technical officer — name missing: "
    copy += "" if officer else "set project.technical_officer"
    product, name = profile.product, profile.project.title or project.get("title") or profile.project.id
    lines = [
        "To: the EarthCODE team\n",
        f"Copy: {copy}\n",
        f"Subject: {product.title}, version {product.version}, for the Project Results Repository\n",
        f"Please register the Collection `{prr_id(profile)}` (`collection.json`) and let its owner add Items.\n",
        f"1. **Project name**: {name} (`{profile.project.id}`)",
        f"2. **Total size**: {format_size(size)}",
        f"3. **STAC folder**: {_folder(items)}",
        f"4. **Link to the data**: {_link(profile)}",
        f"5. **Access restrictions**: {_access(profile)}",
        "\n## What is missing\n",
        *([f"- {found.rule}, {found.subject}: {found.message}; {found.remedy}" for found in findings] or ["Nothing."]),
    ]
    return "\n".join(lines) + "\n"


def _folder(items: int) -> str:
    """Beyond 600 Items the ZIP goes to the PRR alone (EarthCODE's PRR tutorial)."""
    sent = f"sent with this letter, `collection.json` and `items/` with {items} Items, zipped as `stac.zip`"
    return f"{sent}; with more than {MANY} the Items stay out of the Open Science Catalog" if items > MANY else sent


def _link(profile: Profile) -> str:
    public = public_folder(profile)
    if public is not None:
        return f"<{public}/>"
    if profile.store and profile.store.prr:
        bucket = profile.store.prr.bucket or "the user's own"
        return f"to be staged in the PRR's stage-in bucket ({bucket}), under the Items' ids"
    return "missing: set store.public_href"


def _access(profile: Profile) -> str:
    """As the profile states it: a default would be a guess."""
    if profile.store is None or "access" not in profile.store.model_fields_set:
        return "missing: set store.access to public or private"
    return "none" if profile.store.access == "public" else "readers need credentials"
