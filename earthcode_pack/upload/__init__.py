"""bundle → receipts: what is published, in an order in which nothing refers to what is not there yet.

``upload`` publishes, ``difference`` is its dry run, ``verify`` looks at what is there, ``clean_store`` takes back what
never became visible. ``Ahead`` sends data while the product is being made, ``writer`` has workers that share no disk
put their own, ``upload_part`` puts that of one machine of many.
"""

from earthcode_pack.upload.compare import Difference, difference, place_name
from earthcode_pack.upload.entries import published_href, published_prefix
from earthcode_pack.upload.nodes import merge, upload_part
from earthcode_pack.upload.sending import upload
from earthcode_pack.upload.stages import order
from earthcode_pack.upload.standing import Standing, standing
from earthcode_pack.upload.tidy import Removed, clean_store
from earthcode_pack.upload.verification import verify

__all__ = [
    "Difference",
    "Removed",
    "Standing",
    "clean_store",
    "difference",
    "merge",
    "order",
    "place_name",
    "published_href",
    "published_prefix",
    "standing",
    "upload",
    "upload_part",
    "verify",
]
