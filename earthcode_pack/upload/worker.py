"""A worker that shares no disk with the run puts what it made into the store itself, straight from its scratch.

Credentials and endpoint are those of the worker's own environment and AWS files. Whatever goes wrong is no failure of
the part: what is not put here the run puts in the end, and says so.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import tempfile
import uuid
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from earthcode_pack import convert
from earthcode_pack.bundle import Bundle, part_sums
from earthcode_pack.convert.work import Sent
from earthcode_pack.errors import EarthcodePackError, Locked, VersionTaken
from earthcode_pack.execution.waiting import waiting
from earthcode_pack.files import locked
from earthcode_pack.model import File, Value
from earthcode_pack.profile.model import StoreSpec  # noqa: TC001 - pydantic reads it
from earthcode_pack.remote.mirror import SENT
from earthcode_pack.storage import Folder, each, open_store
from earthcode_pack.storage.inputs import local_path
from earthcode_pack.storage.scratch import mirrors
from earthcode_pack.upload.compare import Place, listing, place_name
from earthcode_pack.upload.entries import published_prefix
from earthcode_pack.upload.ledger import Ledger, ledger_path
from earthcode_pack.upload.nodes import entry_of, missing_of, receipts_of
from earthcode_pack.upload.sender import Sender
from earthcode_pack.upload.stages import is_data
from earthcode_pack.upload.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from earthcode_pack.convert.work import Part, Record
    from earthcode_pack.model import Failure, PartSums, Receipt
    from earthcode_pack.profile import Profile
    from earthcode_pack.upload.entries import Entry

logger = logging.getLogger("earthcode_pack")

_LOCK_SECONDS = 600.0
_KEPT = 8  # nodes of this process that nobody uses at the moment


class Errand(Value):
    """Upload specification for the workers of one run; it travels with each part and holds no secret."""

    store: StoreSpec
    prefix: str
    place: str
    run: str


def writer(bundle: Bundle, profile: Profile) -> Callable[[Part], Record | Failure]:
    """Returns the function that writes a part of a run that uploads ahead: ``convert.write``, or one that also puts.

    A store on a disk would be another one on each machine: its data goes up from the machine that runs.
    """
    spec = profile.store
    if bundle.url is None or spec is None or spec.href is None or local_path(spec.href) is not None:
        return convert.write
    errand = Errand(store=spec, prefix=published_prefix(profile), place=place_name(profile), run=uuid.uuid4().hex)
    return partial(write_and_put, errand)


def write_and_put(errand: Errand, part: Part) -> Record | Failure:
    """Writes as ``convert.write`` does; on another machine it puts the data of the part too, and records that."""
    return convert.write(part, partial(_put, errand))


def _put(errand: Errand, part: Part, folder: Path, files: tuple[File, ...]) -> Sent | None:
    """Puts what is final of a part. Never raises."""
    by_key = {file.key: file for file in files}
    final = {key: by_key[own] for key, own in convert.final_keys(part.job, files).items() if is_data(key)}
    if not final:
        return None
    with tempfile.TemporaryDirectory(prefix="product-", dir=folder) as product:
        for key, file in final.items():
            path = Path(product, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(folder / file.key)
        entries = [entry_of(key, file.size, file.sha256) for key, file in sorted(final.items())]
        with _node_of(errand) as node:
            return node.put(part, Path(product), entries, part_sums(files))


_NODES: dict[str, _Node] = {}  # this process's, by run, the one that was used last at the end
_USED: Counter[str] = Counter()
_BEGINNING = Lock()


@contextmanager
def _node_of(errand: Errand) -> Iterator[_Node]:
    """The one of a run, which several threads may use, beside those of other runs."""
    with _BEGINNING:
        node = _NODES.pop(errand.run) if errand.run in _NODES else _Node(errand)
        _NODES[errand.run] = node
        _USED[errand.run] += 1
    try:
        yield node
    finally:
        with _BEGINNING:
            _USED[errand.run] -= 1
            _let_go()


def _let_go() -> None:
    """Closes those that were not used for longest. Nobody is told when a run ends."""
    idle = [run for run in _NODES if not _USED[run]]
    for run in idle[: max(0, len(idle) - _KEPT)]:
        _NODES.pop(run).close()
        del _USED[run]


class _Node:
    """State of the store as a process of a node knows it during one run. Thread-safe."""

    def __init__(self, errand: Errand) -> None:
        self._errand, self._name = errand, platform.node()
        self._ledger: Ledger | None = None
        self._trouble: str | None = None
        try:
            self._place = Place(open_store(errand.store), errand.prefix, errand.place)
            self._watch = Watch(self._place)
            self._listed = listing(self._place)
            self._refuse_published()
            self._ledger = _ledger(errand, self._name)
        except Exception as error:  # noqa: BLE001 - the run sends what is not sent here
            self._give_up(error)

    def put(self, part: Part, product: Path, entries: list[Entry], parts: Mapping[str, PartSums]) -> Sent:
        """Puts files of ``product``, said in the workdir before: whoever takes them back must know of them.

        ``parts`` are the sums of the parts of large ones, by the sha256 of the whole.
        """
        told = Sent(place=self._errand.place, node=self._name)
        files = tuple(File(key=entry.key, size=entry.size, sha256=entry.sha256) for entry in entries)
        sent = told
        if self._trouble is None and self._ledger is not None:
            try:
                sent = _said(part, product, told.model_copy(update={"files": files}))
                sent = told.model_copy(
                    update={"receipts": self._send(Sender(product, self._place, self._ledger, parts), entries)}
                )
            except Exception as error:  # noqa: BLE001 - as above
                self._give_up(error)
        return sent.model_copy(update={"trouble": self._trouble})

    def close(self) -> None:
        """Lets go of the ledger."""
        if self._ledger is not None:
            self._ledger.close()

    def _send(self, sender: Sender, entries: list[Entry]) -> tuple[Receipt, ...]:
        missing = missing_of(sender, self._listed, entries)

        def send(entry: Entry) -> None:
            self._watch.glance()
            sender.send(entry)

        with sender.planned(missing):
            each(send, missing)
        sender.ledger.flush()
        return receipts_of(sender.ledger, entries)

    def _refuse_published(self) -> None:
        """Refuses to put where objects are that refer to data: the version is published, or was begun to be."""
        if not all(map(is_data, self._listed)):
            raise VersionTaken(f"{self._place.name}: it is published, or begun to be", "raise product.version")

    def _give_up(self, error: Exception) -> None:
        """Stops all further uploads of this process in this run; ``why`` holds no secret."""
        self._trouble = str(error) if isinstance(error, EarthcodePackError) else type(error).__name__
        logger.warning("this worker puts nothing more into the store: %s", self._trouble)


def _said(part: Part, product: Path, sent: Sent) -> Sent:
    """The same, once it lies in the job's folder."""
    path = product / "said.json"
    path.write_text(sent.to_json())
    Folder(part.folder).put(path, f"{SENT}/{part.number}.json")
    return sent


def _ledger(errand: Errand, node: str) -> Ledger:
    """The node's own, in scratch; one process after the other opens it."""
    folder = mirrors().parent / "nodes" / hashlib.sha256(errand.place.encode()).hexdigest()[:16]
    path = ledger_path(Bundle(folder), node)
    lock = path.parent / "lock"
    with waiting(f"another process to let go of {lock}", _LOCK_SECONDS), locked(lock, wait=_LOCK_SECONDS) as is_held:
        if not is_held:
            raise Locked(f"{lock}: held by another process", "end it, or remove the file")
        return Ledger(path, errand.place)
