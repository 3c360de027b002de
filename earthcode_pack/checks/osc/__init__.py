"""Checks of the Open Science Catalog: a checkout of its metadata as a whole, or one of its records.

A record of the catalogue describes a product for people who search; the product's own Collection, with assets and
measured extents, lies elsewhere. The rules of the PRR and APEx apply to the latter only.
"""

from earthcode_pack.checks.osc.catalogue import catalogue_findings, record_findings
from earthcode_pack.checks.osc.checkout import Checkout
from earthcode_pack.checks.osc.records import kind_of_record, single_record_findings

__all__ = ["Checkout", "catalogue_findings", "kind_of_record", "record_findings", "single_record_findings"]
