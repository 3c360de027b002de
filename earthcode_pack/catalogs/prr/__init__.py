"""The PRR: the only place that knows it. Registration at its gateway, and the documents of the hand-over.

Sources: github EOEPCA/reg-api (gateway, client, QA job) and EarthCODE's PRR tutorials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from earthcode_pack.bundle import Bundle, values_to_json
from earthcode_pack.catalogs.prr import rules
from earthcode_pack.catalogs.prr.collection import collection_findings, prr_collection, prr_id, public_folder
from earthcode_pack.catalogs.prr.gateway import about, format_findings, gateway_findings, gateway_item, product_key
from earthcode_pack.catalogs.prr.hand_over import letter, write_zip
from earthcode_pack.files import to_json, write_atomic
from earthcode_pack.model import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from earthcode_pack.model import Finding
    from earthcode_pack.profile import Profile

__all__ = ["ANSWERED", "difference", "gateway_findings", "hand_over", "hand_over_findings", "register", "verify"]

ANSWERED = frozenset(
    rule.id
    for rule in (
        rules.INGESTED_DATA,
        rules.INGESTED_METADATA,
        rules.INGESTED_UNSTATED,
        rules.PUBLISHED,
        rules.PUBLISHED_UNSEEN,
        rules.REFUSED,
    )
)
"""Rules of findings about what the PRR answered: the next registration finds them anew, so they block none."""


def hand_over(bundle: Bundle, project: Mapping[str, Any] | None = None) -> list[str]:
    """Writes ``prr/`` into the bundle: Collection, Items in the gateway's form, ``stac.zip`` and the letter.

    Returns the relative paths. The ZIP is the self-contained Collection of the hand-over route. ``project`` is the
    project's record in the Open Science Catalog, for the description and website that a profile of a known project
    leaves out. Files of Items that are no more go; the same bundle gives the same bytes.
    """
    profile, record = bundle.profile(), project or {}
    names = [_write_item(bundle, profile, item) for item in bundle.items()]
    size = sum(entry.size for entry in bundle.manifest())
    found = hand_over_findings(bundle, record)
    written = [f"prr/items/{name}.json" for name in names]
    texts = {
        "prr/collection.json": to_json(prr_collection(bundle, names, record)),
        "prr/letter.md": letter(profile, record, len(names), size, found),
    }
    for stale in set((bundle.root / "prr" / "items").glob("*.json")) - {bundle.root / path for path in written}:
        stale.unlink()
    for path, text in texts.items():
        write_atomic(bundle.root / path, text)
    return sorted([*texts, *written, write_zip(bundle, texts["prr/collection.json"])])


def _write_item(bundle: Bundle, profile: Profile, item: dict[str, Any]) -> str:
    name = str(item["id"])
    staged = gateway_item(item, prr_id(profile), public_folder(profile))
    write_atomic(bundle.root / "prr" / "items" / f"{name}.json", to_json(staged))
    return name


def hand_over_findings(bundle: Bundle, project: Mapping[str, Any] | None = None) -> Iterator[Finding]:
    """What the PRR would refuse or miss: the Collection, every Item, and sizes against the manifest."""
    profile = bundle.profile()
    names = [str(item["id"]) for item in bundle.items()]
    yield from collection_findings(bundle, prr_collection(bundle, names, project or {}))
    if not names:
        yield rules.EMPTY.finding(prr_id(profile), "the Collection has no Items")
    sizes = {entry.key: entry.size for entry in bundle.manifest()}
    for item in bundle.items():
        staged = gateway_item(item, prr_id(profile), public_folder(profile))
        yield from gateway_findings(staged, prr_id(profile))
        yield from _size_findings(item, sizes, public_folder(profile))
        yield from format_findings(item)


def _size_findings(item: dict[str, Any], sizes: dict[str, int], public: str | None) -> Iterator[Finding]:
    """A file's size must be the real one; folders are taken, but fail in the QA job."""
    for name, asset in item["assets"].items():
        key = product_key(item, asset["href"], public)
        if key in sizes and sizes[key] != asset.get("file:size"):
            message = f"the asset {name!r} says {asset.get('file:size')} bytes and has {sizes[key]}"
            yield about(rules.SIZE, item, message, sizes[key])
        if any(other.startswith(f"{key}/") for other in sizes):
            message = f"the asset {name!r} is a folder: the PRR's QA job takes a Zarr store as ZIP only"
            yield about(rules.FOLDER, item, message)
        elif key not in sizes and "://" not in key:
            yield about(rules.ABSENT, item, f"the file of the asset {name!r} is not in the bundle")


def register(bundle: Bundle, *, progress: Callable[[int, int], None] | None = None) -> tuple[Finding, ...]:
    """Registers a bundle's Items with the PRR: stages their files, posts them, and sees them published.

    The gateway's whole profile is checked first, and the catalogue asked for each Item: what it has is left alone, and
    where an error stands that the profile does not accept, nothing is sent. A run that was interrupted goes on. The
    gateway's answers are in ``prr/answers/``, the files that were seen published in ``receipts.json``. ``progress`` is
    told Items, done and all. The findings are empty where every Item is registered and every file can be read.

    Raises ``UserError`` where the profile or the Collection is wrong, ``OutsideError`` where credentials lack, or
    storage, gateway or catalogue fail.
    """
    from earthcode_pack.catalogs.prr.http_client import Web  # noqa: PLC0415
    from earthcode_pack.catalogs.prr.registration import Ingestion  # noqa: PLC0415 - and its clients only where they are used
    from earthcode_pack.catalogs.prr.settings import account, prr_of  # noqa: PLC0415
    from earthcode_pack.catalogs.prr.staging import open_staging  # noqa: PLC0415

    prr = prr_of(bundle.profile())
    wrong = [finding for finding in hand_over_findings(bundle) if finding.level is Level.ERROR]
    if wrong:
        return tuple(wrong)
    user = account()
    run = Ingestion(bundle, prr, user, Web(prr.ca_bundle, prr.wait), open_staging(prr, user))
    try:
        found = run.run(progress or (lambda _done, _all: None))
    finally:
        write_atomic(bundle.root / "receipts.json", values_to_json(run.receipts()))
    return _ordered(found)


def difference(bundle: Bundle) -> tuple[Finding, ...]:
    """What the PRR's catalogue has of a bundle's Items against what would be ingested. Sends nothing.

    Errors are other files, warnings other metadata; an Item that is not there is no difference. Raises as ``register``,
    but needs no credentials.
    """
    from earthcode_pack.catalogs.prr.catalogued import differences  # noqa: PLC0415
    from earthcode_pack.catalogs.prr.settings import prr_of  # noqa: PLC0415

    return _ordered(differences(bundle, prr_of(bundle.profile())))


def verify(bundle: Bundle, read: bool = False) -> tuple[Finding, ...]:
    """What the PRR has of a bundle: every Item in its catalogue, the same data, every file at its href.

    With ``read`` every byte is fetched and hashed. Nothing found is all right. Sends nothing, needs no credentials;
    raises as ``register``.
    """
    from earthcode_pack.catalogs.prr.catalogued import registered  # noqa: PLC0415
    from earthcode_pack.catalogs.prr.settings import prr_of  # noqa: PLC0415

    return _ordered(registered(bundle, prr_of(bundle.profile()), read=read))


def _ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """By Item: they were found by many threads."""
    return tuple(sorted(findings, key=lambda finding: (finding.subject, finding.rule, finding.message)))
