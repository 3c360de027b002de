"""The Open Science Catalog as a target: a checkout of its metadata as a whole, or one of its records.

A record of the catalogue describes a product for people who search; the product's own Collection, with assets and
measured extents, lies elsewhere. What the PRR and APEx want of the latter is not asked of the former.
"""

from earthcode_pack.checks.osc.catalogue import (
    catalogue_findings,
    kind_of_record,
    record_findings,
    stray_record_findings,
)
from earthcode_pack.checks.osc.checkout import Checkout

__all__ = ["Checkout", "catalogue_findings", "kind_of_record", "record_findings", "stray_record_findings"]
