"""Results of ``status``, ``handoff`` and ``clean``: the state of a bundle, and its clean-up."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

from rich.console import Console
from rich.text import Text

from earthcode_pack.bundle import Bundle
from earthcode_pack.cli.outcome import Outcome
from earthcode_pack.cli.words import bytes_of, counted, difference_text, facts, heading, levels, near
from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.model import Level
from earthcode_pack.remote.workdir import mirror_of

LEFTOVERS = (".part", ".tmp")  # how files and stores are named until they are whole


def standing(bundle: Bundle, *, offline: bool = False, as_json: bool) -> Outcome:
    """Shows the state of a bundle, here and, unless ``offline``, in its store; the exit code is always 0."""
    planned = (bundle.root / "plan.json").is_file()
    plan, profile, findings = bundle.plan() if planned else None, bundle.profile(), bundle.findings()
    jobs, there = plan.jobs if plan else (), _made_there(bundle)
    made = [job for job in jobs if job.key in there or (bundle.product / job.key).exists()]
    data: dict[str, Any] = {
        "bundle": bundle.name,
        "product": profile.product.id,
        "version": profile.product.version,
        "jobs": {"done": len(made), "total": len(jobs)},
        "failed": bundle.provenance().get("failed", []),
        "findings": {level.value: sum(f.level is level for f in findings) for level in Level},
        "standing": len(bundle.standing_errors()),
        "digest": bundle.digest,
        "published": {
            "objects": len(bundle.receipts()),
            "total": len(bundle.manifest()) + 1 if bundle.digest else None,  # the manifest is an object too
        },
        **_upload_status(bundle, offline=offline),
    }
    return Outcome(data, lambda console: _show_status(console, data), as_json=as_json)


def _upload_status(bundle: Bundle, *, offline: bool) -> dict[str, Any]:
    """Reads the state of the upload from the ledger, and asks the store what is still to do."""
    from earthcode_pack import upload  # noqa: PLC0415 - only for this command

    known: dict[str, Any] = {"upload": upload.standing(bundle), "difference": None, "unreachable": None}
    store = bundle.profile().store
    if offline or bundle.digest is None or store is None or store.href is None:
        return known
    try:
        return known | {"difference": upload.difference(bundle).counts()}
    except EarthcodePackError as error:
        return known | {"unreachable": str(error)}


def _made_there(bundle: Bundle) -> set[str]:
    """Lists the files and stores of a product at a URL, which need not be on this machine."""
    mirror = mirror_of(bundle)
    paths = [PurePosixPath(key.removeprefix("product/")) for key in mirror.there] if mirror else []
    return {str(path) for key in paths for path in (key, *key.parents)}


@contextmanager
def changing(bundle: Bundle) -> Iterator[None]:
    """Holds a bundle at a URL, so that what is written is sent there; a local folder needs no lock."""
    from earthcode_pack.run.workspace import Workspace  # noqa: PLC0415 - brings the converters

    with Workspace(bundle).held() if bundle.url else nullcontext():
        yield


def _show_status(console: Console, data: dict[str, Any]) -> None:
    jobs, published = data["jobs"], data["published"]
    whole = data["digest"] or "none yet: the product is not whole, run again to go on"
    objects = f"{published['objects']} of {published['total']} objects" if published["objects"] else "nothing"
    heading(console, f"{data['product']} {data['version']}")
    pairs: list[tuple[str, object]] = [("Jobs", f"{jobs['done']} of {jobs['total']} done")]
    pairs += [("Failed", counted(len(data["failed"]), "source"))] if data["failed"] else []
    pairs += [
        ("Findings", levels(data["findings"])),
        ("Standing", f"{counted(data['standing'], 'error')} not accepted"),
    ]
    facts(console, [*pairs, ("Digest", whole), ("Published", objects), *_upload_facts(data)])
    facts(console, [("Bundle", near(data["bundle"]))])


def _upload_facts(data: dict[str, Any]) -> list[tuple[str, object]]:
    upload = data["upload"]
    pairs: list[tuple[str, object]] = []
    if upload is not None:
        states = [f"{number} {state}" for state, number in upload.objects.items() if number]
        still_open = f"; {counted(upload.open_uploads, 'large file')} half sent" if upload.open_uploads else ""
        pairs = [("Objects", ", ".join(states) + still_open or None), ("Last error", upload.error)]
    return [*pairs, ("Upload", difference_text(data["difference"])), ("Storage", data["unreachable"])]


def handed_off(bundle: Bundle, written: Iterable[str], *, as_json: bool) -> Outcome:
    """Shows where the change set, or at least the letter to the PRR, was written."""
    files = sorted(written)
    first = "pull_request.md" if "pull_request.md" in files else "prr/letter.md"
    data = {"bundle": bundle.name, "files": files}
    pairs: list[tuple[str, object]] = [
        ("Wrote", counted(len(files), "file")),
        ("Read", near(bundle.root / first)),
    ]
    return Outcome(data, lambda console: facts(console, pairs), as_json=as_json)


def cleaned(bundle: Bundle, *, as_json: bool) -> Outcome:
    """Removes leftovers of interrupted runs; the product, and what a run would resume from, stay.

    In the store these are open uploads, temporary files, and objects of this version that the ledger knows, as long as
    its Collection is not there.

    Raises:
        Locked: a run holds the bundle.
        OutsideError: the storage fails.

    """
    from earthcode_pack.run.workspace import Workspace  # noqa: PLC0415 - brings the converters
    from earthcode_pack.upload import clean_store  # noqa: PLC0415 - only for this command

    files = [(path, _size(path)) for path in _unfinished_files(bundle.root)]
    workspace = Workspace(bundle)
    if workspace.mirror is not None:
        workspace.mirror.claim.refuse_living()
        workspace.mirror.claim.break_open()
    with workspace.held():  # which itself removes some of the files
        said = workspace.sent()
        left = files + [(path, _size(path)) for path in _unwanted_jobs(bundle)]
        for path, _ in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        store = clean_store(bundle, said=said) if (bundle.root / "profile.yaml").is_file() else None
    size = sum(size for _, size in left)
    names = sorted(str(path.relative_to(bundle.root)) for path, _ in left)
    told = f"{counted(len(names), 'leftover')} removed, {bytes_of(size)}."
    objects, uploads = (list(store.objects), store.uploads) if store else ([], 0)
    if store and (objects or uploads):
        told += f" In the store: {counted(len(objects), 'object')} never published, {bytes_of(store.size)};"
        told += f" {counted(uploads, 'open upload')}."
    data = {"removed": names, "bytes": size, "store": {"objects": objects, "open_uploads": uploads}}
    return Outcome(data, lambda console: console.print(Text(told)), as_json=as_json)


def _unwanted_jobs(bundle: Bundle) -> list[Path]:
    """Lists folders of jobs that are not in the present plan; a run resumes from those of its own jobs."""
    planned = (bundle.root / "plan.json").is_file()
    wanted = {job.fingerprint[:32] for job in bundle.plan().jobs} if planned else set()
    return [folder for folder in sorted((bundle.root / ".work" / "jobs").glob("*")) if folder.name not in wanted]


def _unfinished_files(root: Path) -> Iterator[Path]:
    """Yields files and folders with temporary names, the outermost ones; links are not followed."""
    for path in sorted(root.iterdir()):
        if path.name.endswith(LEFTOVERS):
            yield path
        elif path.is_dir() and not path.is_symlink() and not (path.name == "jobs" and path.parent.name == ".work"):
            yield from _unfinished_files(path)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
