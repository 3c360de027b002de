"""The command line (contract 4.1): reads what was typed, calls the package, writes what came of it.

Only typer and rich are imported before a command runs, so that help answers at once.
"""

import os
import sys
import traceback
from contextlib import nullcontext, redirect_stdout
from typing import Any

from earthcode_pack.cli.commands import app
from earthcode_pack.cli.logs import listen
from earthcode_pack.cli.outcome import Outcome, write_json
from earthcode_pack.errors import EarthcodePackError, full_disk
from earthcode_pack.execution.threads import collect_seldom
from earthcode_pack.execution.waiting import LEFT_BEHIND
from earthcode_pack.redact import redacted

__all__ = ["app", "main"]

STOPPED = 130  # what a shell reports of a program that Ctrl-C ended


def main() -> None:
    """The console script: runs the command that was typed and exits with its code."""
    collect_seldom()
    code = execute(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    if code == STOPPED or LEFT_BEHIND.is_set():
        os._exit(code)  # threads inside a library cannot be interrupted, and what they leave behind is temporary
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Runs one command; its result goes to standard output, everything else to standard error.

    Returns the exit code: 0 done, 1 something failed, 2 wrong by itself, 3 the outside world failed, 130 stopped.
    """
    as_json, debug = "--json" in arguments, "--debug" in arguments
    listen(debug=debug)
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            outcome = app(arguments, prog_name="earthcode-pack", standalone_mode=False)
        return _told(outcome)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the reader has gone, as `| head` does
        return 0
    except Exception as error:  # noqa: BLE001 - no traceback for who has not asked for one
        return _failed(error, arguments, as_json=as_json, debug=debug)


def _told(outcome: Any) -> int:
    if isinstance(outcome, Outcome):
        outcome.tell()
        return outcome.code
    if outcome == STOPPED:
        sys.stderr.write("\nStopped. Run it again: it goes on where it was.\n")
    return outcome if isinstance(outcome, int) else 0


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
    """Type, message, remedy and exit code."""
    name = type(error).__name__
    if isinstance(error, EarthcodePackError):
        return name, error.message, error.remedy, error.exit_code
    if hasattr(error, "format_message"):  # what was typed cannot be understood
        return name, error.format_message(), f"see: {_help_of(error)}", 2
    if full := full_disk(error, getattr(error, "filename", None) or "a file that was being written"):
        return type(full).__name__, full.message, full.remedy, full.exit_code
    again = " ".join(["earthcode-pack --debug", *(word for word in arguments if word != "--debug")])
    return name, f"{name}: {error}", f"this should not happen; for the traceback: {again}", 1


def _help_of(error: Any) -> str:
    """The command whose help explains what was typed wrongly."""
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else 'earthcode-pack'} --help"
