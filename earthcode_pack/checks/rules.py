"""The catalogue of rules: every finding is made by the rule that is broken.

A rule of a standard keeps its id (``STAC-REC-06``); the id of another begins with what is checked. The level of a rule
is fixed (contract 4.4): *error* for a MUST, a REQ, a schema, facts that contradict each other and missing units;
*warning* for a recommendation; *info* for what cannot be judged from the target alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from earthcode_pack.model import Level
from earthcode_pack.rule import Rule, entered, rule


def catalogue() -> tuple[Rule, ...]:
    """Returns every rule, by id; those of the Open Science Catalog and of the PRR are declared by their own modules."""
    import earthcode_pack.catalogs.prr.rules  # noqa: PLC0415 - declares rules
    import earthcode_pack.checks.osc.rules  # noqa: F401, PLC0415 - likewise

    return entered()


def rules_markdown() -> str:
    """Returns the catalogue as a Markdown table, one row for each rule."""
    head = "| rule | level | asked by | looks at | allowed | remedy |\n|---|---|---|---|---|---|\n"
    rows = ((r.id, r.level.value, r.source, r.measures, r.allowed, r.remedy) for r in catalogue())
    return head + "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


_E, _W, _I = Level.ERROR, Level.WARNING, Level.INFO
_COG, _ZARR, _NC, _GEN = "EarthCODE COG", "EarthCODE Zarr", "EarthCODE NetCDF", "EarthCODE general"
_FACT, _QA = "contract 3.1, measured", "PRR quality job"
_OURS = "if earthcode-pack wrote it, the fault is its own: please report it, with the profile and a source"
_TRUE = f"write the value of the data, which the message names; {_OURS}"
_STORE = "contract 4.1, verify"
_AGAIN = "publish the bundle again: what is right is left alone"
_CHANGED = "restore the file that the STAC describes, or package the data again as a new product.version"

# fmt: off
# --- files and formats
UNREADABLE = rule(_E, "FORMAT-UNREADABLE", f"{_QA} 8",
    "whether the file opens and decodes as what it claims to be", "opens", "write the file again")
DATA_REQ_01 = rule(_E, "DATA-REQ-01", "APEx",
    "format of raster assets", "COG, Zarr or NetCDF-4", "convert it: target.format")
DATA_REQ_02 = rule(_E, "DATA-REQ-02", "APEx",
    "format of vector assets", "GeoJSON, FlatGeobuf or GeoParquet", "convert it to GeoParquet or FlatGeobuf")
DATA_REQ_03 = rule(_E, "DATA-REQ-03", "APEx; PRR quality job 103",
    "STAC beside the data", "every data file is an asset, and there is at least one", "package the files again")
GEOJSON_SIZE = rule(_W, "EXPLORER-REC-04", "APEx",
    "size of GeoJSON assets", "below 5 MB", "write GeoParquet or FlatGeobuf")

COG_VALID = rule(_E, "COG-VALID", f"{_COG} (M); rio-cogeo, strict",
    "layout: order of directories and tiles, tiling, overviews inside", "valid", "write it with GDAL's COG driver")
COG_TILE = rule(_W, "EXPLORER-REC-01", "APEx", "tile size of a COG", "256 or 512", "set target.cog.blocksize")
COG_OVERVIEWS = rule(_W, "EXPLORER-REC-02", "APEx",
    "overviews", "factors of two until one fits in a tile, each tiled", "write it with GDAL's COG driver")
COG_INTERLEAVE = rule(_W, "EXPLORER-REC-03", "APEx",
    "interleaving of a COG with several bands", "BAND", "write it with INTERLEAVE=BAND")
COG_VARIABLE = rule(_E, "COG-ONE-VARIABLE", f"{_COG} (M)",
    "number of variables in a COG", "one, or an RGB picture", "write one file for each variable")
COG_CRS = rule(_E, "COG-CRS", f"{_COG} (M)", "CRS of the raster", "set", "set source.crs")
COG_GEOREFERENCE = rule(_E, "COG-GEOREFERENCE", f"{_COG} (M)",
    "transform of the raster", "set", "give the file its geotransform")
COG_NODATA = rule(_E, "COG-NODATA", f"{_COG} (M)",
    "nodata of a floating-point raster without mask: NaN costs no valid value", "set", "set source.nodata")
COG_NODATA_INTEGER = rule(_W, "COG-NODATA-INTEGER", f"{_COG} (M); a warning: each integer may be valid",
    "nodata of an integer raster without mask", "set, where any cell can be missing",
    "set source.nodata, or accept the rule where all cells are valid")
COG_NODATA_CLASSES = rule(_I, "COG-NODATA-CLASSES", f"{_COG} (M); of level info: each value has its class",
    "nodata of a categorical raster without mask", "set, where any cell can be missing",
    "set source.nodata where a value means missing")
COG_UNITS = rule(_E, "COG-UNITS", f"{_GEN} (M)",
    "unit of each band that is a quantity (neither class nor colour)", "set; 1 where there is no dimension",
    "set product.variables.<name>.units")
COG_NORTH_UP = rule(_W, "COG-NORTH-UP", "contract 4.2",
    "orientation", "north-up, neither sheared nor mirrored", "write the rows from north to south")
COG_LONGITUDE = rule(_W, "COG-LONGITUDE", "EarthCODE, fidelity of facts",
    "longitudes of a global geographic grid", "-180 to 180", "roll the grid by 180 degrees")
COG_LOSSY = rule(_I, "COG-LOSSY", f"{_COG}: lossless by default",
    "compression", "lossless, or lossy on purpose", "set target.cog.compression")

ZARR_CONSOLIDATED = rule(_E, "ZARR-CONSOLIDATED", f"{_ZARR} (M)",
    "consolidated metadata", "at the root", "consolidate the metadata")
ZARR_STALE = rule(_E, "ZARR-CONSOLIDATED-STALE", _FACT,
    "consolidated metadata against that of the arrays", "equal", "consolidate the metadata again")
ZARR_DIMENSIONS = rule(_E, "ZARR-DIMENSION-NAMES", f"{_ZARR} (M)",
    "dimension_names (v3) or _ARRAY_DIMENSIONS (v2) of each array", "one name for each axis",
    "write the store with xarray")
ZARR_COORDINATES = rule(_E, "ZARR-COORDINATES", f"{_ZARR} (M)",
    "coordinate arrays", "one along every dimension of the data", "add the coordinate")
ZARR_CHUNK_LARGE = rule(_W, "ZARR-CHUNK-LARGE", f"{_ZARR} (R)",
    "largest stored chunk", "at most 200 MB compressed", "set target.zarr.chunks")
ZARR_CHUNK_SMALL = rule(_I, "ZARR-CHUNK-SMALL", f"{_ZARR} (R)",
    "mean stored chunk of a variable with several", "at least 1 MB compressed", "set target.zarr.chunks or shards")
ZARR_MANY_SMALL = rule(_W, "ZARR-MANY-SMALL", f"{_GEN}: avoid thousands of small files",
    "number of stored chunks below 1 MB", "at most 1000 for a variable", "set target.zarr.shards or larger chunks")
ZARR_FILL_ONLY = rule(_E, "ZARR-FILL-ONLY", f"{_ZARR} (M), with --deep",
    "stored chunks", "none holds only the fill value", "write with write_empty_chunks=False")
ZARR_FILL_VALUE = rule(_W, "ZARR-FILL-VALUE", "Zarr, CF 2.5.1", "fill_value of the array against its _FillValue",
    "equal, or chunks that were never written read as valid values", "write the array with fill_value = _FillValue")
ZARR_NOT_LISTED = rule(_I, "ZARR-NOT-LISTED", _ZARR,
    "sizes of the chunks of a remote store", "can be listed", "check a local copy")
ZARR_ZIP_ROOT = rule(_E, "ZARR-ZIP-ROOT", f"{_QA} 8",
    "place of the store in its zip", "at the root", "zip the content of the folder, not the folder")
ZARR_ZIP_STORED = rule(_E, "ZARR-ZIP-STORED", "PRR, zipped Zarr",
    "compression of the zip's members", "stored, so that a reader can take a range", "zip with -0")
ZARR_EMPTY = rule(_E, "ZARR-EMPTY", f"{_QA} 8",
    "arrays at the root of the store", "at least one", "name the group that holds the data")
ZARR_LEVELS = rule(_E, "ZARR-LEVELS", _FACT,
    "multiscales.layout against the groups and arrays of the store", "each asset is there, in the shape that is stated",
    "write the levels again")
ZARR_MULTISCALES = rule(_I, "ZARR-MULTISCALES", f"{_ZARR} (R), for what is shown on a map",
    "levels of a grid of more than 2048 rows and columns", "multiscales", "set target.zarr.multiscales: true")

NC_VERSION = rule(_E, "NETCDF-4", f"{_NC}; DATA-REQ-01",
    "version of the format", "NetCDF-4", "convert it: target.format netcdf")
NC_CHUNKED = rule(_W, "NETCDF-CHUNKS", f"{_NC}: sensible internal chunks",
    "chunks of variables above 4 MB", "chunked, at most 200 MB each", "set target.netcdf.chunks")
NC_COMPRESSED = rule(_W, "NETCDF-COMPRESSION", _NC,
    "filters of variables above 4 MB", "compressed", "set target.netcdf.level")
NC_METADATA = rule(_I, "NETCDF-METADATA", "cloud-optimised HDF5",
    "where the metadata of a file above 4 MB lies", "in pages, near the front",
    "write with paged file space, or h5repack -S PAGE -G 65536")
NC_COORDINATES = rule(_W, "NETCDF-COORDINATES", f"{_GEN} (R)",
    "coordinate variables", "one along every dimension of the data", "add the coordinate")
NC_GROUPS = rule(_I, "NETCDF-GROUPS", _NC,
    "groups below the root", "only the root group is judged", "check the groups by hand")

# --- what the data mean
PROOF = rule(_I, "DATA-PROOF", "contract 4.4, equality",
    "blocks of each variable, time axes and missing values, decoded by other projects' readers on both sides",
    "source and output agree, or the output is not kept; what a reader does not know is named", "nothing to do")
DIFFERS = rule(_E, "DATA-DIFFERS", "contract 4.4, equality; with --deep, where the sources can be read",
    "every block of the data and of its sources, decoded by other projects' readers", "equal",
    "package it again; if it stays, report it with this message")

# --- CF and ACDD
CF_UNITS = rule(_E, "CF-UNITS", f"{_GEN} (M)",
    "units of every variable and coordinate that is a quantity", "set; 1 where there is no dimension",
    "set product.variables.<name>.units")
CF_TIME = rule(_E, "CF-TIME-UNITS", f"{_GEN} (M)",
    "units of time coordinates", "a known unit since a date of the calendar",
    "write time as CF 4.4 says: days since 1970-01-01")
CF_CALENDAR = rule(_W, "CF-TIME-CALENDAR", "CF 4.4.1",
    "calendar of time coordinates", "set", "set the attribute calendar")
CF_TIME_PRECISION = rule(_W, "CF-TIME-PRECISION", "CF 4.4; the type of the coordinate",
    "digits of times that are no whole numbers of their unit", "exact to half a second", "write the times as float64")
CF_TIME_GAPS = rule(_I, "CF-TIME-GAPS", "contract 4.4",
    "steps of a time axis, or of Items, that is regular but for some that it lacks", "none is missing",
    "add the files that are missing; nothing to do where there was no observation")
CF_TIME_REFERENCE = rule(_W, "CF-TIME-REFERENCE", "CF standard names: forecast_reference_time, forecast_period",
    "time axes of forecasts", "say when the values are valid",
    "add a coordinate with the standard_name time, or forecast_period; else the extent is that of the reference times")
CF_TIME_LABELS = rule(_I, "CF-TIME-LABELS", "contract 4.2",
    "dates of a model calendar", "dates that the Gregorian calendar has", "nothing to do where the model has such days")
COG_SIDECAR = rule(_W, "COG-SIDECAR", "GDAL, GTiff driver: external masks, .aux.xml, world files",
    "files beside a GeoTIFF that say where it lies, or which cells are valid", "none: only the file itself is read",
    "embed them: `gdal_translate FILE NEW.tif`, for a mask with --config GDAL_TIFF_INTERNAL_MASK YES")
COG_CIRCULAR = rule(_W, "COG-CIRCULAR", "CF standard names of directions, azimuths and phases",
    "overviews of angles that go round: the average of 350 and 10 degrees is 180", "nearest or mode",
    "set target.cog.resampling: nearest, or leave it out")
NODATA_NEAR = rule(_W, "NODATA-NOT-THE-FILL", "design, rule 3: statistics are of valid cells",
    "least and greatest value beside nodata", "no fill value that nodata does not name",
    "where it is the fill, set source.nodata: {value: …, override: true} to the value in the cells")
ALPHA_UNNAMED = rule(_W, "ALPHA-UNNAMED", "TIFF 6.0, ExtraSamples; GDAL, GTiff driver: ALPHA",
    "a band beside others that holds 0 and the greatest value of its type alone", "named as alpha, where it is one",
    "where it is one, say so in the file: `gdal_translate -colorinterp_N alpha FILE NEW.tif`, N its number")
COG_BANDS_OF_TIME = rule(_W, "COG-BANDS-OF-TIME", "CF 4.4: time is a coordinate",
    "names of the bands of a GeoTIFF", "those of variables",
    "write a file for each time, with the date in its name: `gdal_translate -b 1 FILE NAME_20200101.tif`")
SOURCE_LEFT_OUT = rule(_I, "SOURCE-LEFT-OUT", "design, rule 6: nothing is dropped in silence",
    "variables of a source that the product does not hold", "none", "select them with source.variables")
ZARR_FILL_ZERO = rule(_W, "ZARR-FILL-ZERO", "Zarr v2: fill_value is 0 by default; xarray reads it as _FillValue",
    "fill_value of a source in Zarr v2 without _FillValue", "not 0",
    "give the array the attribute _FillValue if 0 means missing; else write it again with fill_value=None")
CF_GROUPS = rule(_W, "CF-GROUPS", "design, rule 6: nothing is dropped in silence",
    "groups beside the root of a source", "none", "make a product of each group, from a file of its own")
CF_TYPES = rule(_W, "CF-TYPES", "design, rule 6: nothing is dropped in silence",
    "variables of complex or compound type in a source", "none",
    "write their parts as variables of numbers, such as amplitude and phase")
CF_TEXT = rule(_W, "CF-TEXT", "NetCDF User's Guide, Appendix B: text is UTF-8; CF 2.2",
    "attributes of a source whose bytes are no UTF-8", "none", "see that the text is right, and write it as UTF-8")
CF_TIME_BOUNDS = rule(_W, "CF-TIME-BOUNDS", f"{_GEN}; contract 4.2",
    "bounds of time where cell_methods names an interval", "set", "add time bounds")
CF_BOUNDS = rule(_E, "CF-BOUNDS", "CF 7.1",
    "variable that the attribute bounds names", "exists", "write the bounds, or remove the attribute")
CF_VERTICAL = rule(_E, "CF-VERTICAL", f"{_GEN} (M)",
    "positive of a vertical axis (pressure excepted)", "up or down", "set the attribute positive")
CF_LATLON = rule(_W, "CF-LATLON-UNITS", "CF 4.1, 4.2",
    "units of latitude and longitude", "degrees_north, degrees_east", "correct the units")
CF_STANDARD_NAME = rule(_W, "CF-STANDARD-NAME", f"{_GEN} (R)",
    "standard_name of every data variable", "set", "set product.variables.<name>.standard_name")
CF_UNITS_FORM = rule(_W, "CF-UNITS-FORM", "CF 3.1; a warning: a field may use what UDUNITS does not know",
    "each unit of a variable, coordinate, band or field of STAC", "one that UDUNITS reads",
    "correct it: product.variables.<name>.units may say what the file's spelling means")
CF_STANDARD_NAME_UNKNOWN = rule(_W, "CF-STANDARD-NAME-UNKNOWN", "CF 3.3",
    "each standard name and its modifier", "in the CF table, or newer than it",
    "set product.variables.<name>.standard_name to one of the table, or leave it out")
CF_STANDARD_NAME_ALIAS = rule(_I, "CF-STANDARD-NAME-ALIAS", "CF 3.3",
    "standard names that the CF table keeps as aliases", "the present name",
    "set product.variables.<name>.standard_name to the present name")
CF_STANDARD_NAME_UNITS = rule(_E, "CF-STANDARD-NAME-UNITS", "CF 3.3; contract 4.4",
    "units against the canonical units of the standard name", "convertible into each other",
    "correct the units or the standard name")
CF_LONG_NAME = rule(_W, "CF-LONG-NAME", f"{_GEN} (R)",
    "long_name of every data variable", "set", "set product.variables.<name>.long_name")
CF_GRID_MAPPING = rule(_E, "CF-GRID-MAPPING", f"{_GEN} (M)",
    "grid_mapping of every variable on a horizontal grid", "names a variable that states a CRS", "set source.crs")
CF_FLAGS = rule(_E, "CF-FLAGS", f"{_GEN} (M)",
    "flag_values or flag_masks, and flag_meanings", "as many meanings as values",
    "set product.variables.<name>.classes")
CLASS_UNNAMED = rule(_W, "CLASS-UNNAMED", "STAC-REC-12; CF 3.5",
    "values of categorical data against their classes, while they are converted",
    "each value has a class, or is nodata",
    "add it to product.variables.<name>.classes, or set source.nodata")
CF_CONVENTIONS = rule(_W, "CF-CONVENTIONS", f"{_GEN} (R)",
    "global attribute Conventions", "set", "set Conventions to CF-1.11, ACDD-1.3")
ACDD_REQUIRED = rule(_E, "ACDD-REQUIRED", f"{_GEN} (M)",
    "global title, summary, license, and provenance (history, source or references)", "set",
    "set product.title, description, license, source")
ACDD_RECOMMENDED = rule(_W, "ACDD-RECOMMENDED", f"{_GEN} (R)",
    "global history, institution, source, references", "set", "set product.institution, source, references")
ACDD_DOCUMENTATION = rule(_W, "ACDD-DOCUMENTATION", f"{_GEN} (R)",
    "URLs of documentation in the global attributes", "at least one, as in references",
    "set product.documentation or references")
CF_UNCERTAINTY = rule(_I, "CF-UNCERTAINTY", f"{_GEN} (R); of level info: not every quantity has one",
    "uncertainty of the data: ancillary variables (CF 3.4) or a variable that is one", "there",
    "add the uncertainty as a variable, and name it in ancillary_variables")

# --- STAC: schemas and structure
SCHEMA = rule(_E, "STAC-SCHEMA", "STAC, and each extension that is listed",
    "the JSON against the schema", "valid", "correct the field, or remove the extension")
SCHEMA_UNAVAILABLE = rule(_I, "STAC-SCHEMA-UNAVAILABLE", "contract 5",
    "the schema of STAC and of each extension that is listed", "at hand",
    "set EARTHCODE_PACK_SCHEMAS to a folder that has it, or go online once")
JSON_FORM = rule(_E, "STAC-JSON", "RFC 8259; STAC", "the file", "one JSON object that is STAC", "write the file again")
ID_FORM = rule(_E, "STAC-ID", "PRR gateway; contract 4.3", "id", "[A-Za-z0-9._-]{1,100}", "rename it")
BBOX_FORM = rule(_E, "STAC-BBOX", "RFC 7946, 5",
    "each bbox", "4 or 6 numbers, longitudes in ±180, latitudes in ±90, south ≤ north",
    f"write west, south, east, north in degrees, west > east across the antimeridian; {_OURS}")
BBOX_POINT = rule(_I, "STAC-BBOX-POINT", "Open Science Catalog, faults seen",
    "size of each bbox", "a point only where the data are of one place, such as a gauge",
    "write the box of the cell edges")
BBOX_GLOBAL = rule(_I, "STAC-BBOX-GLOBAL", "contract 4.4",
    "each bbox", "the whole globe only where the data cover it", "compare it with the data")
GEOMETRY = rule(_E, "STAC-GEOMETRY", "STAC Item; RFC 7946",
    "geometry against bbox", "within", f"draw it within the bbox, or widen the bbox; {_OURS}")
GEOMETRY_SPLIT = rule(_W, "STAC-GEOMETRY-SPLIT", "RFC 7946, 3.1.9",
    "geometry that crosses the antimeridian", "cut in two parts", "cut it at ±180")
TIME_ORDER = rule(_E, "STAC-TIME", "STAC common metadata",
    "start_datetime ≤ datetime ≤ end_datetime", "in this order, ISO 8601", f"correct the times; {_OURS}")
EXTENT_BBOX = rule(_E, "STAC-EXTENT-BBOX", _FACT,
    "first bbox of the Collection against its Items", "their union", f"write the union of the Items; {_OURS}")
EXTENT_TIME = rule(_E, "STAC-EXTENT-TIME", _FACT,
    "first interval of the Collection against its Items", "their union", f"write the union of the Items; {_OURS}")
EXTENT_PARTS = rule(_E, "STAC-EXTENT-PARTS", "STAC Collection, spatial extent",
    "further boxes of the Collection", "each in the first, and together they hold every Item",
    f"write boxes of the Items within the first; {_OURS}")
INTERVAL = rule(_E, "STAC-INTERVAL", "STAC Collection, temporal extent",
    "intervals of the Collection", "start ≤ end, ISO 8601, or null", f"correct them; {_OURS}")
EXTENT_OPEN = rule(_I, "STAC-EXTENT-OPEN", "contract 4.4",
    "open end of the Collection's interval", "only while the product is ongoing",
    "state the end of a completed product")
COLLECTION_ID = rule(_E, "STAC-COLLECTION-ID", _FACT,
    "collection of each Item", "the id of its Collection", "correct the id")
LICENSE = rule(_W, "STAC-LICENSE", "EarthCODE documentation",
    "license of the Collection", "an SPDX id, proprietary or various; neither NC nor ND", "set product.license")
DOCUMENTATION_LINK = rule(_W, "STAC-DOCUMENTATION", "EarthCODE documentation; ESA's FAIR score",
    "link to the documentation of the Collection", "rel about or describedby, or titled Documentation",
    "set product.documentation")
LICENSE_LINK = rule(_W, "STAC-LICENSE-LINK", "EarthCODE documentation",
    "link to the licence", "rel license", "set product.license_href")
STAC_UNIT = rule(_W, "STAC-UNIT", "STAC common metadata, bands; datacube: preferably UDUNITS",
    "unit of bands, cube:variables, cube:dimensions and cf:parameter", "one that UDUNITS reads",
    "set product.variables.<name>.units")
DOI_FORM = rule(_E, "STAC-DOI", "scientific extension; EarthCODE documentation",
    "form of sci:doi", "bare: 10.…/…", "set product.doi to the DOI alone")
NAME_DATE = rule(_W, "FILE-NAME-DATE", f"{_GEN} (M); a warning: the digits may mean something else",
    "dates in the names of data files", "ISO 8601: 20200131 or 2020-01-31", "rename the file")
ITEM_ASSETS = rule(_W, "STAC-ITEM-ASSETS", "openEO at CDSE",
    "item_assets of the Collection", "describes each data asset of the Items", "describe them")
SCHEME_UNKNOWN = rule(_E, "STAC-SCHEME-UNKNOWN", "authentication 1.1 and storage 2.0 extensions",
    "auth:refs and storage:refs of assets, alternates and links", "each names one of auth:schemes, storage:schemes",
    "declare the scheme, or correct its name")
SCHEME_SECRET = rule(_E, "STAC-SCHEME-SECRET", "contract 3.8",
    "auth:schemes and storage:schemes", "no password, key, token or signed URL",
    "remove it, and have it replaced: who could read the file knows it")
CLOSED = rule(_W, "STAC-CLOSED", "authentication 1.1 and storage 2.0 extensions",
    "data in S3 storage that is not public", "the Collection says how readers with keys get in",
    "set store.endpoint_url, or store.region of Amazon's storage; or store.access: public")

# --- STAC: APEx and the PRR
STAC_REC_01 = rule(_W, "STAC-REC-01", "APEx", "stac_version", "1.1.0 or newer", "write STAC 1.1")
STAC_REC_02 = rule(_W, "STAC-REC-02", f"APEx; {_QA} 32 to 46",
    "fields that the PRR wants of a Collection", "all present", "fill in product and project")
STAC_REC_03 = rule(_W, "STAC-REC-03", "APEx", "asset keys of the Items", "the same in every Item", "use the same keys")
STAC_REC_04 = rule(_W, "STAC-REC-04", "APEx; PRR quality job 2",
    "assets with role data", "at least one in every Item", "give the data asset the role data")
STAC_REC_05 = rule(_W, "STAC-REC-05", f"APEx; {_QA} 4, 7",
    "fields of every asset", "type, roles, title, file:size", "add them")
STAC_REC_06 = rule(_W, "STAC-REC-06", "APEx",
    "projection of every Item", "proj:code, proj:bbox, proj:shape", "add them")
STAC_REC_07 = rule(_W, "STAC-REC-07", "APEx; PRR gateway",
    "times of every Item", "datetime, start_datetime, end_datetime", "add them")
STAC_REC_08 = rule(_W, "STAC-REC-08", "APEx",
    "bands of a COG asset", "each with a name, all of one data type", "describe the bands in the order of the file")
STAC_REC_09 = rule(_W, "STAC-REC-09", "APEx",
    "extensions of an Item with a cube", "datacube", "list the datacube extension")
STAC_REC_10 = rule(_W, "STAC-REC-10", "APEx",
    "raster fields of a COG asset", "raster:spatial_resolution, nodata; raster:scale and offset where packed",
    "add them")
STAC_REC_11 = rule(_W, "STAC-REC-11", "APEx",
    "datacube fields of a cube", "version 2, cube:dimensions, and cube:variables", "add them")
STAC_REC_12 = rule(_W, "STAC-REC-12", "APEx",
    "classes of categorical data", "classification:classes with title and color_hint",
    "set product.variables.<name>.classes")
METADATA_REC_07 = rule(_W, "METADATA-REC-07", "APEx",
    "renders of the Collection", "each with rescale or colormap", "set product.preview")
THUMBNAIL = rule(_W, "PRR-THUMBNAIL", f"{_QA} 34",
    "asset with role thumbnail", "jpeg, png, gif, bmp or tiff by its bytes, below 5 MB", "write it as PNG")

# --- files behind the STAC
HREF_MISSING = rule(_E, "HREF-MISSING", f"{_QA} 3",
    "what assets and links point to", "exists", "correct the href, or write the file")
HREF_OUTSIDE = rule(_E, "HREF-OUTSIDE", "contract 3.9",
    "relative hrefs of a product", "stay inside the product", "correct the href")
HREF_REMOTE = rule(_I, "HREF-REMOTE", f"{_QA} 100",
    "assets that are elsewhere", "were opened", "check them by their own href, or with --deep")
HREF_UNREACHABLE = rule(_I, "HREF-UNREACHABLE", "contract 4.4",
    "what assets and links on the net point to", "answers", "check it again from where it can be reached")
FILE_SIZE = rule(_E, "FILE-SIZE", f"{_QA} 5", "file:size against the file", "equal", _CHANGED)
FILE_CHECKSUM = rule(_E, "FILE-CHECKSUM", f"{_QA} 6", "file:checksum against the file", "equal", _CHANGED)
FILE_CHECKSUM_FORM = rule(_E, "FILE-CHECKSUM-FORM", "file extension: multihash",
    "form of file:checksum", "1220 and the sha256 in lower-case hex, or another multihash", "write a multihash")
FILE_CHECKSUM_ABSENT = rule(_W, "FILE-CHECKSUM-ABSENT", f"{_QA} 101", "file:checksum of data assets", "set", "add it")
SAMPLED = rule(_I, "DATA-SAMPLED", "contract 4.1",
    "number of Items whose data were opened", "all of them, or 1000 spread over more", "check with --deep")
MANIFEST = rule(_E, "MANIFEST", "contract 4.4",
    "manifest.json against the files", "every other file, with its size and sha256", "package the product again")

# --- metadata against data
FACT_SHAPE = rule(_E, "FACT-SHAPE", _FACT, "proj:shape against the data", "equal", _TRUE)
FACT_BBOX = rule(_E, "FACT-PROJ-BBOX", _FACT,
    "proj:bbox against the cell edges of the data", "equal within a tenth of a cell", _TRUE)
FACT_CRS = rule(_E, "FACT-CRS", _FACT,
    "proj:code, proj:wkt2 or proj:projjson against the data", "the same CRS", _TRUE)
FACT_TRANSFORM = rule(_E, "FACT-TRANSFORM", _FACT,
    "proj:transform against the data", "equal within a tenth of a cell", _TRUE)
FACT_BANDS = rule(_E, "FACT-BANDS", _FACT, "bands against those of the file", "as many", "describe every band")
FACT_DTYPE = rule(_E, "FACT-DATA-TYPE", _FACT, "data_type against the data", "equal", _TRUE)
FACT_NODATA = rule(_E, "FACT-NODATA", _FACT, "nodata against the data", "equal", _TRUE)
FACT_SCALE = rule(_E, "FACT-SCALE", _FACT,
    "raster:scale and raster:offset against the data", "equal", _TRUE)
FACT_STATISTICS = rule(_E, "FACT-STATISTICS", f"{_FACT}, with --deep",
    "statistics of bands and cube:variables against all values",
    "minimum and maximum equal, mean and stddev within a hundredth of the standard deviation", _TRUE)
FACT_UNIT = rule(_E, "FACT-UNIT", _FACT, "unit against the data", "equal", "write the same unit in both")
FACT_RESOLUTION = rule(_E, "FACT-RESOLUTION", _FACT,
    "raster:spatial_resolution against the data", "the size of a cell, within a hundredth", _TRUE)
FACT_EXTENT = rule(_E, "FACT-EXTENT", _FACT,
    "bbox against the data in longitude and latitude", "contains them, and exceeds them by at most a tenth",
    _TRUE)
FACT_EXTENT_UNKNOWN = rule(_I, "FACT-EXTENT-UNKNOWN", "contract 4.4",
    "extent of the data in longitude and latitude", "can be computed", "compare the box with a map")
FACT_TIME = rule(_E, "FACT-TIME", _FACT,
    "times of an Item against the time axis of its cube", "hold every step", _TRUE)
FACT_CUBE = rule(_E, "FACT-CUBE", _FACT,
    "cube:dimensions and cube:variables against the store", "the same names, sizes and ends", _TRUE)
FACT_MEDIA_TYPE = rule(_E, "FACT-MEDIA-TYPE", _FACT,
    "type of an asset against its content", "agree", "correct the media type")

# --- what is published in a store, for ``verify``
PUB_PRESENT = rule(_E, "PUB-PRESENT", _STORE, "each object of the manifest", "published", _AGAIN)
PUB_SIZE = rule(_E, "PUB-SIZE", _STORE, "size of each object", "the manifest's", _AGAIN)
PUB_CHECKSUM = rule(_E, "PUB-CHECKSUM", _STORE, "sha256 of each object", "the manifest's", _AGAIN)
PUB_OPEN = rule(_E, "PUB-OPEN", f"{_STORE} --read", "data, with GDAL, zarr or h5netcdf where they lie", "open",
    "where its checksum is right, look at the reader's message; else publish the bundle again")
PUB_UNREAD = rule(_I, "PUB-UNREAD", _STORE, "checksums that the storage states", "there", "verify with --read")
PUB_STRAY = rule(_W, "PUB-STRAY", _STORE,
    "objects that the manifest does not name", "none", "remove it if it is not wanted")

if __name__ == "__main__":
    TITLE = "# Rules\n\nWhat `earthcode-pack check` looks at, and what it allows. Written by `make docs`.\n\n"
    Path(sys.argv[1]).write_text(TITLE + rules_markdown(), encoding="utf-8")
