"""Rules of the Open Science Catalog: its records, and their agreement with each other.

Sources: the catalogue's own validator (github ESA-EarthCODE/open-science-catalog-validation), the reviews of its data
stewards, and EarthCODE's documentation. What the validator refuses, and what contradicts another file of the
catalogue, is an error; what only a review asks for is a warning; what may be right as it stands is info.
"""

from __future__ import annotations

from earthcode_pack.model import Level
from earthcode_pack.rule import rule

_E, _W, _I = Level.ERROR, Level.WARNING, Level.INFO
_OSC = "Open Science Catalog"
_VALIDATOR, _REVIEW = f"{_OSC}, validator", f"{_OSC}, review"
_FACT = f"{_OSC}; contract 4.4: facts that contradict each other"

# fmt: off
# --- a record by itself
ID = rule(_E, "OSC-ID", _VALIDATOR, "id of a record", "the name of its folder", "rename the one or the other")
ID_FORM = rule(_W, "OSC-ID-FORM", f"{_OSC}: the checks run on Windows too",
    "id of a record", "[A-Za-z0-9._-]{1,100}", "choose a shorter one, as long as nothing links it")
TITLE = rule(_E, "OSC-TITLE", _VALIDATOR, "title of a record", "not empty", "write the title")
TITLE_PROJECT = rule(_I, "OSC-TITLE-PROJECT", f"{_REVIEW}; EarthCODE general (R)",
    "first words of a product's title", "the abbreviation of its project", "begin the title with it")
LICENSE = rule(_E, "OSC-LICENSE", _VALIDATOR,
    "license of a record", "an SPDX id, various or proprietary", "write the SPDX id, as in CC-BY-4.0")
PROPRIETARY = rule(_I, "OSC-LICENSE-PROPRIETARY", f"{_OSC}, faults seen",
    "license of a product", "proprietary only where no SPDX licence was given", "ask the data's owner for the licence")
BBOX = rule(_E, "OSC-BBOX", _VALIDATOR,
    "boxes of a record", "4 numbers each", "write west, south, east, north")
BBOX_CROSSING = rule(_W, "OSC-BBOX-CROSSING", _VALIDATOR,
    "boxes of a record", "west ≤ east; what crosses the antimeridian is -180…180 and then its two true boxes",
    "write three boxes: the overall one first")
INTERVAL = rule(_E, "OSC-INTERVAL", _VALIDATOR,
    "interval of a record", "two ends, each null or in UTC with Z", "write YYYY-MM-DDTHH:MM:SSZ")
START_OPEN = rule(_I, "OSC-START-OPEN", f"{_OSC}, faults seen",
    "start of a product's interval", "set, unless the product is planned", "state when the data begin")
END_OPEN = rule(_I, "OSC-END-OPEN", f"{_OSC}, faults seen",
    "end of a product's interval", "set, unless the product still grows", "state when the data end")
STAMPS = rule(_W, "OSC-STAMPS", _OSC,
    "created and updated of a record", "both, in UTC with Z", "write YYYY-MM-DDTHH:MM:SSZ")
EXTENSIONS = rule(_E, "OSC-EXTENSIONS", _VALIDATOR,
    "stac_extensions of a record", "osc v1.0.0 and themes v1.0.0 at least, of a variable themes", "list them")
THEMES = rule(_W, "OSC-THEMES", f"{_VALIDATOR}, which looks at the first object only",
    "themes of a record", "one object of the scheme with all concepts", "join them into one object")
DOI = rule(_E, "OSC-DOI", _VALIDATOR, "form of sci:doi", "bare: 10.…/…", "leave out https://doi.org/")
DOI_ABSENT = rule(_I, "OSC-DOI-ABSENT", f"{_OSC}, faults seen; ESA's FAIR score",
    "sci:doi of a product", "set, where the data have a DOI", "register a DOI, as Zenodo does")
CF_PARAMETER = rule(_W, "OSC-CF-PARAMETER", f"{_OSC}; cf extension",
    "cf:parameter of a product", "at least one, each with a name", "name what was measured")
CF_UNIT = rule(_W, "OSC-CF-UNIT", f"{_OSC}; cf extension; EarthCODE general (M)",
    "unit of each cf:parameter", "set; 1 where there is no dimension", "write unit, as UDUNITS spells it")
DESCRIBED = rule(_I, "OSC-DATA-DESCRIBED", f"{_OSC}, faults seen; EarthCODE Zarr (M)",
    "datacube fields and assets of a product's record", "there, or in Items or a child that describe the data",
    "link the STAC of the data as child")
ACCESS = rule(_W, "OSC-ACCESS", f"{_OSC}, review", "first via link of a product", "titled Access", "put Access first")
ACCESS_FORM = rule(_I, "OSC-ACCESS-FORM", f"{_OSC}; EarthCODE general: direct machine links, no landing pages",
    "how the data are reached: Items, child, or the via titled Access", "by a machine", "link data or their STAC")
VIA = rule(_E, "OSC-VIA", _VALIDATOR, "via links of a product, project, variable, theme or mission", "at least one",
    "link the data, the website or the description")
VIA_TYPE = rule(_E, "OSC-VIA-TYPE", _VALIDATOR,
    "type of via links", "none, json, pdf, zip, html or plain text", "leave the type out")
DOCUMENTATION = rule(_W, "OSC-DOCUMENTATION", _OSC,
    "via links of a product", "one titled exactly Documentation", "link the documentation")
HREF_SPACE = rule(_E, "OSC-HREF-SPACE", _VALIDATOR, "hrefs of a record", "no spaces", "write %20")
OFFICER = rule(_E, "OSC-TECHNICAL-OFFICER", _VALIDATOR,
    "contacts of a project", "one with the role technical_officer, a name and an email", "name the technical officer")
PREVIEW = rule(_E, "OSC-PREVIEW", _VALIDATOR, "links of a theme", "one with rel preview", "link its picture")
RECORD = rule(_E, "OSC-RECORD", f"{_OSC}; OGC API Records, record-core",
    "fields of a workflow or experiment", "conformsTo record-core, geometry, properties type, title, description, "
    "license, themes; osc:project of a workflow, osc:workflow of an experiment", "add them")
EXPERIMENT = rule(_E, "OSC-EXPERIMENT", f"{_OSC}, experiments",
    "links of an experiment", "input and environment, each of type application/yaml", "write input.yaml and "
    "environment.yaml beside the record")

# --- records among each other
ROOT = rule(_E, "OSC-ROOT", _VALIDATOR,
    "links root and parent", "catalog.json of the catalogue and of the folder above", "correct the links")
SELF = rule(_E, "OSC-SELF", _FACT, "link self of a record", "the address of this very file", "correct the link")
SELF_ABSENT = rule(_W, "OSC-SELF-ABSENT", _OSC, "link self of a product", "there", "add the link")
LINK_TITLE = rule(_E, "OSC-LINK-TITLE", _VALIDATOR,
    "titles of root, parent, child and related links", "the title of the target, after “Project: ” and the like "
    "where related", "copy the title from the target")
REFERENCE = rule(_E, "OSC-REFERENCE", _VALIDATOR,
    "ids of project, themes, variables, missions, workflow and experiment", "exist in the catalogue",
    "correct the id, or add what it names")
RELATED = rule(_E, "OSC-RELATED", _VALIDATOR,
    "what a record names by id", "has a related link", "add the link, type application/json")
BACK_LINK = rule(_E, "OSC-BACK-LINK", _FACT,
    "project, theme, variable and mission of a product", "link back to the product as child", "add the child link")
EXPERIMENT_BACK = rule(_W, "OSC-EXPERIMENT-BACK", f"{_OSC}, experiments",
    "product of an experiment", "names it in osc:experiment and in a related link", "add both to the product")
CHILDREN = rule(_E, "OSC-CHILDREN", _VALIDATOR,
    "children of a sub-catalogue", "the folders beside it, all of them", "add or remove the link")
ITEMS_EXTENT = rule(_E, "OSC-ITEMS-EXTENT", _FACT,
    "first box of a product against its Items", "holds them all", "write the union of the Items")
ITEMS_PERIOD = rule(_E, "OSC-ITEMS-PERIOD", _FACT,
    "interval of a product against its Items", "holds them all", "write the union of the Items")
ITEM_UNLINKED = rule(_W, "OSC-ITEM-UNLINKED", _OSC,
    "Item files beside a product", "each has its item link", "add the link, or remove the file")
