"""Publishing: upload, registration and hand-off of a prepared bundle."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from earthcode_pack import storage
from earthcode_pack.bundle import Bundle, values_to_json
from earthcode_pack.bundle.provenance import approved, provenance_json
from earthcode_pack.describe.rendering import named_colormap
from earthcode_pack.errors import NotApproved
from earthcode_pack.files import write_atomic
from earthcode_pack.product_facts import published_collection
from earthcode_pack.remote.workdir import with_data
from earthcode_pack.report import write_report
from earthcode_pack.run.execute import Forward
from earthcode_pack.run.workspace import Workspace

if TYPE_CHECKING:
    from earthcode_pack.model import Receipt
    from earthcode_pack.profile import Profile

logger = logging.getLogger("earthcode_pack")
T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Called often, with the stage, how much is done, and the total."""


class Step(Protocol):
    """Runs one stage; a flow wraps it in a task."""

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Returns what ``work`` returns."""


def call[T](name: str, work: Callable[[], T]) -> T:  # noqa: ARG001 - a step has a name
    """Runs a stage and nothing else."""
    return work()


def silent(_stage: str, _done: int, _total: int) -> None:
    """Ignores progress."""


def check_profile(profile: Profile) -> None:
    """Checks the colour map and the ids of the catalogue, before any work is done."""
    if profile.product.preview is not None:
        named_colormap(profile.product.preview.colormap)
    if profile.catalog is not None:
        from earthcode_pack.catalogs.osc import check_ids, open_catalog  # noqa: PLC0415 - only where there is a catalogue

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
    """Uploads, registers and hands off a prepared bundle.

    Nothing leaves the bundle when sources failed (unless ``allow_incomplete``), when an error stands that the profile
    does not accept, or when the profile names no store. Before the first byte leaves, every file is compared with the
    manifest.

    Args:
        bundle: a prepared bundle.
        approve: the digest that a person approved.
        allow_incomplete: publish although some sources failed.
        step: runs each stage.
        progress: called with stage, done and total.

    Returns:
        The href where readers find the product; None where it was not published.

    Raises:
        NotApproved: the digest is not ``approve``.
        UserError: a file is not the one in the manifest.
        Locked: another run holds the bundle.
        OutsideError: store, gateway or catalogue fail.

    """
    workspace = Workspace(bundle)
    with workspace.held():
        if approve is not None and approve != bundle.digest:
            raise NotApproved(
                f"{bundle.name}: its digest is {bundle.digest}, approved was {approve}",
                "review it again, and approve what it is now",
            )
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
            step("hand over", lambda: hand_off(bundle, change_set=False))
            href = step("register", lambda: _register(bundle, progress))
        else:
            href = step("upload", lambda: _upload(workspace, receipts, progress))
        if href is not None or profile.store.prr is None:
            step("hand off", lambda: hand_off(bundle))
        step("report", lambda: write_report(bundle))
    return href


@contextmanager
def data_ahead(workspace: Workspace, profile: Profile, wanted: bool, allow_incomplete: bool) -> Iterator[Forward]:
    """Sends data to the store as it is made, where ``wanted``; takes it back where the product must not be published.

    Workers that share no disk with this run send their parts at once; other data is sent when its artifact is final.
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
            on_sent=early.adopt,
            on_artifact=lambda artifact: early.offer(artifact.files),
        )
        if not may_publish(workspace.bundle, allow_incomplete=allow_incomplete):
            early.withdraw(workspace.sent())
    except KeyboardInterrupt:
        early.cut()
        raise
    finally:
        early.close()


def may_publish(bundle: Bundle, *, allow_incomplete: bool = False) -> bool:
    """Tells if the product is whole, was checked, and has no error that stands.

    Answers of the PRR to an earlier registration do not count: it is asked again.
    """
    from earthcode_pack.catalogs.prr import ANSWERED  # noqa: PLC0415

    incomplete = bool(bundle.provenance().get("failed")) and not allow_incomplete
    if bundle.digest is None or incomplete or not (bundle.root / "findings.json").is_file():
        return False
    return all(finding.rule in ANSWERED for finding in bundle.standing_errors())


def _put_by_workers(workspace: Workspace, profile: Profile) -> tuple[Receipt, ...]:
    """Returns the receipts of what workers put and the store still has: this run need not send it."""
    if profile.store is None or profile.store.href is None or not (said := workspace.sent()):
        return ()
    from earthcode_pack.upload.nodes import take_over  # noqa: PLC0415 - sqlite3 and the store

    return take_over(workspace.bundle, storage.open_store(profile.store), said)


def _upload(workspace: Workspace, receipts: Iterable[Receipt], progress: Progress) -> str | None:
    from earthcode_pack.describe.access import refuse_other_place  # noqa: PLC0415 - only where something goes up
    from earthcode_pack.upload import place_name, published_href, upload  # noqa: PLC0415 - sqlite3 and the store

    bundle, profile = workspace.bundle, workspace.bundle.profile()
    assert profile.store is not None, "publish looked"
    refuse_other_place(bundle.collection(), profile)
    upload(bundle, storage.open_store(profile.store), progress=partial(progress, "upload"), receipts=receipts)
    workspace.forget_sent(place_name(profile))
    return published_href(profile)


def _register(bundle: Bundle, progress: Progress) -> str | None:
    """Registers the Items; returns the Collection's href, None where an Item was not registered as it is here."""
    from earthcode_pack.catalogs.prr import ANSWERED, register  # noqa: PLC0415

    found = register(bundle, progress=partial(progress, "register"))
    kept = [finding for finding in bundle.findings() if finding.rule not in ANSWERED]
    every = (*kept, *(finding for finding in found if finding not in kept))
    write_atomic(bundle.root / "findings.json", values_to_json(every))
    return None if bundle.standing_errors() else published_collection(bundle.profile())


def hand_off(bundle: Bundle, *, change_set: bool = True) -> list[str]:
    """Writes the catalogue's change set, where there is a catalogue, and the documents of the PRR's hand-over route.

    Args:
        bundle: a prepared bundle.
        change_set: False leaves the change set out: the letter to the PRR is needed before its Collection exists.

    Returns:
        The paths written, relative to the bundle. Raises as ``open_catalog`` and ``check_ids``.

    """
    from earthcode_pack.catalogs.osc import hand_off as write_change_set  # noqa: PLC0415
    from earthcode_pack.catalogs.osc import open_catalog  # noqa: PLC0415
    from earthcode_pack.catalogs.prr import hand_over  # noqa: PLC0415

    profile = bundle.profile()
    if profile.catalog is None:
        return hand_over(bundle)
    with tempfile.TemporaryDirectory(prefix="earthcode-pack-") as folder:
        catalog = open_catalog(profile.catalog.metadata, Path(folder))
        written = write_change_set(bundle, catalog) if change_set else []
        return [*written, *hand_over(bundle, catalog.record("projects", profile.project.id))]
