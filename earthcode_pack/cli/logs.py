"""What the package and its libraries say while they work: warnings and what is waited for, all of it with --debug."""

import logging
import sys
import warnings

from earthcode_pack.redact import redacted


class _ToStderr(logging.Handler):
    """Looks the stream up each time: a progress bar puts its own in place to keep lines above itself.

    What libraries say of a URL, in a traceback too, comes without what is secret in it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(redacted(self.format(record)) + "\n")


def listen(*, debug: bool) -> None:
    """Sets up logging for one command; called again, it replaces what it did."""
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s" if debug else "%(levelname)s: %(message)s"))
    ours = logging.getLogger("earthcode_pack")
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.getLogger("earthcode_pack.waiting").setLevel(logging.NOTSET if debug else logging.INFO)
    # Dask reports each failed item with a traceback; ours is in the report, with a remedy
    logging.getLogger("distributed").setLevel(logging.INFO if debug else logging.CRITICAL)
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")
