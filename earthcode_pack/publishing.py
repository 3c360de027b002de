"""What comes after ``prepare``: upload, registration and hand-off of a bundle that may be published."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from earthcode_pack import storage
from earthcode_pack.bundle import Bundle, values_to_json, write_atomic
from earthcode_pack.colormap import named_colormap
from earthcode_pack.errors import NotApproved
from earthcode_pack.execute import Forward
from earthcode_pack.product_facts import published_collection
from earthcode_pack.provenance import approved, provenance_json
from earthcode_pack.report import write_report
from earthcode_pack.workdir import with_data
from earthcode_pack.workspace import Workspace

if TYPE_CHECKING:
    from earthcode_pack.model import Finding, Receipt
    from earthcode_pack.profile import Profile

logger = logging.getLogger("earthcode_pack")
T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Stage, done, total; called often."""


class Step(Protocol):
    """Runs one verb; a flow wraps it in a task."""

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Returns what ``work`` returns."""


def call[T](name: str, work: Callable[[], T]) -> T:  # noqa: ARG001 - a step has a name
    """A step that only runs."""
    return work()


def silent(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def check_profile(profile: Profile) -> None:
    """What is wrong by itself, before any work is done: a colour map, ids of the catalogue."""
    if profile.product.preview is not None:
        named_colormap(profile.product.preview.colormap)
    if profile.catalog is not None:
        from earthcode_pack.handoff import check_ids, open_catalog  # noqa: PLC0415 - only where there is a catalogue

        with tempfile.TemporaryDirectory(prefix="earthcode-pack-") as folder:
            check_ids(profile, open_catalog(profile.catalog.metadata, Path(folder)))


def publish(
    bundle: Bundle,
    *,
    approve: str | None = None,
    allow_incomplete: bool = False,
    step: Step = call,
    progress: Progress = silent,
) -> str | None:
    """Uploads, registers and hands off a prepared bundle; where readers find it, None where it must not be published.

    Nothing leaves the bundle when sources failed (unless ``allow_incomplete``), when an error stands that the profile
    does not accept, or when the profile names no store. Before the first byte leaves, every file is compared with the
    manifest. Raises ``NotApproved`` where ``approve`` is another digest, ``UserError`` where a file is another one,
    ``Locked`` where another run holds the bundle: what is judged and approved is what is published.
    """
    workspace = Workspace(bundle)
    with workspace.held():
        _refuse_unapproved(bundle, approve)
        profile = bundle.profile()
        if profile.store is None or not may_publish(bundle, allow_incomplete=allow_incomplete):
            return None
        check_profile(profile)
        receipts = _put_by_workers(workspace, profile)
        elsewhere = {receipt.key for receipt in receipts}
        with_data(bundle, elsewhere)
        workspace.refuse_changed(elsewhere)
        if approve is not None:
            write_atomic(
                bundle.root / "provenance.json",
                provenance_json(approved(bundle.provenance(), approve), bundle.measured()),
            )
        if profile.store.prr is not None:
            step("hand over", lambda: _hand_over(bundle))
            href = step("register", lambda: _register(bundle, progress))
        else:
            href = step("upload", lambda: _upload(workspace, receipts, progress))
        if href is not None or profile.store.prr is None:
            step("hand off", lambda: hand_off(bundle))
        step("report", lambda: write_report(bundle))
    return href


def _refuse_unapproved(bundle: Bundle, approve: str | None) -> None:
    if approve is not None and approve != bundle.digest:
        raise NotApproved(
            f"{bundle.name}: its digest is {bundle.digest}, approved was {approve}",
            "review it again, and approve what it is now",
        )


@contextmanager
def data_ahead(workspace: Workspace, profile: Profile, wanted: bool, allow_incomplete: bool) -> Iterator[Forward]:
    """Where data goes as it is made: to the store where that is wanted, until it turns out that it must not.

    From workers that share no disk with this run it goes there at once, else when its artifact is final.
    """
    if not wanted or profile.store is None or profile.store.href is None:
        yield Forward()
        return
    from earthcode_pack.upload.early import Ahead  # noqa: PLC0415 - only where something goes up
    from earthcode_pack.upload.worker import writer  # noqa: PLC0415

    early = Ahead(workspace.bundle, profile, workspace.sent())
    try:
        yield Forward(
            write=writer(workspace.bundle, profile),
            sent=early.adopt,
            tell=lambda artifact: early.offer(artifact.files),
        )
        if not may_publish(workspace.bundle, allow_incomplete=allow_incomplete):
            early.withdraw(workspace.sent())
    except KeyboardInterrupt:
        early.cut()
        raise
    finally:
        early.close()


def may_publish(bundle: Bundle, *, allow_incomplete: bool = False) -> bool:
    """Whether the product is whole, was checked, and no error stands."""
    incomplete = bool(bundle.provenance().get("failed")) and not allow_incomplete
    is_checked = (bundle.root / "findings.json").is_file()
    return bundle.digest is not None and is_checked and not incomplete and not _blocking(bundle)


def _blocking(bundle: Bundle) -> list[Finding]:
    """The errors that stand; what the PRR answered to an earlier registration is asked anew."""
    from earthcode_pack.register import ANSWERED  # noqa: PLC0415

    return [finding for finding in bundle.standing_errors() if finding.rule not in ANSWERED]


def _put_by_workers(workspace: Workspace, profile: Profile) -> tuple[Receipt, ...]:
    """The receipts of what workers put, and the store still has: it need not come here to be sent."""
    if profile.store is None or profile.store.href is None or not (said := workspace.sent()):
        return ()
    from earthcode_pack.upload.nodes import take_over  # noqa: PLC0415 - sqlite3 and the store

    return take_over(workspace.bundle, storage.open_store(profile.store), said)


def _upload(workspace: Workspace, receipts: Iterable[Receipt], progress: Progress) -> str | None:
    from earthcode_pack.describe.closed import refuse_other_place  # noqa: PLC0415 - only where something goes up
    from earthcode_pack.upload import place_name, published_href, upload  # noqa: PLC0415 - sqlite3 and the store

    bundle, profile = workspace.bundle, workspace.bundle.profile()
    assert profile.store is not None, "publish looked"
    refuse_other_place(bundle.collection(), profile)
    upload(bundle, storage.open_store(profile.store), progress=partial(progress, "upload"), receipts=receipts)
    workspace.forget_sent(place_name(profile))
    return published_href(profile)


def _register(bundle: Bundle, progress: Progress) -> str | None:
    """Where the PRR's Collection is; None where an Item is not registered as it is here, which the findings tell."""
    from earthcode_pack.register import ANSWERED, register  # noqa: PLC0415

    found = register(bundle, progress=partial(progress, "register"))
    kept = [finding for finding in bundle.findings() if finding.rule not in ANSWERED]
    every = (*kept, *(finding for finding in found if finding not in kept))
    write_atomic(bundle.root / "findings.json", values_to_json(every))
    return None if bundle.standing_errors() else published_collection(bundle.profile())


def _hand_over(bundle: Bundle) -> list[str]:
    """The documents of the PRR's hand-over route; the letter is needed before the Collection is there."""
    from earthcode_pack.handoff import open_catalog  # noqa: PLC0415
    from earthcode_pack.register import hand_over  # noqa: PLC0415

    profile = bundle.profile()
    if profile.catalog is None:
        return hand_over(bundle)
    with tempfile.TemporaryDirectory(prefix="earthcode-pack-") as folder:
        catalog = open_catalog(profile.catalog.metadata, Path(folder))
        return hand_over(bundle, catalog.record("projects", profile.project.id))


def hand_off(bundle: Bundle) -> list[str]:
    """Writes the change set of the catalogue, where there is one, and the documents of the PRR's hand-over route.

    Returns their paths relative to the bundle. Raises what opening the catalogue and ``check_ids`` raise.
    """
    from earthcode_pack.handoff import hand_off as write_change_set  # noqa: PLC0415
    from earthcode_pack.handoff import open_catalog  # noqa: PLC0415
    from earthcode_pack.register import hand_over  # noqa: PLC0415

    profile = bundle.profile()
    if profile.catalog is None:
        return hand_over(bundle)
    with tempfile.TemporaryDirectory(prefix="earthcode-pack-") as folder:
        catalog = open_catalog(profile.catalog.metadata, Path(folder))
        return [*write_change_set(bundle, catalog), *hand_over(bundle, catalog.record("projects", profile.project.id))]
