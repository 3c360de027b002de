"""A Ceph RGW on this machine for tests: one monitor, one OSD that keeps everything in memory, one gateway.

Needs Debian's radosgw, ceph-mon and ceph-osd, and no root. ``python tests/services/rgw.py`` serves until its standard
input ends, and prints how to reach it as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

if __package__:
    from services.certificates import Certificates, signed
else:
    from certificates import Certificates, signed  # run as a program

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "monmaptool")
PATIENCE = 200.0  # s until it answers: a few, where nothing else is going on
_PLENTY = 8 * 2**30  # bytes of memory for objects: several uploads of half a gigabyte at once, and what is deleted
_DIES_WITH_PARENT = 1  # prctl(2): PR_SET_PDEATHSIG

_CONFIGURATION = """
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = {mon}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
# nobody but this machine, nothing worth a signature
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = true
ms_mon_client_mode = crc
keyring = {folder}/keyring
run_dir = {folder}
crash_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
# one copy of everything
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
# a full disk of the host is no matter of a store in memory
mon_data_avail_crit = 1
mon_data_avail_warn = 1
# a cluster of one agrees with itself at once
paxos_propose_interval = 0.05
paxos_min_wait = 0.02

[mon.a]
mon_data = {folder}/mon

[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = {memory}
osd_memory_target = 939524096
osd_max_object_name_len = 460
osd_max_object_namespace_len = 64
osd_class_load_list = *
osd_class_default_list = *

[client.rgw]
rgw_frontends = {frontends}
rgw_data = {folder}
rgw_dns_name = localhost
rgw_thread_pool_size = 64
rgw_run_sync_thread = false
# deleted objects leave memory soon; quotas are looked at for each object
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 10
rgw_gc_processor_max_time = 10
rgw_bucket_quota_ttl = 0
rgw_enable_quota_threads = false
"""


class User(NamedTuple):
    """Somebody whom the gateway knows."""

    access: str
    secret: str


TESTER = User("tester", "tester-n0t-to-be-shown")
OTHER = User("other", "other-n0t-to-be-shown")


@dataclass
class Rgw:
    """A running gateway. ``other`` has no right to what ``user`` makes."""

    folder: Path
    port: int
    tls_port: int
    certificates: Certificates
    user: User = TESTER
    other: User = OTHER
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def https(self) -> str:
        return f"https://localhost:{self.tls_port}"

    def admin(self, *arguments: str) -> str:
        """What ``radosgw-admin`` says: about a second."""
        return self._run("radosgw-admin", "-n", "client.rgw", *arguments)

    # --- its life -----------------------------------------------------------------------------------------------------

    def start(self, memory: int = 3 * 2**30) -> None:
        """Returns once it answers. Raises ``RuntimeError`` with the end of its logs where it does not."""
        fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
        mon = self._configure(fsid, memory)
        try:
            self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", mon, str(self.folder / "monmap"))
            self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(self.folder / "monmap"))
            self._serve("ceph-mon", "-i", "a", "-f")
            number = self._run("ceph", "osd", "new", osd).strip()
            self._run("ceph-osd", "-i", number, "--mkfs", "--osd-uuid", osd)
            self._serve("ceph-osd", "-i", number, "-f")
            self._serve("radosgw", "-n", "client.rgw", "-f")
            for name, user in (("tester", self.user), ("other", self.other)):
                keys = ("--access-key", user.access, "--secret", user.secret)
                self.admin("user", "create", "--uid", name, "--display-name", name, *keys)
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends what was started, by its process ids, and removes the folder."""
        for process in self._processes:
            process.kill()  # what is in memory needs no farewell, which takes seconds
        for process in self._processes:
            process.wait()
        self._processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configure(self, fsid: str, memory: int) -> str:
        """Writes the configuration; the addresses of the monitor."""
        ports = free_ports(2)
        mon = f"[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]"
        tls = f"ssl_certificate={self.certificates.certificate} ssl_private_key={self.certificates.key}"
        frontends = f"beast endpoint=127.0.0.1:{self.port} ssl_endpoint=127.0.0.1:{self.tls_port} {tls}"
        for name in ("mon", "osd"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "keyring").touch()
        text = _CONFIGURATION.format(fsid=fsid, mon=mon, folder=self.folder, memory=memory, frontends=frontends)
        (self.folder / "ceph.conf").write_text(text)
        return mon

    def _wait(self) -> None:
        ask = build_opener(ProxyHandler({})).open
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and all(process.poll() is None for process in self._processes):
            with suppress(URLError, OSError):
                with suppress(HTTPError):  # an answer, too
                    ask(self.http, timeout=20).close()
                return
            time.sleep(0.05)
        raise RuntimeError(f"Ceph RGW does not answer:\n{self._logs()}")

    def _environment(self) -> dict[str, str]:
        sparing = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
        return (
            os.environ | {"CEPH_CONF": str(self.folder / "ceph.conf")} | sparing
        )  # the OSD would keep five times more

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self._environment(), capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(command[:4])}: {done.stderr.decode(errors='replace')[-2000:]}\n{self._logs()}"
            )
        return done.stdout.decode()

    def _serve(self, *command: str) -> None:
        log = self.folder / f"{command[0]}.out"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - a system call and nothing else
            )
        self._processes.append(process)

    def _logs(self) -> str:
        parts = [*self.folder.glob("*.out"), *self.folder.glob("*.log")]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in parts)


def _die_with_parent() -> None:
    """So that nothing is left of a test run that was killed."""
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)


def missing() -> list[str]:
    """The programs that are needed and not there."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def free_ports(number: int) -> Sequence[int]:
    """Ports on which nothing listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def started(memory: int = 3 * 2**30) -> Rgw:
    """A gateway in a folder of its own; up in some seconds."""
    folder = Path(tempfile.mkdtemp(prefix="rgw-"))
    rgw = Rgw(folder, *free_ports(2), signed(folder / "tls"))
    rgw.start(memory)
    return rgw


def main() -> None:
    """Serves until standard input ends. Each line of it has deleted objects leave memory, and is answered."""
    rgw = started(_PLENTY)
    try:
        told = {"endpoint": rgw.http, "access": rgw.user.access, "secret": rgw.user.secret}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        for _line in sys.stdin:
            rgw.admin("gc", "process", "--include-all")
            sys.stdout.write("\n")
            sys.stdout.flush()
    finally:
        rgw.stop()


if __name__ == "__main__":
    main()
