"""What ``status``, ``handoff`` and ``clean`` tell of a bundle's folder."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

from rich.console import Console
from rich.text import Text

from earthcode_pack.bundle import Bundle
from earthcode_pack.cli.outcome import Outcome
from earthcode_pack.cli.words import bytes_of, counted, facts, heading, levels, near, told_difference
from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.model import Level
from earthcode_pack.remote.workdir import mirror_of

LEFTOVERS = (".part", ".tmp")  # how files and stores are named until they are whole


def standing(bundle: Bundle, *, offline: bool = False, as_json: bool) -> Outcome:
    """Where a bundle stands, here and, unless ``offline``, in its store; exit code 0 whatever that is."""
    data = _status(bundle) | _upload_status(bundle, offline=offline)
    return Outcome(data, lambda console: _show_status(console, data), as_json=as_json)


def _status(bundle: Bundle) -> dict[str, Any]:
    planned = (bundle.root / "plan.json").is_file()
    plan, profile, findings = bundle.plan() if planned else None, bundle.profile(), bundle.findings()
    jobs, there = plan.jobs if plan else (), _made_there(bundle)
    made = [job for job in jobs if job.key in there or (bundle.product / job.key).exists()]
    return {
        "bundle": bundle.name,
        "product": profile.product.id,
        "version": profile.product.version,
        "jobs": {"done": len(made), "total": len(jobs)},
        "failed": bundle.provenance().get("failed", []),
        "findings": {level.value: sum(f.level is level for f in findings) for level in Level},
        "standing": len(bundle.standing_errors()),
        "digest": bundle.digest,
        "published": {"objects": len(bundle.receipts()), "total": _objects(bundle)},
    }


def _upload_status(bundle: Bundle, *, offline: bool) -> dict[str, Any]:
    """Where its upload stands by the ledger, and what it would still do by the store."""
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
    """The files and stores of a product at a URL, which need not be on this machine."""
    mirror = mirror_of(bundle)
    paths = [PurePosixPath(key.removeprefix("product/")) for key in mirror.there] if mirror else []
    return {str(path) for key in paths for path in (key, *key.parents)}


@contextmanager
def changing(bundle: Bundle) -> Iterator[None]:
    """Holds a bundle at a URL, so that what is written goes there; a folder is written at once."""
    from earthcode_pack.run.workspace import Workspace  # noqa: PLC0415 - brings the converters

    with Workspace(bundle).held() if bundle.url else nullcontext():
        yield


def _objects(bundle: Bundle) -> int | None:
    """Everything that the manifest lists, and the manifest."""
    return len(bundle.manifest()) + 1 if bundle.digest else None


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
    return [*pairs, ("Upload", told_difference(data["difference"])), ("Storage", data["unreachable"])]


def handed_off(bundle: Bundle, written: Iterable[str], *, as_json: bool) -> Outcome:
    """Where the change set, or at least the letter to the PRR, lies."""
    files = sorted(written)
    first = "pull_request.md" if "pull_request.md" in files else "prr/letter.md"
    data = {"bundle": bundle.name, "files": files}
    pairs: list[tuple[str, object]] = [
        ("Wrote", counted(len(files), "file")),
        ("Read", near(bundle.root / first)),
    ]
    return Outcome(data, lambda console: facts(console, pairs), as_json=as_json)


def cleaned(bundle: Bundle, *, as_json: bool) -> Outcome:
    """Removes what interrupted runs left; the product, and what a run would go on with here, stay.

    In the store: open uploads, temporary files, and objects of this version that the ledger knows, as long as its
    Collection is not there. Raises ``Locked`` where a run holds the bundle, ``OutsideError`` where the storage fails.
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
    """Folders of jobs that the present plan does not have; those of its own jobs hold what a run goes on with."""
    planned = (bundle.root / "plan.json").is_file()
    wanted = {job.fingerprint[:32] for job in bundle.plan().jobs} if planned else set()
    return [folder for folder in sorted(_jobs(bundle.root).glob("*")) if folder.name not in wanted]


def _unfinished_files(root: Path) -> Iterator[Path]:
    """Temporary names, found from the top so that nothing is looked for in what goes anyway; links are not followed."""
    for path in sorted(root.iterdir()):
        if path.name.endswith(LEFTOVERS):
            yield path
        elif path.is_dir() and not path.is_symlink() and not (path.name == "jobs" and path.parent.name == ".work"):
            yield from _unfinished_files(path)


def _jobs(root: Path) -> Path:
    return root / ".work" / "jobs"


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
