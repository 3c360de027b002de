"""Runs the command line on one hostile input, in a process of its own, and judges what it did.

Around the folder in which a case works lie another that nobody may read or write, and a port that nobody may ask. The
verdict is a list of problems, empty where every promise was kept (docs/reliability.md).
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from abuse.watch import FolderWatch, Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 30
BYTES = 1_000_000_000
_MUCH = 300_000_000  # bytes of resident memory, from which on pages that processes share are counted once
CANARY = "canary-4f1d9c-must-not-leave"
MARKUP = "<script>abuse()</script>"
GOOD = "good_20191231"  # the stem of the sound file that lies beside a bad one
_SENTENCE = 1_000  # characters
_LINES = 40  # of standard error
_OUTPUT = 200_000_000  # bytes of it that are read
_MAKING = threading.Lock()  # netCDF-C and ecCodes are for one thread at a time
_ENDED_BY_ITSELF = (0, 1, 2, 3)


@dataclass(frozen=True)
class Site:
    """Where a case is made: ``inside`` is its working folder, ``outside`` the folder that it must not touch."""

    inside: Path
    outside: Path
    port: int

    @property
    def url(self) -> str:
        """Address of the port that must not be asked."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Case:
    """A hostile input, or several files of one kind that one command takes at once.

    ``make`` writes the input and returns the arguments of the command. It is given ``parts`` where there are any, by
    name; halves of them are tried where all are not judged well together, so that a bad verdict is of one input.
    """

    name: str
    make: Callable[..., list[str]]
    parts: tuple[tuple[str, Any], ...] = ()
    keeps_good: bool = True  # the sound source beside the bad one is in the product
    refused: bool = False  # nothing of the bad input is in the product

    @property
    def label(self) -> str:
        """The name, and that of the part where it is of one."""
        return f"{self.name}: {self.parts[0][0]}" if len(self.parts) == 1 else self.name

    @property
    def inputs(self) -> int:
        return max(len(self.parts), 1)

    def halves(self) -> list[Case]:
        """Two cases of half of the parts each."""
        middle = len(self.parts) // 2
        return [replace(self, parts=self.parts[:middle]), replace(self, parts=self.parts[middle:])]


@dataclass
class Outcome:
    """What a command did: ``code`` is negative for a signal, or None where it was stopped for ``stopped``."""

    code: int | None = None
    stopped: str = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0
    cpu: float = 0
    peak: int = 0  # bytes of the process and its children at once
    left: int = 0  # processes that outlived it


@dataclass
class Verdict:
    """Problems of a case; none where all promises were kept."""

    case: Case
    outcome: Outcome
    problems: list[str] = field(default_factory=list)


def judge(case: Case, keep: Path | None = None, *, split: bool = True) -> list[Verdict]:
    """The verdict on a case; of several inputs that are not all well together, one on each.

    Args:
        case: what to try.
        keep: folder in which inputs and products stay, for a look at them.
        split: whether a bad verdict is tracked down to single inputs; else it is one on all of them.
    """
    verdict = _tried(case, keep)
    if split and verdict.problems and len(case.parts) > 1:
        return [found for half in case.halves() for found in judge(half, keep)]
    return [verdict]


def _tried(case: Case, keep: Path | None) -> Verdict:
    with contextlib.ExitStack() as stack:
        if keep is None:
            top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="abuse-", ignore_cleanup_errors=True)))
        else:
            keep.mkdir(exist_ok=True)
            top = Path(tempfile.mkdtemp(dir=keep, prefix=re.sub(r"\W+", "-", case.label)[:60] + "-"))
        listener = Listener()
        site = Site(top / "inside", top / "outside", listener.port)
        arguments = _laid_out(site, case)
        links = _links(site.inside)
        watch = FolderWatch(site.outside)
        outcome = run(arguments, site.inside, top)
        seen, asked = watch.seen(), listener.close()
        problems = [*_manner(outcome), *(f"outside: {what}" for what in sorted(seen))]
        problems += [f"asked {asked} times for 127.0.0.1"] if asked else []
        problems += _addresses(top / "sockets")
        problems += [*_leaks(site.inside, links, outcome), *_product(case, arguments, site.inside, outcome)]
        if keep is not None:
            (top / "outcome.txt").write_text(f"{arguments}\n{outcome}\n{problems}\n", errors="replace")
        return Verdict(case, outcome, problems)


def _laid_out(site: Site, case: Case) -> list[str]:
    site.inside.mkdir()
    site.outside.mkdir()
    (site.outside / "secret.txt").write_text(f"{CANARY}\n" * 100)
    for folder in ("home", "tmp"):
        (site.inside.parent / folder).mkdir()
    before = Path.cwd()
    with _MAKING:
        try:
            return case.make(site, case.parts) if case.parts else case.make(site)
        finally:
            os.chdir(before)


# --- the process ----------------------------------------------------------------------------------------------------


class _Starter:
    """The process that starts commands for one thread (server.py)."""

    def __init__(self) -> None:
        command = [sys.executable, "-u", Path(__file__).with_name("server.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self.process = psutil.Process(self._process.pid)
        self._read = b""

    def ask(self, asked: dict[str, Any]) -> int:
        """Starts a command; returns its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        return int(self.answer(None))

    def answer(self, seconds: float | None) -> Any:
        """The next line, or None where it does not come within so many seconds."""
        assert self._process.stdout is not None
        while b"\n" not in self._read:
            if not select.select([self._process.stdout], [], [], seconds)[0]:
                return None
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                raise RuntimeError("the process that starts commands has ended")
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return json.loads(line)


_LOCAL = threading.local()


def run(arguments: list[str], folder: Path, top: Path) -> Outcome:
    """Runs ``earthcode-pack`` in a folder, within the limits of time and memory."""
    outcome = Outcome()
    if not hasattr(_LOCAL, "starter"):
        _LOCAL.starter = _Starter()
    starter: _Starter = _LOCAL.starter
    files = {name: str(top / name) for name in ("stdout", "stderr")}
    pid = starter.ask({"arguments": arguments, "folder": str(folder), "environment": _environment(top), **files})
    began = time.monotonic()
    _followed(pid, starter, outcome, began)
    outcome.seconds = time.monotonic() - began
    for name, path in files.items():
        with Path(path).open("rb") as file:
            setattr(outcome, name, file.read(_OUTPUT).decode(errors="replace"))
    return outcome


def _environment(top: Path) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "EARTHCODE_PACK_SCHEMAS") if key in os.environ}
    home = str(top / "home")
    return kept | {
        "HOME": home, "XDG_CACHE_HOME": home, "EARTHCODE_PACK_SCRATCH": home, "TMPDIR": str(top / "tmp"),
        "PYTHONPATH": str(Path(__file__).parent / "audit"), "ABUSE_SOCKETS": str(top / "sockets"),
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "AKIAABUSE",
        "AWS_SECRET_ACCESS_KEY": "abuse-secret-key",
    }  # fmt: skip


def _followed(pid: int, starter: _Starter, outcome: Outcome, began: float) -> None:
    """Waits for a process, watches time and memory of it and its children, and ends all of them in the end."""
    family: dict[int, psutil.Process] = {}
    limit = _patience()
    while not (ended := starter.answer(0.05)):
        outcome.peak = max(outcome.peak, _memory(pid, family, starter.process))
        if outcome.peak > BYTES:
            outcome.stopped = f"took over {BYTES // 10**9} GB"
        elif time.monotonic() - began > limit:
            outcome.stopped = f"did not end within {SECONDS} s"
        if outcome.stopped:
            break
    alive = [child for child in family.values() if child.pid != pid and child.is_running()]
    if ended:
        outcome.code, outcome.cpu, outcome.peak = ended["code"], ended["cpu"], max(outcome.peak, ended["peak"])
        outcome.left = sum(child.status() != psutil.STATUS_ZOMBIE for child in alive)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    if not ended:
        starter.answer(None)


def _patience() -> float:
    """The limit in seconds, longer by as much as the machine has more to do than cores."""
    return SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _memory(pid: int, family: dict[int, psutil.Process], starter: psutil.Process) -> int:
    """Bytes of a process and its children: resident, and from 300 MB on with shared pages counted once.

    What they share with the process that started them is theirs too: its proportional share less what it has alone.
    """
    try:
        parent = family.setdefault(pid, psutil.Process(pid))
        family |= {child.pid: child for child in parent.children(recursive=True)}
    except psutil.Error:
        return 0
    total = 0
    for process in family.values():
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    if total <= _MUCH:
        return total
    started_by = starter.memory_full_info()
    once = started_by.pss - started_by.uss
    for process in family.values():
        with contextlib.suppress(psutil.Error):
            once += process.memory_full_info().pss
    return min(total, once)


# --- what is judged -------------------------------------------------------------------------------------------------


def _manner(outcome: Outcome) -> Iterator[str]:
    """How it ended and how it said so: by itself, in words, with one JSON object."""
    if outcome.stopped:
        yield outcome.stopped
        return
    if outcome.code not in _ENDED_BY_ITSELF:
        yield f"ended with {outcome.code}"
    if outcome.left:
        yield f"left {outcome.left} processes"
    everything = outcome.stdout + outcome.stderr
    for word in ("Traceback (most recent call last)", "should not happen", "core dumped"):
        if word in everything:
            yield f"says {word!r}"
    if outcome.stderr.count("\n") > _LINES:
        yield f"{outcome.stderr.count(chr(10))} lines of standard error"
    try:
        said = json.loads(outcome.stdout)
    except ValueError:
        yield "standard output is not one JSON object"
        return
    yield from _sentences(said, outcome.code)


def _sentences(said: dict[str, Any], code: int | None) -> Iterator[str]:
    error = said.get("error")
    if (error is None) == (code in (2, 3)):
        yield f"exit {code}, and error is {error}"
    told = [(error["message"], error["remedy"])] if error else []
    told += [(failure["error"], failure["remedy"]) for failure in said.get("failed", ())]
    told += (
        [(finding["message"], "-") for finding in said["findings"]] if isinstance(said.get("findings"), list) else []
    )
    for message, remedy in told:
        if not message.strip() or not remedy.strip():
            yield f"no words: {message!r}, {remedy!r}"
        lines = message.strip().split("\n")  # of a profile there may be several, each about one of its keys
        if max(map(len, lines)) > _SENTENCE or len(lines) > (_LINES if code == 2 else 1):
            yield f"more than a sentence: {message[:100]!r}"
        if "\x1b" in message:
            yield f"escape codes in a message: {message[:100]!r}"
    if code == 1 and not told and not isinstance(said.get("findings"), dict):
        yield "exit 1 without a reason"


def _addresses(log: Path) -> Iterator[str]:
    """Connections that Python opened to this machine or its own network."""
    for host in sorted(set(log.read_text().split())) if log.exists() else ():
        try:
            inner = not ipaddress.ip_address(host.partition("%")[0]).is_global
        except ValueError:
            inner = True  # a name that nobody resolved before the connection
        if inner:
            yield f"connected to {host}"


def _links(inside: Path) -> set[Path]:
    return {path for path in inside.rglob("*") if path.is_symlink()}


def _leaks(inside: Path, links: set[Path], outcome: Outcome) -> Iterator[str]:
    """The canary in the output or the product, new links out of it, and markup that a report does not escape.

    Of the links of the input the canary is what would come through them.
    """
    if CANARY in outcome.stdout + outcome.stderr:
        yield "the secret is in the output"
    for root in (inside / "work", inside / "published"):
        for path in root.rglob("*"):
            if path.is_symlink():
                if path in links or path.resolve().is_relative_to(inside):
                    continue
                yield f"{path.relative_to(inside)} leads outside"
            elif path.is_file() and path.stat().st_size < BYTES:
                data = path.read_bytes()
                if CANARY.encode() in data:
                    yield f"the secret is in {path.relative_to(inside)}"
                if path.suffix == ".html" and MARKUP.encode() in data:
                    yield f"markup in {path.name} is not escaped"


def _product(case: Case, arguments: list[str], inside: Path, outcome: Outcome) -> Iterator[str]:
    """Each source of a run is in the product or among the failures; the sound one in the product."""
    raw = inside / "raw"
    if arguments[0] != "run" or not raw.is_dir() or outcome.code not in _ENDED_BY_ITSELF:
        return
    if outcome.code in (2, 3):
        if case.keeps_good:
            yield f"exit {outcome.code}, one file stops the others: {outcome.stdout[:300]}"
        return
    try:
        failed = {Path(failure["source"]).name for failure in json.loads(outcome.stdout)["failed"]}
    except (ValueError, KeyError, TypeError):
        return
    used = {
        Path(source["href"]).name
        for manifest in inside.glob("work/*/v*/product/manifest.json")
        for entry in json.loads(manifest.read_text())
        for source in entry["sources"]
    }
    ending = next(path.suffix for path in raw.iterdir() if path.name.startswith(GOOD))
    for name in sorted((path.name for path in raw.glob(f"*{ending}")), key=ascii):
        is_hidden = name.startswith(".")  # a pattern does not match it
        written = os.fsencode(name).decode("utf-8", "backslashreplace")  # bytes that are no UTF-8, in JSON
        if not is_hidden and name not in used and failed.isdisjoint({name, written}):
            yield f"{name!a} is neither in the product nor among the failures"
    if case.keeps_good and not any(name.startswith(GOOD) for name in used):
        yield "the sound file is not in the product"
    if case.refused and any(not name.startswith(GOOD) for name in used):
        yield f"taken into the product: {sorted(name for name in used if not name.startswith(GOOD))}"
