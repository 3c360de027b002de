"""Our part of the upload benchmark, a process of its own: ``python -m benchmarks.upload_ours BUNDLE HREF``."""

from __future__ import annotations

import sys

from earthcode_pack.bundle import open_bundle
from earthcode_pack.execution.threads import collect_seldom
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import open_store
from earthcode_pack.upload import upload


def main(bundle: str, href: str) -> None:
    """Uploads a bundle, with all that a user gets: ledger, order, verification, receipts."""
    collect_seldom()  # as the command line does
    upload(open_bundle(bundle), open_store(StoreSpec(href=href)))


if __name__ == "__main__":
    main(*sys.argv[1:])
