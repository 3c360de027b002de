"""A process that has loaded the package, and forks one for each command line that it reads from standard input.

Each command still has a process of its own, without the 1.5 s of CPU that imports take. A line in is JSON with
``arguments``, ``folder``, ``environment``, ``stdout`` and ``stderr``; a line out the process id, and another, after its
end, with ``code`` (negative for a signal), ``cpu`` (seconds) and ``peak`` (bytes of the largest process).
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import warnings
from typing import Any

_LOADED = (
    "pyproj", "rasterio", "h5netcdf", "netCDF4", "zarr", "eccodes", "jsonschema", "earthcode_pack.pipeline",
    "earthcode_pack.checks", "earthcode_pack.upload", "earthcode_pack.report", "earthcode_pack.cli.results",
    "earthcode_pack.catalogs.osc",
)  # fmt: skip
_LARGEST_FILE = 2_000_000_000  # bytes: what a bomb becomes must not fill the disk of who tries it


def serve() -> None:
    """Answers lines until there are no more."""
    for name in _LOADED:
        importlib.import_module(name)
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the threads of OpenBLAS, which sleep
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            warnings.resetwarnings()
            _become(asked)
        _say(pid)
        _, status, usage = os.wait4(pid, 0)
        unit = 1 if sys.platform == "darwin" else 1024
        code, cpu = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        _say({"code": code, "cpu": cpu, "peak": usage.ru_maxrss * unit})


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _become(asked: dict[str, Any]) -> None:
    """Runs the console script as if it had been started so."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    for number, name in enumerate((os.devnull, asked["stdout"], asked["stderr"])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), number)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.path[:0] = [asked["environment"]["PYTHONPATH"]]
    importlib.import_module("sitecustomize_of_abuse")
    sys.argv = ["earthcode-pack", *asked["arguments"]]
    try:
        importlib.import_module("earthcode_pack.cli").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    importlib.import_module("threading")._shutdown()  # as the interpreter waits for threads
    importlib.import_module("atexit")._run_exitfuncs()
    os._exit(code)


if __name__ == "__main__":
    serve()
