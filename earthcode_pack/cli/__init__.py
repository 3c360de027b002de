"""The command line (contract 4.1): parses arguments, calls the package, writes the result.

Only typer and rich are imported before a command runs, so that help answers at once.
"""

import logging
import os
import sys
import traceback
import warnings
from contextlib import nullcontext, redirect_stdout

from earthcode_pack.cli.commands import app
from earthcode_pack.cli.outcome import Outcome, write_json
from earthcode_pack.errors import EarthcodePackError, full_disk
from earthcode_pack.execution.threads import collect_seldom
from earthcode_pack.execution.waiting import LEFT_BEHIND
from earthcode_pack.redact import redacted

__all__ = ["app", "main"]

STOPPED = 130  # exit code of a program that Ctrl-C ended


def main() -> None:
    """Runs the command of ``sys.argv`` and exits with its code; the entry point of the console script."""
    collect_seldom()
    code = execute(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    if code == STOPPED or LEFT_BEHIND.is_set():
        os._exit(code)  # threads inside a library cannot be interrupted, and what they leave behind is temporary
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Runs one command; its result goes to standard output, everything else to standard error.

    Returns:
        The exit code: 0 done, 1 something failed, 2 wrong by itself, 3 the outside world failed, 130 stopped.

    """
    as_json, debug = "--json" in arguments, "--debug" in arguments
    set_up_logging(debug=debug)
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            outcome = app(arguments, prog_name="earthcode-pack", standalone_mode=False)
        if isinstance(outcome, Outcome):
            outcome.write()
            return outcome.code
        if outcome == STOPPED:
            sys.stderr.write("\nStopped. Run it again: it goes on where it was.\n")
        return outcome if isinstance(outcome, int) else 0
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the reader has gone, as `| head` does
        return 0
    except Exception as error:  # noqa: BLE001 - no traceback for who has not asked for one
        return _failed(error, arguments, as_json=as_json, debug=debug)


class _StderrHandler(logging.Handler):
    """Log handler that looks up ``sys.stderr`` each time: a progress bar puts its own in place.

    Secrets in URLs that libraries log, in tracebacks too, are redacted.
    """

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(redacted(self.format(record)) + "\n")


def set_up_logging(*, debug: bool) -> None:
    """Sets up logging for one command: warnings and waits, with ``debug`` everything."""
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s" if debug else "%(levelname)s: %(message)s"))
    ours = logging.getLogger("earthcode_pack")
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.getLogger("earthcode_pack.waiting").setLevel(logging.NOTSET if debug else logging.INFO)
    # Dask logs each failed item with a traceback; the report has it with a remedy
    logging.getLogger("distributed").setLevel(logging.INFO if debug else logging.CRITICAL)
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")


def _failed(error: Exception, arguments: list[str], *, as_json: bool, debug: bool) -> int:
    if debug:
        sys.stderr.write(redacted(traceback.format_exc()))
    name, *words, code = _explained(error, arguments)
    message, remedy = map(redacted, words)
    if as_json:
        write_json({"error": {"type": name, "message": message, "remedy": remedy}})
    elif message:  # a bare `earthcode-pack` has shown its help already
        sys.stderr.write(f"error: {message}\n" + (f"   → {remedy}\n" if remedy else ""))
    return code


def _explained(error: Exception, arguments: list[str]) -> tuple[str, str, str, int]:
    """Returns type, message, remedy and exit code of an error."""
    name = type(error).__name__
    if isinstance(error, EarthcodePackError):
        return name, error.message, error.remedy, error.exit_code
    if hasattr(error, "format_message"):  # typer cannot parse the arguments
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "earthcode-pack"
        return name, error.format_message(), f"see: {command} --help", 2
    if full := full_disk(error, getattr(error, "filename", None) or "a file that was being written"):
        return type(full).__name__, full.message, full.remedy, full.exit_code
    again = " ".join(["earthcode-pack --debug", *(word for word in arguments if word != "--debug")])
    return name, f"{name}: {error}", f"this should not happen; for the traceback: {again}", 1
