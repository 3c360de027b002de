"""The rules of the PRR, as a bundle that is to go there is held against them, and what is ingested.

The gateway refuses what breaks a rule of level error (422), and leaves undone what breaks one of level warning. The
quality job reports codes; where another rule of the catalogue measures the same for any product, it names the code.
"""

from __future__ import annotations

from earthcode_pack.model import Level
from earthcode_pack.rule import rule

_E, _W, _I = Level.ERROR, Level.WARNING, Level.INFO
_GATEWAY, _CLIENT = "PRR gateway (EOEPCA/reg-api)", "PRR gateway; its official client"
_FORM = "[A-Za-z0-9._-]{1,100}"

FILE_SCHEMA = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
"""The extension that the gateway wants listed."""

# fmt: off
ID = rule(_E, "PRR-GATEWAY-ID", _GATEWAY, "id of an Item", _FORM, "rename it")
FILE_EXTENSION = rule(_E, "PRR-GATEWAY-FILE-EXTENSION", _GATEWAY,
    "stac_extensions of an Item", "file v2.1.0 among them", f"list {FILE_SCHEMA}")
COLLECTION = rule(_E, "PRR-GATEWAY-COLLECTION", _GATEWAY,
    "collection of an Item", "absent, or the one in the gateway's URL", "set store.prr.collection")
TIME = rule(_E, "PRR-GATEWAY-TIME", _GATEWAY,
    "start_datetime and end_datetime of an Item", "present, ISO 8601",
    "state the period: source.time; in STAC write YYYY-MM-DDTHH:MM:SSZ")
DATA_ROLE = rule(_E, "PRR-GATEWAY-DATA-ROLE", f"{_GATEWAY}; PRR quality job 2",
    "roles of the assets of an Item", "data or documentation at least once", "give one the role data")
ASSET = rule(_E, "PRR-GATEWAY-ASSET", f"{_GATEWAY}; PRR quality job 4, 7",
    "href, type, roles and file:size of each asset", "text, text, list and whole number",
    "set the field; an asset is an object with all four")
HREF = rule(_E, "PRR-GATEWAY-HREF", _GATEWAY,
    "hrefs without ://", "relative to the stage-in bucket's root, and inside it", "write <item id>/<file name>")
NAME = rule(_E, "PRR-GATEWAY-NAME", _GATEWAY, "base name of each file", _FORM, "rename it")
NAME_UNIQUE = rule(_E, "PRR-GATEWAY-NAME-UNIQUE", f"{_GATEWAY}: folders are dropped",
    "base names of the files of an Item", "each once", "rename all but one")
SIZE = rule(_E, "PRR-GATEWAY-SIZE", f"{_GATEWAY}; PRR quality job 5",
    "file:size against the staged file", "equal", "prepare the product again")
ABSENT = rule(_E, "PRR-GATEWAY-ABSENT", f"{_GATEWAY}; PRR quality job 3",
    "files of the assets", "in the bundle", "prepare the product again")
EMPTY = rule(_E, "PRR-GATEWAY-EMPTY", "PRR quality job 103",
    "Items of the Collection", "at least one", "prepare the product again")
CHECKSUM = rule(_W, "PRR-GATEWAY-CHECKSUM", f"{_CLIENT}; PRR quality job 6, 101",
    "file:checksum", "1220 and the sha256 in lower-case hex", "write 1220 and the sha256")
REMOTE = rule(_W, "PRR-GATEWAY-REMOTE", f"{_GATEWAY}; PRR quality job 100",
    "hrefs with ://", "none: they are kept, and what they point to is not archived",
    "stage the file, with a relative href")
FOLDER = rule(_W, "PRR-GATEWAY-FOLDER", "PRR quality job 8, which opens files only",
    "assets that are folders", "none", "set target.zarr: {version: 2, zipped: true}")

NOT_RECOMMENDED = rule(_I, "PRR-QA-102", "PRR quality job 102",
    "media type of data assets", "COG, or zipped Zarr v2; others are taken and not recommended",
    "set target.format cog, or zarr with {version: 2, zipped: true}, if the PRR asks for it")

_FIELDS = {
    32: ("title", "product.title"), 33: ("description", "product.description"), 34: ("thumbnail", "product.preview"),
    35: ("extent", "source.time"), 36: ("license", "product.license"),
    37: ("processing:datetime", "SOURCE_DATE_EPOCH"), 38: ("osc:project", "project.id"),
    39: ("osc:project_description", "project.description"), 40: ("osc:project_website", "project.website"),
    41: ("osc:initiative", "project.initiative"), 42: ("osc:contract-number", "project.contract_number"),
    43: ("themes", "product.themes"), 44: ("osc:variables", "product.variables.<name>.osc"),
    45: ("cf:parameter", "product.variables"), 46: ("osc:missions", "product.missions"),
}
_PICTURE = "set; jpeg, png, gif, bmp or tiff by its bytes, below 5 MB"
QUALITY = {
    field: rule(_W, f"PRR-QA-{code:03}", f"PRR quality job {code}", f"{field} of the Collection for the PRR",
        _PICTURE if field == "thumbnail" else "set", f"set {key}")
    for code, (field, key) in _FIELDS.items()
}

# --- what is ingested, as register and verify find it
INGESTED_DATA = rule(_E, "PRR-INGESTED-DATA", "contract 4.4: a published version never changes",
    "file:size and file:checksum of an ingested Item", "those of the bundle",
    "only an administrator of the PRR can delete an Item, and its data with it: ask for that, or give the product "
    "another id")
INGESTED_METADATA = rule(_W, "PRR-INGESTED-METADATA", "contract 4.4",
    "other fields of an ingested Item", "those of the bundle",
    "only an administrator of the PRR can correct it, by deleting the Item with its data")
INGESTED_UNSTATED = rule(_I, "PRR-INGESTED-UNSTATED", "contract 4.4",
    "checksums of an ingested Item", "stated, so that they can be compared", "compare its bytes")
REFUSED = rule(_E, "PRR-REFUSED", _GATEWAY, "the gateway's answer to an Item", "201",
    "mend what it names and run again")
PUBLISHED = rule(_E, "PRR-PUBLISHED", f"{_GATEWAY}: publication is not atomic",
    "each returned href, by HEAD", "there, in the size that was sent",
    "publish again later; where it stays, the PRR's operator must look: the Item is in the catalogue")
PUBLISHED_UNSEEN = rule(_I, "PRR-PUBLISHED-UNSEEN", _GATEWAY,
    "files that the PRR does not show to everybody", "answer", "look with the credentials of a reader")
REGISTERED = rule(_E, "PRR-REGISTERED", _GATEWAY, "each Item, in the PRR's catalogue", "there",
    "publish the bundle: what is there is left alone")
